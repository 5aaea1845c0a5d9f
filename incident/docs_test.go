package incident

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/tcplife/tcplife/finding"
)

var update = flag.Bool("update", false, "write docs/findings.md and the expected reports anew; read the difference before committing it")

func TestDocsAreFresh(t *testing.T) {
	path := filepath.Join("..", "docs", "findings.md")
	want := Markdown()
	if *update {
		if err := os.WriteFile(path, want, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(path)
	if err != nil {
		t.Fatalf("%v; run go test ./incident -update", err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s is stale: run go test ./incident -update and read the difference", path)
	}
}

// Every number of the catalogue is given by a rule, or says why not.
func TestCatalogueIsCovered(t *testing.T) {
	given := map[string]bool{}
	for _, r := range finding.All() {
		for _, n := range r.Catalogue {
			given[n] = true
		}
	}
	for _, r := range finding.AllCapture() {
		given[r.Catalogue] = true
	}
	known := finding.Numbers()
	for _, r := range All() {
		for _, n := range r.Catalogue {
			given[n] = true
			if !slices.Contains(known, n) {
				t.Errorf("%s: the catalogue has no %q", r.ID, n)
			}
		}
	}
	for _, n := range known {
		if given[n] == (finding.NotGiven(n) != "") {
			t.Errorf("%s: reported by a rule: %t; said not to be: %q", n, given[n], finding.NotGiven(n))
		}
	}
}

func TestRulesAreDocumented(t *testing.T) {
	for _, r := range All() {
		if !slices.IsSorted(r.Catalogue) {
			t.Errorf("%s: catalogue numbers out of order", r.ID)
		}
		for _, n := range r.Catalogue {
			if len(r.Catalogue) > 1 && !strings.Contains(r.Meaning, n) {
				t.Errorf("%s: its meaning does not tell %s from its other variants", r.ID, n)
			}
		}
		for name, text := range map[string]string{"meaning": r.Meaning, "alternatives": r.Alternatives, "advice": r.Advice, "settings": r.Settings} {
			for line := range strings.SplitSeq(text, "\n") {
				if len(line) > 105 || strings.HasSuffix(line, " ") || strings.Contains(line, "\t") {
					t.Errorf("%s: %s: a line is too long, or has tabs or blanks at its end: %q", r.ID, name, line)
				}
			}
		}
		for _, system := range []string{"Linux", "FreeBSD", "Windows"} {
			if !strings.Contains(r.Settings, system) && !strings.HasPrefix(r.Settings, "No") {
				t.Errorf("%s: no settings for %s", r.ID, system)
			}
		}
		if _, err := os.Stat(strings.ReplaceAll(r.ID, "-", "_") + ".go"); err != nil {
			t.Errorf("%s: has no file of its name", r.ID)
		}
		for _, x := range r.Explains {
			id, _, _ := strings.Cut(x, "/")
			if Lookup(id) == nil {
				t.Errorf("%s explains %s, which is no rule", r.ID, id)
			}
		}
	}
}

// No rule explains, over any number of others, itself.
func TestRulesExplainInNoCircle(t *testing.T) {
	var follow func(r *Rule, path []string)
	follow = func(r *Rule, path []string) {
		if slices.Contains(path, r.ID) {
			t.Fatalf("rules explain each other in a circle: %v", append(path, r.ID))
		}
		for _, x := range r.Explains {
			id, _, _ := strings.Cut(x, "/")
			if next := Lookup(id); next != nil {
				follow(next, append(slices.Clone(path), r.ID))
			}
		}
	}
	for _, r := range All() {
		follow(r, nil)
	}
}
