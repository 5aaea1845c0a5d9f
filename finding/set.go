package finding

import (
	"cmp"
	"slices"

	"github.com/tcplife/tcplife/reassembly"
)

// Set is a choice of rules, ready to run. It holds no state of the connections it
// was run on and may be used by several goroutines.
type Set struct {
	rules    []*Rule
	triggers reassembly.Seen // of all rules together
}

// NewSet returns the set of the given rules.
func NewSet(rules []*Rule) *Set {
	s := &Set{rules: slices.Clone(rules)}
	for _, r := range rules {
		s.triggers |= r.Triggers
	}
	return s
}

// Check returns the findings on c: the gravest first, then by first frame and ID.
// What c has seen selects the rules, so that a clean connection runs none.
func (s *Set) Check(c *reassembly.Conn) (found []Finding) {
	if c.Seen&s.triggers == 0 {
		return nil
	}
	for _, r := range s.rules {
		if c.Seen&r.Triggers == 0 {
			continue
		}
		r.Check(c, func(f Finding) {
			f.Rule = r
			found = append(found, f)
		})
	}
	slices.SortStableFunc(found, func(a, b Finding) int {
		if a.Severity != b.Severity {
			return cmp.Compare(b.Severity, a.Severity)
		}
		return cmp.Or(cmp.Compare(a.Frames[0], b.Frames[0]), cmp.Compare(a.Rule.ID, b.Rule.ID))
	})
	return found
}
