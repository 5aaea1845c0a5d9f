package check

import (
	"fmt"
	"io"
	"strings"

	"github.com/tcplife/tcplife/report"
)

var _ = register("text", printText)

// printText writes results for people: the captures with failures in full, the others
// in one line each.
func printText(w io.Writer, results []*Result, o *PrintOptions) error {
	var b strings.Builder
	checked, failed, unread := 0, 0, 0
	for _, r := range results {
		name := report.ShortName(r.Capture)
		if r.Unread != "" {
			unread++
			fmt.Fprintf(&b, "%s: not checked: %s\n", name, report.Printable(r.Unread))
			continue
		}
		n := r.Failed()
		checked, failed = checked+len(r.Verdicts), failed+n
		switch {
		case len(r.Verdicts) == 0:
			fmt.Fprintf(&b, "%s: %s, of which nothing was expected\n", name, plural(r.Connections, "connection", "connections"))
		case n == 0:
			fmt.Fprintf(&b, "%s: %s, as expected\n", name, plural(uint64(len(r.Verdicts)), "expectation", "expectations"))
		default:
			fmt.Fprintf(&b, "%s: %d of %s not met\n", name, n, plural(uint64(len(r.Verdicts)), "expectation", "expectations"))
		}
		for i := range r.Verdicts {
			v := &r.Verdicts[i]
			if !v.Failed {
				continue
			}
			fmt.Fprintf(&b, "\nFAIL  %s\n", report.Printable(v.What))
			for _, line := range v.details(r.Inputs) {
				fmt.Fprintf(&b, "      %s\n", line)
			}
		}
		if n > 0 {
			for i, remark := range r.Remarks {
				if i == 0 {
					b.WriteString("\nThe capture itself:\n")
				}
				fmt.Fprintf(&b, "      %s\n", report.Printable(remark))
			}
			b.WriteByte('\n')
		}
		for i := range r.Verdicts {
			if v := &r.Verdicts[i]; o.All && !v.Failed {
				fmt.Fprintf(&b, "ok    %s: %s\n", report.Printable(v.What), report.Printable(v.Found))
			}
		}
	}
	if len(results) > 1 {
		fmt.Fprintf(&b, "%s, %s", plural(uint64(len(results)), "capture", "captures"), plural(uint64(checked), "expectation", "expectations"))
		switch {
		case failed > 0 || unread > 0:
			fmt.Fprintf(&b, ": %d not met", failed)
			if unread > 0 {
				fmt.Fprintf(&b, ", %s not checked", plural(uint64(unread), "capture", "captures"))
			}
			b.WriteByte('\n')
		default:
			b.WriteString(", all as expected\n")
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}
