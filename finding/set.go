package finding

import (
	"slices"

	"github.com/tcplife/tcplife/reassembly"
)

// Set is a choice of rules, ready to run. What a connection has seen selects the
// rules, so that a clean one runs none. It is not safe for concurrent use.
type Set struct {
	rules    []*Rule
	triggers reassembly.Seen   // of all rules together
	each     []reassembly.Seen // by rule, side by side
	// choices are the rules that some bits select: connections show few combinations, and
	// there are ten times as many rules as a connection needs.
	choices [64]choice
	// running is the rule at work and found what there is so far; add takes what
	// it reports, made once because a function made for each rule and connection
	// would have to be allocated.
	running *Rule
	found   []Finding
	add     func(Finding)
}

// NewSet returns the set of the given rules.
func NewSet(rules []*Rule) *Set {
	s := &Set{rules: rules}
	for _, r := range rules {
		s.triggers |= r.Triggers
		s.each = append(s.each, r.Triggers)
	}
	s.add = func(f Finding) {
		f.Rule = s.running
		s.found = append(s.found, f)
	}
	return s
}

// Triggers returns what selects any of the rules.
func (s *Set) Triggers() reassembly.Seen { return s.triggers }

// Check returns the findings on c: the gravest first, then by first frame and ID.
// The caller may keep them.
func (s *Set) Check(c *reassembly.Conn) []Finding {
	found := s.Find(c)
	Tell(found)
	return found
}

// Find is Check for those who may not need the findings' words: most are counted only, and
// what would be said of them takes longer to write than to find. Tell adds the words.
func (s *Set) Find(c *reassembly.Conn) []Finding {
	if c.Seen&s.triggers == 0 {
		return nil
	}
	// Of a sampled connection nearly everything is missing, and a rule reads what did
	// not come as much as what did (docs/adr/0015-tunnels.md).
	if c.Sampled() {
		return nil
	}
	clear(s.found)
	s.found = s.found[:0]
	for _, i := range s.selected(c.Seen & s.triggers) {
		s.running = s.rules[i]
		s.running.Check(c, s.add)
	}
	if len(s.found) == 0 {
		return nil
	}
	found := slices.Clone(s.found)
	sortFindings(found)
	return found
}

// choice is what bits select: places in Set.rules.
type choice struct {
	seen  reassembly.Seen
	rules []uint16
}

// selected returns the places of the rules that have one of the bits among their triggers;
// there is one, at least.
func (s *Set) selected(seen reassembly.Seen) []uint16 {
	at := &s.choices[uint64(seen)*0x9e3779b97f4a7c15>>(64-6)]
	if at.seen != seen {
		at.seen, at.rules = seen, at.rules[:0]
		for i, triggers := range s.each {
			if seen&triggers != 0 {
				at.rules = append(at.rules, uint16(i))
			}
		}
	}
	return at.rules
}
