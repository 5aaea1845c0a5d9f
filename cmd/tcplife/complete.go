package main

import (
	"context"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/tcplife/tcplife/finding"
	"github.com/tcplife/tcplife/incident"
	"github.com/tcplife/tcplife/record"
	"github.com/tcplife/tcplife/report"
	"github.com/tcplife/tcplife/selection"
)

// completeCapture offers capture files.
func completeCapture(*cobra.Command, []string, string) ([]cobra.Completion, cobra.ShellCompDirective) {
	return []cobra.Completion{"pcap", "pcapng", "cap"}, cobra.ShellCompDirectiveFilterFileExt
}

// addCompletion says what the shell offers for each flag's value. --output keeps
// the shell's own completion of file names.
func (o *analyzeOptions) addCompletion(c *cobra.Command) {
	failOn := append(severities(), ruleCompletions()...)
	fixed := func(values []cobra.Completion) cobra.CompletionFunc {
		return cobra.FixedCompletions(values, cobra.ShellCompDirectiveNoFileComp)
	}
	for flag, complete := range map[string]cobra.CompletionFunc{
		"format":     fixed(report.Formats()),
		"color":      fixed(colorModes),
		"times":      fixed(report.TimesNames()),
		"tz":         fixed([]cobra.Completion{"UTC", "local"}),
		"columns":    listed(func() []cobra.Completion { return append(columnCompletions(), fieldCompletions()...) }),
		"group-by":   listed(func() []cobra.Completion { return append(groupCompletions(), fieldCompletions()...) }),
		"sort":       completeSort,
		"filter":     completeFilter,
		"fail-on":    fixed(failOn),
		"finding":    fixed(append(severities(), findingCompletions()...)),
		"profile":    nil, // a name or a file: the shell offers the files
		"connection": completeConnection,
		"every":      fixed([]cobra.Completion{"100ms", "1s", "10s", "1m"}),
	} {
		if complete == nil {
			continue
		}
		if err := c.RegisterFlagCompletionFunc(flag, complete); err != nil {
			panic(err) // no such flag: a mistake in the program
		}
	}
	for _, flag := range []string{"name", "jobs", "max-connections", "max-memory", "at", "top", "limit", "width", "host", "net", "port", "service", "since", "until", "capture-filter", "bpf"} {
		if err := c.RegisterFlagCompletionFunc(flag, cobra.NoFileCompletions); err != nil {
			panic(err)
		}
	}
}

// addCompletion does the same for extract. --write and --anonymize-key keep the shell's
// own completion of file names.
func (o *extractOptions) addCompletion(c *cobra.Command) {
	fixed := func(values []cobra.Completion) cobra.CompletionFunc {
		return cobra.FixedCompletions(values, cobra.ShellCompDirectiveNoFileComp)
	}
	for flag, complete := range map[string]cobra.CompletionFunc{
		"format":     fixed(record.Formats()),
		"tz":         fixed([]cobra.Completion{"UTC", "local"}),
		"filter":     completeFilter,
		"finding":    fixed(append(severities(), findingCompletions()...)),
		"connection": completeConnection,
	} {
		if err := c.RegisterFlagCompletionFunc(flag, complete); err != nil {
			panic(err) // no such flag: a mistake in the program
		}
	}
	for _, flag := range []string{"jobs", "host", "net", "port", "service", "since", "until"} {
		if err := c.RegisterFlagCompletionFunc(flag, cobra.NoFileCompletions); err != nil {
			panic(err)
		}
	}
}

// listed completes the last of several values with a comma between them.
func listed(values func() []cobra.Completion) cobra.CompletionFunc {
	return func(_ *cobra.Command, _ []string, typed string) ([]cobra.Completion, cobra.ShellCompDirective) {
		return behind(typed, strings.LastIndexByte(typed, ',')+1, values()), cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveNoSpace
	}
}

// behind puts what was typed before an offset before each of the completions: shells
// complete whole words.
func behind(typed string, at int, values []cobra.Completion) (out []cobra.Completion) {
	for _, v := range values {
		if strings.HasPrefix(v, typed[at:]) {
			out = append(out, typed[:at]+v)
		}
	}
	return out
}

// completeSort offers fields, from the smallest or, behind a minus, from the largest.
func completeSort(_ *cobra.Command, _ []string, typed string) ([]cobra.Completion, cobra.ShellCompDirective) {
	at := 0
	if strings.HasPrefix(typed, "-") {
		at = 1
	}
	return behind(typed, at, fieldCompletions()), cobra.ShellCompDirectiveNoFileComp
}

// completeFilter offers the fields and functions that the last word of an expression
// may become, and inside of quotes the words that the field before them has.
func completeFilter(_ *cobra.Command, _ []string, typed string) ([]cobra.Completion, cobra.ShellCompDirective) {
	none := cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveNoSpace
	if strings.Count(typed, `"`)%2 == 1 {
		at := strings.LastIndexByte(typed, '"') + 1
		var words []cobra.Completion
		for _, w := range wordsFor(typed[:at-1]) {
			words = append(words, w+`"`)
		}
		return behind(typed, at, words), none
	}
	at := strings.LastIndexFunc(typed, func(r rune) bool { return !inField(r) }) + 1
	all := fieldCompletions()
	for _, f := range selection.Functions {
		all = append(all, cobra.CompletionWithDesc(f.Name+"(", f.Usage))
	}
	return behind(typed, at, all), none
}

func inField(r rune) bool {
	return r == '.' || r == '_' || '0' <= r && r <= '9' || 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z'
}

// wordsFor returns the words that may stand in the quotes which begin behind a part of
// an expression: those of a function's argument, or of the field that is compared.
func wordsFor(before string) []string {
	before = strings.TrimRight(before, " =!")
	call, comma := strings.TrimRight(before, `(, "`), strings.HasSuffix(before, ",")
	switch name := call[strings.LastIndexFunc(call, func(r rune) bool { return !inField(r) })+1:]; {
	case strings.HasSuffix(before, "finding("):
		words := severities()
		for _, r := range finding.All() {
			words = append(words, r.ID)
		}
		return words
	case strings.HasSuffix(before, "dwell(") || strings.HasSuffix(before, "was("):
		return []string{"client", "server"}
	case comma && (name == "client" || name == "server"):
		return report.LookupField("final.client").Words
	default:
		if f := report.LookupField(name); f != nil {
			return f.Words
		}
	}
	return nil
}

// connectionPatience is how long completion reads captures to offer their connections:
// nobody waits longer at a prompt. What was read by then is offered.
const connectionPatience = 2 * time.Second

// completeConnection offers the numbers of the connections in the captures that the
// command line names.
func completeConnection(_ *cobra.Command, files []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
	var out []cobra.Completion
	if len(files) == 0 || slices.Contains(files, "-") {
		return []cobra.Completion{cobra.CompletionWithDesc("frame:", "the connection of a frame")}, cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveNoSpace
	}
	ctx, cancel := context.WithTimeout(context.Background(), connectionPatience)
	defer cancel()
	var table strings.Builder
	args := append([]string{"analyze", "--quiet", "--format", "tsv", "--columns", "id,client,server,close.reason,findings", "--"}, files...)
	run(ctx, args, strings.NewReader(""), &table, io.Discard)
	lines := strings.Split(strings.TrimSpace(table.String()), "\n")
	for _, line := range lines[1:] {
		if cells := strings.Split(line, "\t"); len(cells) == 5 {
			out = append(out, cobra.CompletionWithDesc(cells[0], strings.TrimSpace(cells[1]+" > "+cells[2]+" "+cells[3]+" "+cells[4])))
		}
	}
	return out, cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveKeepOrder
}

func columnCompletions() (out []cobra.Completion) {
	out = append(out, "default", "client", "server")
	for _, p := range report.Peers() {
		out = append(out, cobra.CompletionWithDesc(p, "what it says of the connection"))
	}
	return out
}

func groupCompletions() (out []cobra.Completion) {
	for _, w := range report.GroupWords() {
		out = append(out, cobra.CompletionWithDesc(w[0], w[1]))
	}
	return out
}

// findingCompletions are the findings that a single connection may have.
func findingCompletions() (out []cobra.Completion) {
	for _, r := range finding.All() {
		out = append(out, cobra.CompletionWithDesc(r.ID, r.Title))
	}
	return out
}

func ruleCompletions() (out []cobra.Completion) {
	out = findingCompletions()
	for _, r := range incident.All() {
		out = append(out, cobra.CompletionWithDesc(r.ID, r.Title))
	}
	for _, r := range finding.AllCapture() {
		out = append(out, cobra.CompletionWithDesc(r.ID, r.Title))
	}
	return out
}

func fieldCompletions() (out []cobra.Completion) {
	for _, f := range report.Fields() {
		out = append(out, cobra.CompletionWithDesc(f.Name, f.Type()))
	}
	return out
}

func ruleIDs() (ids []string) {
	for _, r := range finding.All() {
		ids = append(ids, r.ID)
	}
	for _, r := range incident.All() {
		ids = append(ids, r.ID)
	}
	for _, r := range finding.AllCapture() {
		ids = append(ids, r.ID)
	}
	return ids
}

// didYouMean returns `; did you mean "..."?` with the name that is nearest to what
// was typed, or nothing if none is near.
func didYouMean(typed string, names []string) string {
	if near := report.Nearest(typed, names); near != "" {
		return `; did you mean "` + near + `"?`
	}
	return ""
}

// completeFlags says what the shell offers for the values of a command's flags, and for
// which it offers nothing.
func completeFlags(c *cobra.Command, values map[string]cobra.CompletionFunc, nothing ...string) {
	for _, flag := range nothing {
		values[flag] = cobra.NoFileCompletions
	}
	for flag, complete := range values {
		if err := c.RegisterFlagCompletionFunc(flag, complete); err != nil {
			panic(err) // no such flag: a mistake in the program
		}
	}
}
