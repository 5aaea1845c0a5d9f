package incident

import (
	"slices"

	"github.com/tcplife/tcplife/finding"
	"github.com/tcplife/tcplife/wire"
)

// told counts the findings on single connections of a scope, by rule and catalogue
// number. There are some hundred pairs of those.
type told struct{ n counts }

// places says where a rule's first number stands in told; its others follow.
var places = func() map[*finding.Rule]int {
	at := map[*finding.Rule]int{}
	n := 0
	for _, r := range finding.All() {
		at[r] = n
		n += len(r.Catalogue)
	}
	if n > countsSize {
		panic("incident: countsSize is too small for the rules there are")
	}
	return at
}()

// place returns where a finding is counted, -1 for one of a rule that is not
// registered.
func place(f *finding.Finding) int {
	at, ok := places[f.Rule]
	switch {
	case !ok:
		return -1
	case len(f.Rule.Catalogue) == 1:
		return at
	}
	return at + max(slices.Index(f.Rule.Catalogue, f.Catalogue), 0)
}

// tell counts findings by their places, and makes the room for it where there is none
// yet: most connections have none.
func tell(t **told, places []uint8) {
	if len(places) == 0 {
		return
	}
	if *t == nil {
		*t = new(told)
	}
	for _, at := range places {
		(*t).n.add(int(at), 1)
	}
}

func mergeTold(t **told, o *told) {
	if o == nil {
		return
	}
	if *t == nil {
		*t = new(told)
	}
	(*t).n.merge(&o.n)
}

// number returns how many findings there are with a rule's ID and one of the numbers;
// without numbers, with any.
func (t *told) number(id string, numbers ...string) (n uint64) {
	r := finding.Lookup(id)
	if t == nil || r == nil {
		return 0
	}
	for i, x := range r.Catalogue {
		if len(numbers) == 0 || slices.Contains(numbers, x) {
			n += uint64(t.n.times(places[r] + i))
		}
	}
	return n
}

// sign is what is counted of a finding besides its place in told.
type sign struct {
	number     string       // in the catalogue
	frame      wire.FrameID // the first that shows it
	endpoint   finding.Endpoint
	severity   finding.Severity
	confidence finding.Confidence
}

// has returns the first finding with a catalogue number, nil if there is none.
func has(signs []sign, number string) *sign {
	for i := range signs {
		if x := &signs[i]; x.number == number {
			return x
		}
	}
	return nil
}
