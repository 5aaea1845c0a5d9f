package main

import (
	"strings"

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
// was typed: one that contains it, otherwise the one that the fewest changed
// letters lead to. It returns nothing if none is near.
func didYouMean(typed string, names []string) string {
	typed = strings.ReplaceAll(strings.ToLower(typed), "_", "-")
	best, least := "", max(len(typed), 2)/2+1
	for _, n := range names {
		d := distance(typed, n)
		if len(typed) >= 3 && strings.Contains(n, typed) {
			d = 0
		}
		if d < least {
			best, least = n, d
		}
	}
	if best == "" {
		return ""
	}
	return `; did you mean "` + best + `"?`
}

// distance is the number of letters to insert, delete or replace (Levenshtein).
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
