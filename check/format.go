package check

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/tcplife/tcplife/report"
)

// PrintOptions are what formats heed.
type PrintOptions struct {
	// Version is the program's, for formats that name it.
	Version string
	// All: the text lists what is as expected, too.
	All bool
}

// formats print results, by name. They are filled by package variables, before main.
var formats = map[string]func(w io.Writer, results []*Result, o *PrintOptions) error{}

func register(name string, print func(w io.Writer, results []*Result, o *PrintOptions) error) struct{} {
	if _, taken := formats[name]; taken {
		panic("check: the format " + name + " is registered twice")
	}
	formats[name] = print
	return struct{}{}
}

// Formats returns the names of the formats, sorted.
func Formats() []string { return slices.Sorted(maps.Keys(formats)) }

// Print writes the results of all captures in a format. The error is one of writing,
// or names the formats that there are.
func Print(w io.Writer, format string, results []*Result, o *PrintOptions) error {
	if err := HasFormat(format); err != nil {
		return err
	}
	return formats[format](w, results, o)
}

// HasFormat returns an error that says what there is when a format is unknown.
func HasFormat(name string) error {
	if formats[name] != nil {
		return nil
	}
	msg := fmt.Sprintf("unknown format %q: there are %s", name, strings.Join(Formats(), ", "))
	if near := report.Nearest(name, Formats()); near != "" {
		msg += fmt.Sprintf("; did you mean %q?", near)
	}
	return fmt.Errorf("%s", msg)
}

// details are the lines that say why an expectation is not met.
func (v *Verdict) details(inputs []string) (lines []string) {
	add := func(name, text string) { lines = append(lines, fmt.Sprintf("%-9s %s", name, report.Printable(text))) }
	if v.Expected != "" {
		add("expected", v.Expected)
	}
	if v.Found != "" {
		add("found", v.Found)
	}
	if len(v.Changes) > 0 {
		lines = append(lines, sideBySide(v.Changes)...)
	}
	for i := range v.Evidence {
		name := ""
		if i == 0 {
			name = "shown by"
		}
		add(name, v.Evidence[i].line(inputs))
	}
	if v.More > 0 {
		add("", fmt.Sprintf("and %d more", v.More))
	}
	switch {
	case v.At.File == "":
	case v.Kind == "baseline":
		add("baseline", v.At.String())
	default:
		add("written", v.At.String())
	}
	return lines
}

// maxColumn is how wide the columns of changes are; what is wider stands in two lines.
const maxColumn = 44

// sideBySide lays changes out in three columns: what, before, now.
func sideBySide(changes []Change) (lines []string) {
	what, old, wide := 0, len("before"), false
	for _, c := range changes {
		what = max(what, len(report.Printable(c.What)))
		if n := len(report.Printable(c.Old)); n <= maxColumn && len(c.New) <= 2*maxColumn {
			old = max(old, n)
		} else {
			wide = true
		}
	}
	if len(changes) > 0 && !(wide && len(changes) == 1) {
		lines = append(lines, fmt.Sprintf("%-*s  %-*s  %s", what, "", old, "before", "now"))
	}
	for _, c := range changes {
		c = Change{report.Printable(c.What), report.Printable(orNothing(c.Old)), report.Printable(orNothing(c.New))}
		if len(c.Old) > maxColumn || len(c.New) > 2*maxColumn {
			lines = append(lines, fmt.Sprintf("%-*s  before: %s", what, c.What, c.Old), fmt.Sprintf("%-*s  now:    %s", what, "", c.New))
			continue
		}
		lines = append(lines, fmt.Sprintf("%-*s  %-*s  %s", what, c.What, old, c.Old, c.New))
	}
	return lines
}

// message is a failure in one or two sentences.
func (v *Verdict) message() string {
	switch {
	case v.Expected != "" && v.Found != "":
		return fmt.Sprintf("expected %s, found %s", v.Expected, v.Found)
	case len(v.Changes) == 1:
		c := v.Changes[0]
		switch {
		case c.Old == "":
			return fmt.Sprintf("%s is new: %s", c.What, c.New)
		case c.New == "":
			return fmt.Sprintf("%s is gone: %s", c.What, c.Old)
		}
		return fmt.Sprintf("%s was %s and is %s", c.What, c.Old, c.New)
	case len(v.Changes) > 1:
		var names []string
		for _, c := range v.Changes {
			if !slices.Contains(names, c.What) {
				names = append(names, c.What)
			}
		}
		return "changed: " + strings.Join(names, ", ")
	}
	return v.Found
}

func orNothing(s string) string {
	if s == "" {
		return "-"
	}
	return s
}
