package finding

import (
	"fmt"
	"slices"
	"strings"
)

// Further is what other rooms' rules add to the reference: their chapters, and which of
// them report a number of the catalogue.
type Further struct {
	Chapters string
	By       func(number string) []string
}

// Markdown returns the reference of all findings: a table of the rules, a chapter
// for each, and how far the catalogue is covered.
func Markdown(f Further) []byte {
	var b strings.Builder
	b.WriteString(`# Findings

What tcplife says about a connection, how it is known, what else it could be, and what to
do. This page is printed from the rules themselves (` + "`go test ./incident -update`" + `).
Behind those on single connections stand those [across connections](#findings-across-connections)
and those [about the capture](#findings-about-the-capture).

The severity is what a finding costs the user: *error*, *warning*, *info*; a rule's is its
highest. The confidence is how sure it is: *certain* is proved by the capture alone,
*likely* has an ordinary explanation beside it, *possible* has a reason to doubt. The
catalogue number names the variant.

| Finding | Severity | Catalogue | Title |
| --- | --- | --- | --- |
`)
	for _, r := range rules {
		page := r.Page()
		b.WriteString(page.Row())
	}
	for _, r := range rules {
		page := r.Page()
		b.WriteString(page.Markdown())
	}
	b.WriteString(f.Chapters)
	writeCaptureRules(&b)
	b.WriteString("\n## Catalogue\n\nThe phenomena of one connection, of many and of a capture, and the findings that report them.\n")
	for _, s := range catalogue {
		fmt.Fprintf(&b, "\n### %s\n\n| Number | Phenomenon | Finding |\n| --- | --- | --- |\n", s.title)
		for _, e := range s.entries {
			fmt.Fprintf(&b, "| %s | %s | %s |\n", e.number, e.title, coveredBy(e.number, f.By))
		}
	}
	return []byte(b.String())
}

// writeCaptureRules appends the findings about the capture as a whole.
func writeCaptureRules(b *strings.Builder) {
	b.WriteString(`
# Findings about the capture

What the capture itself shows of how it was made. They stand in the summary and in the
text report's lines on capture quality, and tell how far the rest can be trusted. They
change no finding on a connection, and ` + "`--fail-on`" + ` heeds them by their ID only, not by
severity.

| Finding | Severity | Catalogue | Title |
| --- | --- | --- | --- |
`)
	for _, r := range captureRules {
		fmt.Fprintf(b, "| [%s](#%s) | %s | %s | %s |\n", r.ID, r.ID, r.Severity, r.Catalogue, r.Title)
	}
	for _, r := range captureRules {
		fmt.Fprintf(b, "\n## %s\n\n**%s.** Severity up to %s; catalogue %s.\n", r.ID, r.Title, r.Severity, r.Catalogue)
		fmt.Fprintf(b, "\n%s\n\n```\n%s\n```\n", r.Meaning, r.Signature)
		for _, p := range []struct{ head, text string }{{"What it does to other findings", r.Effect}, {"What else it could be", r.Alternatives}, {"What to do", r.Advice}} {
			fmt.Fprintf(b, "\n### %s\n\n%s\n", p.head, p.text)
		}
	}
}

// coveredBy names the rules that report a catalogue number.
func coveredBy(number string, further func(string) []string) string {
	var by []string
	for _, r := range rules {
		if slices.Contains(r.Catalogue, number) {
			by = append(by, r.ID)
		}
	}
	for _, r := range captureRules {
		if r.Catalogue == number {
			by = append(by, r.ID)
		}
	}
	by = append(by, further(number)...)
	if len(by) == 0 {
		return "not given: " + NotGiven(number)
	}
	return strings.Join(by, ", ")
}
