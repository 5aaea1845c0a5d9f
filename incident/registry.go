package incident

import (
	"fmt"
	"slices"
	"strings"

	"github.com/tcplife/tcplife/finding"
)

// Rule is one kind of incident, as a value: what it means, how it is known, what to
// do, and the function that looks for it. docs/findings.md, `tcplife explain` and the
// man page print from it.
type Rule struct {
	// ID is stable: lower case words with hyphens, and no finding's.
	ID string
	// Catalogue are the field guide's numbers that the rule covers.
	Catalogue []string
	Title     string
	// Severity is the highest that the rule gives.
	Severity finding.Severity
	// RFC names the sections that define the behaviour.
	RFC string
	// Meaning, Signature, Alternatives and Advice are paragraphs for people: what it
	// is, what in the capture shows it, what else could look like it, what to do.
	// Settings names the hosts' knobs with their defaults.
	Meaning, Signature, Alternatives, Advice, Settings string
	// Example is a capture of testdata/pcaps that shows it; empty if none does.
	Example string
	// Folds are the IDs of the findings on single connections that it explains,
	// Explains those of the incidents in its scope, some with a catalogue number behind
	// a slash.
	Folds, Explains []string
	// Check reports what it finds. It is pure: it reads only s, which is settled, and which
	// others may read at the same time.
	Check func(s *Sums, report func(Incident))
}

// Shown returns the capture of the repository that shows the incident, by its name there;
// empty if there is none.
func (r *Rule) Shown() string {
	if r.Example == "" {
		return ""
	}
	return "testdata/pcaps/" + r.Example
}

// Page returns what documentation says of the rule.
func (r *Rule) Page() finding.Page {
	return finding.Page{ID: r.ID, Title: r.Title, Severity: r.Severity, Catalogue: r.Catalogue, RFC: r.RFC,
		Meaning: r.Meaning, Signature: r.Signature, Alternatives: r.Alternatives, Advice: r.Advice, Settings: r.Settings, Shown: r.Shown()}
}

var rules []*Rule

// register adds a rule when the package is initialised. A rule that is not whole, or
// whose ID is taken, is a mistake in the program.
func register(r Rule) *Rule {
	switch {
	case r.ID == "" || strings.ToLower(r.ID) != r.ID || strings.ContainsAny(r.ID, " _."):
		panic(fmt.Sprintf("incident: %q is not a rule's ID: lower case words with hyphens", r.ID))
	case r.Title == "" || r.Meaning == "" || r.Signature == "" || r.Alternatives == "" || r.Advice == "" || r.Settings == "" || r.RFC == "":
		panic(fmt.Sprintf("incident: rule %s is not documented", r.ID))
	case len(r.Catalogue) == 0 || r.Check == nil:
		panic(fmt.Sprintf("incident: rule %s cannot find anything", r.ID))
	case Lookup(r.ID) != nil || finding.Lookup(r.ID) != nil || finding.LookupCapture(r.ID) != nil:
		panic(fmt.Sprintf("incident: rule %s is registered twice", r.ID))
	}
	for _, id := range r.Folds {
		if finding.Lookup(id) == nil {
			panic(fmt.Sprintf("incident: rule %s folds %s, which is no finding", r.ID, id))
		}
	}
	rules = append(rules, &r)
	slices.SortFunc(rules, func(a, b *Rule) int { return strings.Compare(a.ID, b.ID) })
	return &r
}

// explains reports whether an incident of the rule explains another in its scope.
func (r *Rule) explains(in *Incident) bool {
	return slices.ContainsFunc(r.Explains, func(x string) bool {
		id, number, some := strings.Cut(x, "/")
		return id == in.Rule.ID && (!some || number == in.Catalogue)
	})
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
