package finding

import (
	"slices"

	"github.com/tcplife/tcplife/reassembly"
	"github.com/tcplife/tcplife/wire"
)

// Set is a choice of rules, ready to run. What a connection has seen selects the
// rules, so that a clean one runs none. It is not safe for concurrent use.
type Set struct {
	rules    []*Rule
	triggers reassembly.Seen // of all rules together
	// choices are the rules that some bits select: connections show few combinations, and
	// there are ten times as many rules as a connection needs.
	choices [64]choice
	// c is what rules look at, running the one at work, and found what there is so far; add
	// takes what it reports, made once because a function made for each rule and connection
	// would have to be allocated.
	c       Case
	running *Rule
	nth     uint16
	found   []Finding
	again   []Finding // see Tell
	add     func(Finding)
}

// NewSet returns the set of the given rules.
func NewSet(rules []*Rule) *Set {
	s := &Set{rules: rules}
	for _, r := range rules {
		s.triggers |= r.Triggers
	}
	s.add = func(f Finding) {
		f.Rule, f.nth, f.wordless = s.running, s.nth, s.c.wordless
		s.nth++
		s.found = append(s.found, f)
	}
	return s
}

// Triggers returns what selects any of the rules.
func (s *Set) Triggers() reassembly.Seen { return s.triggers }

// Check returns the findings on c: the gravest first, then by first frame and ID.
// The caller may keep them.
func (s *Set) Check(c *reassembly.Conn) []Finding { return Keep(s.find(c, false)) }

// Find is Check for those who may not need the findings' words, nor them for long: most
// are counted only. Tell adds the words, and Keep makes them last beyond the next call.
func (s *Set) Find(c *reassembly.Conn) []Finding { return s.find(c, true) }

func (s *Set) find(c *reassembly.Conn, wordless bool) []Finding {
	if c.Seen&s.triggers == 0 {
		return nil
	}
	// Of a sampled connection nearly everything is missing, and a rule reads what did
	// not come as much as what did (docs/adr/0015-tunnels.md).
	if c.Sampled() {
		return nil
	}
	s.c.begin(c, wordless)
	s.found = s.found[:0]
	var resets resetTraits
	if c.Seen&s.triggers&reassembly.SeenRST != 0 {
		resets = s.c.traits()
	}
	for _, i := range s.selected(c.Seen&s.triggers, resets) {
		s.run(s.rules[i])
	}
	if len(s.found) == 0 {
		return nil
	}
	sortFindings(s.found)
	return s.found
}

func (s *Set) run(r *Rule) {
	s.running, s.nth = r, 0
	r.Check(&s.c, s.add)
}

// Tell puts findings of the last call of Find into words. The connection must still be as
// it was.
func (s *Set) Tell(found []Finding) {
	first := s.found
	s.c.wordless = false
	for i := range found {
		f := &found[i]
		if !f.wordless {
			continue
		}
		// What the rule found it finds once more, in the same order.
		s.found = s.again[:0]
		s.run(f.Rule)
		s.again = s.found
		for j := i; j < len(found); j++ {
			if g := &found[j]; g.Rule == f.Rule && g.wordless {
				told := &s.again[g.nth]
				g.Message, g.Falsify, g.Reason, g.wordless = told.Message, told.Falsify, told.Reason, false
			}
		}
	}
	s.found = first
}

// Keep returns a copy of findings that lasts; nil if there are none.
func Keep(found []Finding) []Finding {
	if len(found) == 0 {
		return nil
	}
	found = slices.Clone(found)
	n := 0
	for i := range found {
		n += len(found[i].Frames)
	}
	ids := make([]wire.FrameID, 0, n)
	for i := range found {
		from := len(ids)
		ids = append(ids, found[i].Frames...)
		found[i].Frames = slices.Clip(ids[from:])
	}
	return found
}

// choice is what bits select: places in Set.rules.
type choice struct {
	seen   reassembly.Seen
	resets resetTraits
	rules  []uint16
}

// selected returns the places of the rules that run on connections with some of the triggers, one
// at least, and such RSTs.
func (s *Set) selected(seen reassembly.Seen, resets resetTraits) []uint16 {
	at := &s.choices[(uint64(seen)+uint64(resets)<<48)*0x9e3779b97f4a7c15>>(64-6)]
	if at.seen != seen || at.resets != resets {
		at.seen, at.resets, at.rules = seen, resets, at.rules[:0]
		for i, r := range s.rules {
			if r.runs(seen, resets) {
				at.rules = append(at.rules, uint16(i))
			}
		}
	}
	return at.rules
}

// runs reports whether the rule runs on connections that have seen that and have such RSTs.
func (r *Rule) runs(seen reassembly.Seen, resets resetTraits) bool {
	triggers := r.Triggers
	if r.resets != 0 && r.resets&resets == 0 {
		triggers &^= reassembly.SeenRST
	}
	return seen&triggers != 0
}
