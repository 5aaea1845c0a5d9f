package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/tcplife/tcplife/report"
	"github.com/tcplife/tcplife/selection"
)

// listFields prints every field with its type, unit and meaning, then what expressions
// have beside them.
func listFields(w io.Writer) {
	printFields(w, report.Fields())
	fmt.Fprintf(w, "\n%s\n\n", fill("Functions of --filter. Beside these, all of the language of expr-lang.org: and, or, not, in, matches, contains, any, all, count, len, ...", "", explainWidth))
	for _, f := range selection.Functions {
		fmt.Fprintf(w, "%s\n%s\n", f.Usage, fill(f.Meaning, "    ", explainWidth))
	}
	fmt.Fprintf(w, "\n%s\n\n", fill("The entries of lists have fields of their own: any(events, .event == \"rst\" && .from == \"server\").", "", explainWidth))
	for _, f := range report.Fields() {
		if names := entryFields(f); names != "" {
			fmt.Fprintf(w, "%s\n%s\n", f.Name, fill(names, "    ", explainWidth))
		}
	}
}

func entryFields(f *report.Field) string {
	if f.Kind != report.KindList {
		return ""
	}
	return strings.Join(selection.EntryFields(f), ", ")
}

// explainField prints what is said of a field, or of all that an object holds; it
// reports whether there is one of that name.
func explainField(w io.Writer, name string) bool {
	if f := report.LookupField(name); f != nil {
		printFields(w, []*report.Field{f})
		if names := entryFields(f); names != "" {
			fmt.Fprintf(w, "\n%s\n", fill("Each of them has "+names+".", "", explainWidth))
		}
		if t := topicOf(f); t != nil {
			fmt.Fprintln(w)
			t.print(w)
		} else if len(f.Words) > 0 {
			fmt.Fprintf(w, "\n%s\n", fill("It is one of "+strings.Join(f.Words, ", ")+".", "", explainWidth))
		}
		return true
	}
	var inside []*report.Field
	for _, n := range report.InsideOf(name) {
		inside = append(inside, report.LookupField(n))
	}
	printFields(w, inside)
	return len(inside) > 0
}

// topicOf returns the closed list that explains the words of a field.
func topicOf(f *report.Field) *topic {
	for _, t := range topics {
		if len(t.words) > 0 && len(f.Words) == len(t.words) && f.Words[0] == t.words[0].name {
			return t
		}
	}
	return nil
}

// printFields prints fields, both sides of one together, and what the objects mean that
// hold them once for each.
func printFields(w io.Writer, fields []*report.Field) {
	object := ""
	for i := 0; i < len(fields); i++ {
		f := fields[i]
		name, meaning := f.Name, f.Meaning()
		of, _ := cutLast(name)
		if both, side := cutLast(name); side == "client" && i+1 < len(fields) && fields[i+1].Name == both+".server" {
			i++
			name += ", " + fields[i].Name
			meaning = strings.Replace(meaning, " The client's", " Each side's", 1)
			of, _ = cutLast(both)
		}
		about := report.ObjectMeaning(of)
		if of != object && of != "" && len(fields) > 1 {
			fmt.Fprintf(w, "\n%s\n", fill(of+": "+about, "", explainWidth))
		}
		object = of
		if rest, ok := strings.CutPrefix(meaning, about+" "); ok && len(fields) > 1 {
			meaning = rest
		}
		meaning = strings.TrimSuffix(meaning, " In seconds.") // the type says it
		head := name + " (" + f.Type() + ")"
		fmt.Fprintf(w, "%s\n%s\n", fill(head, "", explainWidth), fill(meaning, "    ", explainWidth))
	}
}

// cutLast parts a path before its last name.
func cutLast(path string) (before, last string) {
	i := strings.LastIndexByte(path, '.')
	if i < 0 {
		return "", path
	}
	return path[:i], path[i+1:]
}
