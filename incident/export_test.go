package incident

import (
	"cmp"
	"fmt"
	"reflect"
	"slices"

	"github.com/tcplife/tcplife/finding"
	"github.com/tcplife/tcplife/reassembly"
	"github.com/tcplife/tcplife/wire"
)

// Update reports whether expected outputs are to be written anew.
func Update() bool { return *update }

// NewSmall returns empty sums whose bounds are smaller by a divisor.
func NewSmall(cfg Config, by int) *Sums { return newSums(cfg, by) }

// Sizes returns how many keys each table holds, and how many instants those that are
// timed do; Bounds the most there may be of them.
func (s *Sums) Sizes() [9]int {
	return [9]int{len(s.listeners.keys), len(s.targets.keys), len(s.clients.keys), len(s.pairs.keys), len(s.attempts.keys), len(s.paths.keys), len(s.hosts.keys),
		s.listeners.held(), s.pairs.held()}
}

func (s *Sums) Bounds() [9]int {
	return [9]int{s.listeners.keep, s.targets.keep, s.clients.keep, s.pairs.keep, s.attempts.keep, s.paths.keep, s.hosts.keep, s.listeners.room, s.pairs.room}
}

// held returns how many instants a table holds, those not yet put in order too.
func (t *table[R, P]) held() int { return len(t.store) + len(t.fresh) }

// add counts one happening.
func (c *chronicle) add(at wire.Time, what kind, most int) {
	c.mergeInto(make([]point, len(c.points)+1), []point{pointOf(int64(at), what, 1)})
	c.settle(most)
}

// Read returns how many findings a counter keeps.
func (x *Counter) Read() int { return max(len(x.signs), len(x.places)) }

// AddAny is Add for those who do not look whether a connection is ordinary, and AddOrdinary
// counts only those that are.
func (s *Sums) AddAny(c *reassembly.Conn, found []finding.Finding) {
	s.own.connections++
	s.own.until = max(s.own.until, c.Until)
	s.own.addAny(c, found, nil)
	s.own.Count()
}

func (s *Sums) AddOrdinary(c *reassembly.Conn, found []finding.Finding) bool {
	return s.own.addOrdinary(c, found, nil)
}

// inOrder returns what a table holds in the order of its keys: places are nobody's business.
func (t *table[R, P]) inOrder() (keys []key, recs []R, series []chronicle) {
	for _, i := range t.sorted() {
		keys, recs = append(keys, t.keys[i]), append(recs, *t.rec(i))
		if t.room > 0 {
			series = append(series, chronicle{t.series[i].shift, slices.Clone(t.series[i].points)})
		}
	}
	return keys, recs, series
}

// inOrder returns the views in the order of their numbers and frames.
func (x *sample) inOrder() []view {
	var all []view
	for i := range int32(x.all.n) {
		v := *x.all.at(i)
		v.second = 0 // a place
		all = append(all, v)
	}
	slices.SortFunc(all, func(a, b view) int { return cmp.Or(cmp.Compare(a.numbers, b.numbers), a.compare(&b)) })
	return all
}

// Differ says what two sums that had the same connections in one order do not have in common.
func (s *Sums) Differ(o *Sums) string {
	s.settle()
	o.settle()
	for _, x := range []*Sums{s, o} {
		for i := range x.pairs.keys {
			x.pairs.rec(int32(i)).listener, x.pairs.rec(int32(i)).client = spot{}, spot{}
		}
	}
	type held struct {
		name string
		is   any
	}
	all := func(s *Sums) []held {
		lk, lr, ls := s.listeners.inOrder()
		pk, pr, ps := s.pairs.inOrder()
		ck, cr, _ := s.clients.inOrder()
		_, hr, _ := s.hosts.inOrder()
		_, tr, _ := s.paths.inOrder()
		return []held{
			{"connections", s.connections}, {"until", s.until},
			{"listeners", lk}, {"what listeners counted", lr}, {"times of listeners", ls},
			{"pairs", pk}, {"what pairs counted", pr}, {"times of pairs", ps},
			{"clients", ck}, {"what clients counted", cr},
			{"initial numbers", s.numbers.inOrder()}, {"hosts", hr}, {"paths", tr},
		}
	}
	others := all(o)
	for i, x := range all(s) {
		if !reflect.DeepEqual(x.is, others[i].is) {
			return fmt.Sprintf("%s:\n%+v\n%+v", x.name, x.is, others[i].is)
		}
	}
	return ""
}
