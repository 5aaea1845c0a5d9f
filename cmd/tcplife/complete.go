package main

import (
	"github.com/spf13/cobra"

	"github.com/tcplife/tcplife/finding"
	"github.com/tcplife/tcplife/incident"
	"github.com/tcplife/tcplife/report"
)

// completeCapture offers capture files.
func completeCapture(*cobra.Command, []string, string) ([]cobra.Completion, cobra.ShellCompDirective) {
	return []cobra.Completion{"pcap", "pcapng", "cap"}, cobra.ShellCompDirectiveFilterFileExt
}

// addCompletion says what the shell offers for each flag's value. --output keeps
// the shell's own completion of file names.
func (o *analyzeOptions) addCompletion(c *cobra.Command) {
	failOn := severities()
	for flag, values := range map[string][]cobra.Completion{
		"format":     report.Formats(),
		"color":      colorModes,
		"columns":    report.Peers(),
		"fail-on":    append(failOn, ruleCompletions()...),
		"connection": nil,
		"name":       nil,
		"jobs":       nil,
		"at":         nil,
		"every":      nil,
		"top":        nil,
	} {
		if err := c.RegisterFlagCompletionFunc(flag, cobra.FixedCompletions(values, cobra.ShellCompDirectiveNoFileComp)); err != nil {
			panic(err) // no such flag: a mistake in the program
		}
	}
}

func ruleCompletions() (out []cobra.Completion) {
	for _, r := range finding.All() {
		out = append(out, cobra.CompletionWithDesc(r.ID, r.Title))
	}
	for _, r := range incident.All() {
		out = append(out, cobra.CompletionWithDesc(r.ID, r.Title))
	}
	for _, r := range finding.AllCapture() {
		out = append(out, cobra.CompletionWithDesc(r.ID, r.Title))
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
