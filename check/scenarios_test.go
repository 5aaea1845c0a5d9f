package check_test

import (
	"bytes"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tcplife/tcplife/incident"
	"github.com/tcplife/tcplife/internal/scenario"
)

// TestScenarioExpectations keeps the file fresh by which the continuous integration
// checks every capture that is compiled from a scenario: what the scenario expects, in
// the language of expectations.
func TestScenarioExpectations(t *testing.T) {
	const path = "../testdata/expectations/scenarios.yaml"
	scripts, err := scenario.Load("../testdata/scenarios")
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	b.WriteString("# What the scenarios in testdata/scenarios expect of the captures that are compiled from\n# them. Written by go test ./check -run ScenarioExpectations -update.\n")
	for _, s := range scripts {
		b.WriteString("---\n" + expectationsOf(s))
	}
	if *update {
		if err := os.WriteFile(path, b.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(got), b.String()); diff != "" {
		t.Errorf("%s is stale: go test ./check -run ScenarioExpectations -update (-committed +fresh):\n%s", path, diff)
	}
}

func expectationsOf(s *scenario.Script) string {
	var b strings.Builder
	conns := map[int]bool{}
	for _, l := range s.States {
		if l.Host != "" {
			conns[l.Conn] = true
		}
	}
	fmt.Fprintf(&b, "captures: %s.pcap\nconnections:\n  count: %d\n", s.Name(), len(conns))
	reasons := map[string]int{}
	for _, l := range s.Close {
		if l.Key == "reason" {
			reasons[l.Value[0]]++
		}
	}
	if len(reasons) > 0 {
		var list []string
		for r, n := range reasons {
			// A script need not say it of all of its connections.
			list = append(list, fmt.Sprintf("%s: \">= %d\"", r, n))
		}
		slices.Sort(list)
		fmt.Fprintf(&b, "  close: {%s}\n", strings.Join(list, ", "))
	}
	// A finding of severity warning or above that is not listed is a failure there, too.
	forbidden, wanted := []string{"warning"}, map[string]int{}
	for _, l := range s.Findings {
		switch l.Kind {
		case scenario.FindingNone:
			forbidden = []string{"info"}
		case scenario.FindingNot:
			forbidden = append(forbidden, l.ID)
		case scenario.FindingWant:
			wanted[l.ID]++
		}
	}
	fmt.Fprintf(&b, "findings:\n  forbidden: [%s]\n", strings.Join(forbidden, ", "))
	if len(conns) > 1 {
		// A script is about single connections; what several show together is no matter of
		// it, and neither expected nor forbidden.
		var ids []string
		for _, r := range incident.All() {
			ids = append(ids, r.ID)
		}
		fmt.Fprintf(&b, "  allowed: [%s]\n", strings.Join(ids, ", "))
	}
	var required []string
	for id, n := range wanted {
		if n == 1 {
			required = append(required, id)
		} else {
			required = append(required, fmt.Sprintf("{id: %s, at_least: %d}", id, n))
		}
	}
	if slices.Sort(required); len(required) > 0 {
		fmt.Fprintf(&b, "  required: [%s]\n", strings.Join(required, ", "))
	}
	return b.String()
}
