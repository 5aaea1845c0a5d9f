package incident

import (
	"fmt"
	"slices"
	"strings"

	"github.com/tcplife/tcplife/finding"
)

// Markdown returns the reference of all findings, those on single connections and on
// captures too.
func Markdown() []byte { return finding.Markdown(finding.Further{Chapters: chapters(), By: covering}) }

// covering names the rules that report a catalogue number.
func covering(number string) (by []string) {
	for _, r := range rules {
		if slices.Contains(r.Catalogue, number) {
			by = append(by, r.ID)
		}
	}
	return by
}

// chapters are those of the rules here.
func chapters() string {
	var b strings.Builder
	b.WriteString(`
# Findings across connections

What many connections show together. Each stands once, with its scope (a client, a server, a
listener, or a pair of them), how many connections it concerns, from when to when, and some of
them by uid; the findings on single connections that it explains fold into it. The text report
begins with them. ` + "`--fail-on`" + ` heeds them as it does those on connections.

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
		if len(r.Folds) > 0 {
			fmt.Fprintf(&b, "\nFindings that fold into it: %s.\n", links(r.Folds))
		}
		if len(r.Explains) > 0 {
			fmt.Fprintf(&b, "\nFindings across connections that it explains: %s.\n", links(r.Explains))
		}
	}
	return b.String()
}

func links(ids []string) string {
	var all []string
	for _, id := range ids {
		id, _, _ = strings.Cut(id, "/")
		all = append(all, fmt.Sprintf("[%s](#%s)", id, id))
	}
	slices.Sort(all)
	return strings.Join(slices.Compact(all), ", ")
}
