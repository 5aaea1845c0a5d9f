package incident

import (
	"cmp"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/tcplife/tcplife/finding"
	"github.com/tcplife/tcplife/wire"
)

// Incident is one thing that a rule found about many connections.
type Incident struct {
	Rule *Rule
	// Catalogue is the field guide's number of the variant found; one of
	// Rule.Catalogue.
	Catalogue  string
	Severity   finding.Severity
	Confidence finding.Confidence
	Scope      Scope
	// Count is how many connections, or attempts to connect, are concerned.
	Count uint64
	// First and Last are the time from the first to the last of what it is about.
	First, Last wire.Time
	// UIDs name up to ten of the connections, the earliest first; Frames are frames
	// that show it, in capture order.
	UIDs   []string
	Frames []wire.FrameID
	// Message says in its first sentence what is the matter, and then how that is
	// counted. Falsify says what, if it were seen, would take the incident back, Reason
	// why the confidence is what it is.
	Message, Falsify, Reason string
	// Folds counts the findings on single connections, and the incidents, that this one
	// explains.
	Folds []Fold
	// More is how many further scopes of the same rule were left out, and the
	// connections in them.
	More Folded

	key   key
	tolds []*told
	// rest, if set, writes what only those incidents need that are told: of thousands of one
	// rule nearly all are counted with another one.
	rest func(in *Incident)
}

// Scope says what an incident is about. What it does not tell apart is zero.
type Scope struct {
	Client, Server netip.Addr
	// Port is the server's.
	Port uint16
	// Encap is the encapsulation path, outermost layer first; nil for none.
	Encap []string
}

// Fold is a rule's ID and how many findings of it there are.
type Fold struct {
	ID    string
	Count uint64
}

// Folded counts scopes that were left out, and connections in them.
type Folded struct{ Scopes, Count uint64 }

// String returns the scope as reports print it: 10.0.0.1 > 10.0.0.2:443, or the part
// of it that there is.
func (s Scope) String() string {
	server := ""
	switch {
	case s.Server.IsValid() && s.Port != 0:
		server = netip.AddrPortFrom(s.Server, s.Port).String()
	case s.Server.IsValid():
		server = s.Server.String()
	case s.Port != 0:
		server = "port " + strconv.Itoa(int(s.Port))
	}
	switch {
	case !s.Client.IsValid():
		return server
	case server == "":
		return s.Client.String()
	}
	return s.Client.String() + " > " + server
}

// scope returns what a key names.
func (k key) scope() (s Scope) {
	if k.hasClient() {
		s.Client = k.clientAddr()
	}
	if k.hasServer() {
		s.Server = k.serverAddr()
	}
	s.Port = k.port()
	return s
}

// holds reports whether two scopes have a host or listener in common, and nothing in
// which they differ.
func (s *Scope) holds(o *Scope) bool {
	same := false
	for _, x := range [][2]netip.Addr{{s.Client, o.Client}, {s.Server, o.Server}} {
		if x[0].IsValid() && x[1].IsValid() {
			if x[0] != x[1] {
				return false
			}
			same = true
		}
	}
	return same && (s.Port == 0 || o.Port == 0 || s.Port == o.Port) && slices.Equal(s.Encap, o.Encap)
}

// show has the incident name connections.
func (in *Incident) show(all ...*examples) {
	var sum examples
	for _, x := range all {
		if x != nil {
			sum.merge(x)
		}
	}
	in.UIDs, in.Frames = sum.uids(), sum.frames()
}

// doubted lowers the confidence to at most to, for a reason; without one it leaves it.
func (in *Incident) doubted(to finding.Confidence, why string) {
	if why != "" && in.Confidence > to {
		in.Confidence, in.Reason = to, why
	}
}

// Bounds of what is told: more of one kind say no more.
const (
	// maxScopes is how many scopes of one rule are told apart; the others are counted.
	maxScopes = 5
)

// Incidents returns what the rules say about everything that was added: the gravest
// first, then those that concern the most connections, then by ID and scope. layers
// names an encapsulation path. The sums may be added to afterwards.
func (s *Sums) Incidents(rules []*Rule, layers func(wire.EncapID) []string) []Incident {
	s.layers = layers
	s.settle()
	// One by one: an incident takes half a kilobyte, and of thousands few are told.
	found := make([][]*Incident, len(rules))
	checks := make([]func(), len(rules))
	for i, r := range rules {
		checks[i] = func() {
			r.Check(s, func(in Incident) {
				in.Rule = r
				found[i] = append(found[i], &in)
			})
		}
	}
	s.together(checks...)
	all := slices.Concat(found...)
	for _, in := range all {
		in.Scope = in.key.scope()
		if id := in.key.encap(); id != 0 {
			in.Scope.Encap = layers(id)
		}
	}
	slices.SortStableFunc(all, compareIncidents)
	all = explain(all)
	slices.SortStableFunc(all, compareIncidents)
	told := foldScopes(all)
	for i := range told {
		if in := &told[i]; in.rest != nil {
			in.rest(in)
			in.rest = nil
		}
	}
	return told
}

// Grade returns the incidents that are told, as grave as the user has them, and in that
// order. Nil grades tell all.
func Grade(all []Incident, g *finding.Grades) []Incident {
	if g == nil {
		return all
	}
	all = slices.DeleteFunc(all, func(in Incident) bool { return !g.Told(in.Rule.ID) })
	for i := range all {
		all[i].Severity = g.Of(all[i].Rule.ID, all[i].Severity)
	}
	slices.SortStableFunc(all, func(a, b Incident) int { return compareIncidents(&a, &b) })
	return all
}

// compareIncidents orders incidents: the gravest first, and among equals what is about the
// capture before what was counted in it.
func compareIncidents(a, b *Incident) int {
	about := func(in *Incident) int {
		if strings.HasPrefix(in.Catalogue, "K") {
			return 0
		}
		return 1
	}
	switch {
	case a.Severity != b.Severity:
		return cmp.Compare(b.Severity, a.Severity)
	case about(a) != about(b):
		return about(a) - about(b)
	case a.Count != b.Count:
		return cmp.Compare(b.Count, a.Count)
	case a.Rule != b.Rule:
		return cmp.Compare(a.Rule.ID, b.Rule.ID)
	}
	return a.key.compare(b.key)
}

// explain folds incidents into those that explain them, and counts the findings on
// single connections that each explains. A finding counts for one incident only.
func explain(all []*Incident) []*Incident {
	into := explained(all)
	type counted struct {
		t  *told
		id string
	}
	done := map[counted]bool{}
	var left []*Incident
	parts := map[int][]int{} // those that each explains
	for j, i := range into {
		if i >= 0 {
			parts[i] = append(parts[i], j)
		}
	}
	for i := range all {
		if into[i] >= 0 {
			continue
		}
		in := all[i]
		tolds, folds := slices.Clone(in.tolds), slices.Clone(in.Rule.Folds)
		for _, j := range parts[i] {
			in.Folds = append(in.Folds, Fold{all[j].Rule.ID, all[j].Count})
			// It is as grave as what it explains.
			in.Severity = max(in.Severity, min(all[j].Severity, in.Rule.Severity))
			tolds, folds = append(tolds, all[j].tolds...), append(folds, all[j].Rule.Folds...)
		}
		slices.Sort(folds)
		for _, id := range slices.Compact(folds) {
			n := uint64(0)
			for _, t := range tolds {
				here := t.number(id)
				if x := (counted{t, id}); here > 0 && !done[x] {
					done[x] = true
					n += here
				}
			}
			if n > 0 {
				in.Folds = append(in.Folds, Fold{id, n})
			}
		}
		left = append(left, in)
	}
	return left
}

// foldScopes leaves the first few scopes of each rule and counts the others with the
// last of them.
func foldScopes(all []*Incident) []Incident {
	last := map[string]int{}
	seen := map[string]int{}
	var left []Incident
	for _, in := range all {
		if seen[in.Rule.ID]++; seen[in.Rule.ID] <= maxScopes {
			last[in.Rule.ID] = len(left)
			left = append(left, *in)
			continue
		}
		to := &left[last[in.Rule.ID]]
		to.More.Scopes++
		to.More.Count += in.Count
		to.Folds = addFolds(to.Folds, in.Folds)
	}
	return left
}

// explained says for each incident by which other one it is explained in the end, -1
// if by none.
func explained(all []*Incident) []int {
	var can []int
	for i := range all {
		if len(all[i].Rule.Explains) > 0 {
			can = append(can, i)
		}
	}
	into := make([]int, len(all))
	for i := range all {
		into[i] = -1
		for _, j := range can {
			if i != j && all[j].Rule.explains(all[i]) && all[j].Scope.holds(&all[i].Scope) {
				into[i] = j
				break
			}
		}
	}
	// What explains may be explained itself; rules explain in no circle.
	for i := range into {
		for into[i] >= 0 && into[into[i]] >= 0 {
			into[i] = into[into[i]]
		}
	}
	return into
}

func addFolds(to, from []Fold) []Fold {
	for _, f := range from {
		if i := slices.IndexFunc(to, func(g Fold) bool { return g.ID == f.ID }); i >= 0 {
			to[i].Count += f.Count
		} else {
			to = append(to, f)
		}
	}
	return to
}

// Limits says which bounds were hit.
type Limits struct {
	// Of so many of each kind one was counted: 1 is all of them.
	Listeners, Targets, Clients, Pairs, Attempts, Paths, Hosts uint64
}

// Limits returns which bounds were hit. Incidents must have been asked for before.
func (s *Sums) Limits() Limits {
	return Limits{of(&s.listeners), of(&s.targets), of(&s.clients), of(&s.pairs), of(&s.attempts), of(&s.paths), of(&s.hosts)}
}

// Hit reports whether any bound was.
func (l Limits) Hit() bool { return l != (Limits{1, 1, 1, 1, 1, 1, 1}) && l != (Limits{}) }

// of returns of how many keys one was kept.
func of[R any, P record[R]](t *table[R, P]) uint64 { return 1 << min(t.share(), 63) }
