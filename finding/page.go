package finding

import (
	"fmt"
	"strings"
)

// Page is what documentation says of a rule, on one connection or across many: this
// package's and incident's rules print from it, in docs/findings.md and in explain.
type Page struct {
	ID, Title string
	Severity  Severity
	Catalogue []string
	RFC       string
	// Meaning and the others are the rule's paragraphs; Shown is the capture that shows it.
	// Those that are empty are left out.
	Meaning, Signature, Alternatives, Advice, Settings, Shown string
}

// Page returns what documentation says of the rule.
func (r *Rule) Page() Page {
	return Page{r.ID, r.Title, r.Severity, r.Catalogue, r.RFC, r.Meaning, r.Signature, r.Alternatives, r.Advice, r.Settings, r.Shown()}
}

// Row is its line in a table of Markdown that links to the page.
func (p *Page) Row() string {
	return fmt.Sprintf("| [%s](#%s) | %s | %s | %s |\n", p.ID, p.ID, p.Severity, strings.Join(p.Catalogue, " "), p.Title)
}

// Markdown is the page itself.
func (p *Page) Markdown() string {
	var b strings.Builder
	fmt.Fprintf(&b, "\n## %s\n\n**%s.** Severity up to %s; catalogue %s; RFC %s.\n", p.ID, p.Title, p.Severity, strings.Join(p.Catalogue, ", "), p.RFC)
	fmt.Fprintf(&b, "\n%s\n\n```\n%s\n```\n", p.Meaning, p.Signature)
	for _, x := range []struct{ head, text string }{{"What else it could be", p.Alternatives}, {"What to do", p.Advice}, {"Settings", p.Settings}} {
		if x.text != "" {
			fmt.Fprintf(&b, "\n### %s\n\n%s\n", x.head, x.text)
		}
	}
	if p.Shown != "" {
		fmt.Fprintf(&b, "\n### Example\n\n    tcplife analyze %s\n", p.Shown)
	}
	return b.String()
}
