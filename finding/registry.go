package finding

import (
	"fmt"
	"slices"
	"strings"
)

var rules []*Rule

// register adds a rule when the package is initialised. A rule that is not whole,
// or whose ID is taken, is a mistake in the program.
func register(r Rule) *Rule {
	switch {
	case r.ID == "" || strings.ToLower(r.ID) != r.ID || strings.ContainsAny(r.ID, " _."):
		panic(fmt.Sprintf("finding: %q is not a rule's ID: lower case words with hyphens", r.ID))
	case r.Title == "" || r.Meaning == "" || r.Signature == "" || r.Alternatives == "" || r.Advice == "" || r.RFC == "":
		panic(fmt.Sprintf("finding: rule %s is not documented", r.ID))
	case len(r.Catalogue) == 0 || r.Triggers == 0 || r.Check == nil:
		panic(fmt.Sprintf("finding: rule %s cannot find anything", r.ID))
	case Lookup(r.ID) != nil || LookupCapture(r.ID) != nil:
		panic(fmt.Sprintf("finding: rule %s is registered twice", r.ID))
	}
	rules = append(rules, &r)
	slices.SortFunc(rules, func(a, b *Rule) int { return strings.Compare(a.ID, b.ID) })
	return &r
}

// All returns every rule, by ID.
func All() []*Rule { return slices.Clone(rules) }

// Lookup returns the rule with an ID, nil if there is none.
func Lookup(id string) *Rule {
	for _, r := range rules {
		if r.ID == id {
			return r
		}
	}
	return nil
}
