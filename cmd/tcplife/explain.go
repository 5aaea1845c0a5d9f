package main

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/tcplife/tcplife/finding"
	"github.com/tcplife/tcplife/incident"
	"github.com/tcplife/tcplife/report"
)

// explainWidth is the width of explained text in columns: what fits everywhere and
// is read easily.
const explainWidth = 80

func newExplain() *cobra.Command {
	return &cobra.Command{
		Use:   "explain [FINDING | LIST | FIELD]",
		Short: "Say what a finding, a state or another word of the reports means",
		Long: `Without an argument, lists every finding that tcplife knows: its ID, the highest
severity it is given, its numbers in the catalogue, and its title. With an ID or a
catalogue number, says what the finding means, what on the wire shows it, what
else could look like it, and what to do. Findings across connections, and those about
the capture as a whole, stand at the end of the list. With the name of one of the
closed lists of words that reports use (states, evidence, close-reasons,
handshake-outcomes), says what each word means; with fields, lists
what --filter, --columns, --sort and --group-by know of a connection, and with the
name of a field, says what that one means.`,
		Example: `  tcplife explain
  tcplife explain lost-final-ack
  tcplife explain C05b
  tcplife explain states
  tcplife explain close-reasons
  tcplife explain fields
  tcplife explain close.reason`,
		Annotations: map[string]string{exitNote: printExit},
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 1 {
				return usage("explain takes one finding or list; %d were given", len(args))
			}
			return nil
		},
		ValidArgsFunction: func(_ *cobra.Command, args []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
			if len(args) > 0 {
				return nil, cobra.ShellCompDirectiveNoFileComp
			}
			all := ruleCompletions()
			for _, t := range topics {
				all = append(all, cobra.CompletionWithDesc(t.name, t.title))
			}
			all = append(all, fieldCompletions()...)
			return all, cobra.ShellCompDirectiveNoFileComp
		},
		RunE: func(c *cobra.Command, args []string) error {
			w := c.OutOrStdout()
			if len(args) == 0 {
				listRules(w)
				return nil
			}
			return explain(w, args[0])
		},
	}
}

func listRules(w io.Writer) {
	all := finding.All()
	var id, numbers int
	for _, r := range all {
		id, numbers = max(id, len(r.ID)), max(numbers, len(strings.Join(r.Catalogue, " ")))
	}
	across, about := incident.All(), finding.AllCapture()
	for _, r := range across {
		id, numbers = max(id, len(r.ID)), max(numbers, len(strings.Join(r.Catalogue, " ")))
	}
	for _, r := range about {
		id = max(id, len(r.ID))
	}
	for _, r := range all {
		fmt.Fprintf(w, "%-*s  %-7s  %-*s  %s\n", id, r.ID, r.Severity, numbers, strings.Join(r.Catalogue, " "), r.Title)
	}
	for _, r := range across {
		fmt.Fprintf(w, "%-*s  %-7s  %-*s  %s\n", id, r.ID, r.Severity, numbers, strings.Join(r.Catalogue, " "), r.Title)
	}
	for _, r := range about {
		fmt.Fprintf(w, "%-*s  %-7s  %-*s  %s\n", id, r.ID, r.Severity, numbers, r.Catalogue, r.Title)
	}
}

func explain(w io.Writer, name string) error {
	if r := finding.Lookup(strings.ToLower(name)); r != nil {
		explainPage(w, r.Page(), "")
		return nil
	}
	if r := incident.Lookup(strings.ToLower(name)); r != nil {
		explainIncident(w, r)
		return nil
	}
	for _, r := range finding.AllCapture() {
		if strings.EqualFold(r.ID, name) || strings.EqualFold(r.Catalogue, name) {
			explainCapture(w, r)
			return nil
		}
	}
	for _, t := range topics {
		if t.name == strings.ToLower(name) {
			t.print(w)
			return nil
		}
	}
	if explainField(w, strings.ToLower(name)) {
		return nil
	}
	found := false
	for _, r := range finding.All() {
		if slices.ContainsFunc(r.Catalogue, func(n string) bool { return strings.EqualFold(n, name) }) {
			if found {
				fmt.Fprintln(w)
			}
			explainPage(w, r.Page(), "")
			found = true
		}
	}
	for _, r := range incident.All() {
		if slices.ContainsFunc(r.Catalogue, func(n string) bool { return strings.EqualFold(n, name) }) {
			if found {
				fmt.Fprintln(w)
			}
			explainIncident(w, r)
			found = true
		}
	}
	if found {
		return nil
	}
	if why := finding.NotGiven(strings.ToUpper(name)); why != "" {
		fmt.Fprintln(w, fill(strings.ToUpper(name)+" is not given as a finding: "+why, "", explainWidth))
		return nil
	}
	return usage("explain: there is no finding, list or field %q%s ('tcplife explain' lists the findings, 'tcplife explain fields' the fields)",
		name, didYouMean(name, slices.Concat(ruleIDs(), topicNames(), report.FieldNames())))
}

// explainPage prints everything that a rule says about itself. about stands before its
// facts.
func explainPage(w io.Writer, p finding.Page, about string, more ...paragraph) {
	fmt.Fprintln(w, fill(p.ID+": "+p.Title, "", explainWidth))
	facts := fmt.Sprintf("%sSeverity %s", about, p.Severity)
	if p.Severity > finding.Info {
		facts += " at most"
	}
	fmt.Fprintln(w, fill(facts+", catalogue "+strings.Join(p.Catalogue, " ")+", RFC "+p.RFC, "", explainWidth))
	all := []paragraph{{"What it is", p.Meaning}, {"What shows it", p.Signature}, {"What else it could be", p.Alternatives},
		{"What to do", p.Advice}, {"Settings", p.Settings}}
	explainParagraphs(w, append(append(all, more...), paragraph{"An example, in tcplife's repository", example(p.Shown)}))
}

// explainIncident prints everything that a rule about many connections says about
// itself.
func explainIncident(w io.Writer, r *incident.Rule) {
	folds := ""
	if len(r.Folds) > 0 {
		folds = strings.Join(r.Folds, ", ") + "."
	}
	explainPage(w, r.Page(), "About many connections together. ", paragraph{"Findings on single connections that fold into it", folds})
}

// example is the command that shows a capture; empty if there is none.
func example(capture string) string {
	if capture == "" {
		return ""
	}
	return "tcplife analyze " + capture
}

// explainCapture prints everything that a rule about the capture says about itself.
func explainCapture(w io.Writer, r *finding.CaptureRule) {
	fmt.Fprintln(w, fill(r.ID+": "+r.Title, "", explainWidth))
	fmt.Fprintf(w, "About the capture as a whole. Severity %s, catalogue %s\n", r.Severity, r.Catalogue)
	explainParagraphs(w, []paragraph{{"What it is", r.Meaning}, {"What shows it", r.Signature}, {"What it does to other findings", r.Effect},
		{"What else it could be", r.Alternatives}, {"What to do", r.Advice}})
}

type paragraph struct{ heading, text string }

func explainParagraphs(w io.Writer, all []paragraph) {
	for _, p := range all {
		if p.text != "" {
			fmt.Fprintf(w, "\n%s\n%s\n", p.heading, fill(p.text, "  ", explainWidth))
		}
	}
}

// fill breaks text into lines of at most width columns, indented. It reads the
// little Markdown that rules are written in: an empty line parts paragraphs, "- "
// begins an item, whose further lines are indented by two, and a line indented by
// four is part of a drawing and stays as it is.
func fill(text, indent string, width int) string {
	var out, words []string
	hang := ""
	flush := func() {
		line := indent
		for i, w := range words {
			if i > 0 && len(line)+1+len(w) > width {
				out = append(out, line)
				line = indent + hang
			} else if i > 0 {
				line += " "
			}
			line += w
		}
		if len(words) > 0 {
			out = append(out, line)
		}
		words, hang = nil, ""
	}
	for l := range strings.Lines(text) {
		l = strings.TrimRight(l, " \n")
		drawing, isDrawing := strings.CutPrefix(l, "    ")
		switch {
		case l == "":
			flush()
			out = append(out, "")
			continue
		case isDrawing:
			flush()
			out = append(out, indent+drawing)
			continue
		case strings.HasPrefix(l, "- "):
			flush()
			hang = "  "
		}
		words = append(words, strings.Fields(l)...)
	}
	flush()
	return strings.Join(out, "\n")
}
