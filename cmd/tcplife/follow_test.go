package main

import (
	"fmt"
	"regexp"
	"strings"
	"testing"
)

// Every number of the summary can be followed: the filter that its line names picks as
// many connections.
func TestNumbersAreFollowed(t *testing.T) {
	inBrackets := regexp.MustCompile(`^(.*) \[([a-z., _:]+)\]$`)
	followed := 0
	for _, name := range []string{"mixed.pcap.gz", "several-connections.pcap", "lost-final-ack.pcap", "midstream-data.pcap"} {
		path := pcapDir + "/" + name
		_, out, _ := invoke(t, nil, "analyze", path)
		count := func(what, want string, args ...string) {
			t.Helper()
			followed++
			_, rows, errOut := invoke(t, nil, append(append([]string{"analyze", "--format", "tsv", "--columns", "id"}, args...), path)...)
			if got := fmt.Sprint(strings.Count(rows, "\n") - 1); got != want || errOut != "" {
				t.Errorf("%s: %s is %s, and %q picks %s %s", name, what, want, args, got, errOut)
			}
		}
		for line := range strings.Lines(out) {
			line = strings.ReplaceAll(strings.TrimSuffix(line, "\n"), "\u00a0", " ")
			m := inBrackets.FindStringSubmatch(line)
			if m == nil {
				continue
			}
			label, values := strings.TrimSpace(line[:min(17, len(line))]), m[1]
			switch field := m[2]; {
			case strings.HasPrefix(field, "outcome: "):
				numbers := regexp.MustCompile(`(\d+) (ended|failed|still)`).FindAllStringSubmatch(values, -1)
				for i, word := range strings.Split(strings.TrimPrefix(field, "outcome: "), ", ") {
					count(line, numbers[i][1], "--filter", fmt.Sprintf("outcome == %q", word))
				}
			case field == "findings":
				for _, x := range regexp.MustCompile(`([a-z-]+) (\d+) \(`).FindAllStringSubmatch(values, -1) {
					count(line, x[2], "--finding", x[1])
				}
			case field == "close.closer, close.by":
				for _, x := range regexp.MustCompile(`(client|server) \d+ \(([^)]+)\)`).FindAllStringSubmatch(values, -1) {
					for _, by := range strings.Split(x[2], ", ") {
						n, word, _ := strings.Cut(by, " by ")
						count(line, n, "--filter", fmt.Sprintf("close.closer == %q && close.by == %q", x[1], strings.ToLower(word)))
					}
				}
				if x := regexp.MustCompile(`nobody (\d+)`).FindStringSubmatch(values); x != nil {
					count(line, x[1], "--filter", `not known(close.closer)`)
				}
			default:
				for _, x := range regexp.MustCompile(`([A-Za-z][\w-]*) (\d+)`).FindAllStringSubmatch(values[17:], -1) {
					count(label+" "+line, x[2], "--filter", fmt.Sprintf("%s == %q", field, x[1]))
				}
			}
		}
		if m := regexp.MustCompile(`--filter '([^']+)', with`).FindStringSubmatch(strings.ReplaceAll(out, "\u00a0", " ")); m == nil {
			t.Errorf("%s: no example of a filter", name)
		} else if code, _, errOut := invoke(t, nil, "analyze", "--filter", m[1], path); code != exitOK {
			t.Errorf("%s: %s: %s", name, m[1], errOut)
		}
	}
	if followed < 40 {
		t.Errorf("only %d numbers", followed)
	}
}
