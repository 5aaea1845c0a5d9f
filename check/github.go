package check

import (
	"fmt"
	"io"
	"strings"

	"github.com/tcplife/tcplife/report"
)

var _ = register("github", printGitHub)

// printGitHub writes the commands by which a job on GitHub annotates files: one for
// each expectation that is not met, at the place where it was written, and one line for
// each capture.
func printGitHub(w io.Writer, results []*Result, _ *PrintOptions) error {
	var b strings.Builder
	for _, r := range results {
		name := report.ShortName(r.Capture)
		if r.Unread != "" {
			command(&b, "error", name+": not checked", Position{File: r.Capture}, r.Unread)
			continue
		}
		for i := range r.Verdicts {
			if v := &r.Verdicts[i]; v.Failed {
				at := v.At
				if at.File == "" {
					at.File = r.Capture
				}
				command(&b, "error", name+": "+v.What, at, strings.Join(v.details(r.Inputs), "\n"))
			}
		}
		// A line of text that begins with a command would be one.
		fmt.Fprintf(&b, "%s: %d of %s not met\n", strings.TrimLeft(name, ":"), r.Failed(), plural(uint64(len(r.Verdicts)), "expectation", "expectations"))
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// The escapes of a workflow command: in its message, and in its properties, where
// colons and commas mean something.
var (
	githubMessage  = strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A")
	githubProperty = strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A", ":", "%3A", ",", "%2C")
)

func command(b *strings.Builder, level, title string, at Position, text string) {
	fmt.Fprintf(b, "::%s file=%s", level, githubProperty.Replace(at.File))
	if at.Line > 0 {
		fmt.Fprintf(b, ",line=%d", at.Line)
	}
	if at.Column > 0 {
		fmt.Fprintf(b, ",col=%d", at.Column)
	}
	fmt.Fprintf(b, ",title=%s::%s\n", githubProperty.Replace(title), githubMessage.Replace(text))
}
