package check

import (
	"fmt"
	"io"
	"strings"

	"github.com/tcplife/tcplife/report"
)

var _ = register("tap", printTAP)

// printTAP writes the Test Anything Protocol, version 13: a line for each expectation,
// and below those that are not met a block of YAML that says why.
func printTAP(w io.Writer, results []*Result, _ *PrintOptions) error {
	var b strings.Builder
	n := 0
	for _, r := range results {
		n += max(len(r.Verdicts), 1)
		if r.Unread == "" && len(r.Verdicts) == 0 {
			n--
		}
	}
	fmt.Fprintf(&b, "TAP version 13\n1..%d\n", n)
	n = 0
	line := func(ok bool, text string) {
		n++
		word := "ok"
		if !ok {
			word = "not ok"
		}
		fmt.Fprintf(&b, "%s %d - %s\n", word, n, tapText(text))
	}
	for _, r := range results {
		name := report.ShortName(r.Capture)
		if r.Unread != "" {
			line(false, name+": not checked")
			fmt.Fprintf(&b, "  ---\n  message: %s\n  ...\n", yamlText(r.Unread))
			continue
		}
		for i := range r.Verdicts {
			v := &r.Verdicts[i]
			line(!v.Failed, name+": "+v.What)
			if !v.Failed {
				continue
			}
			fmt.Fprintf(&b, "  ---\n  message: %s\n  severity: fail\n", yamlText(v.message()))
			if v.At.File != "" {
				fmt.Fprintf(&b, "  at: %s\n", yamlText(v.At.String()))
			}
			b.WriteString("  details:\n")
			for _, d := range v.details(r.Inputs) {
				fmt.Fprintf(&b, "    - %s\n", yamlText(d))
			}
			b.WriteString("  ...\n")
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// tapText is a description: a number sign would begin a directive (skip, todo).
func tapText(s string) string {
	return strings.NewReplacer(`\`, `\\`, "#", `\#`).Replace(report.Printable(s))
}

// yamlText is a text between quotes, in which nothing but these two mean anything.
func yamlText(s string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(report.Printable(s)) + `"`
}
