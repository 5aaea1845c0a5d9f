package finding

import (
	"os"
	"slices"
	"strings"
	"testing"
)

func TestRulesAreDocumented(t *testing.T) {
	known := map[string]bool{}
	for _, s := range catalogue {
		for _, e := range s.entries {
			if known[e.number] {
				t.Errorf("the catalogue holds %s twice", e.number)
			}
			known[e.number] = true
		}
	}
	for _, r := range AllCapture() {
		if !known[r.Catalogue] {
			t.Errorf("%s: the catalogue has no %q", r.ID, r.Catalogue)
		}
		documented(t, r.ID, map[string]string{"meaning": r.Meaning, "effect": r.Effect, "alternatives": r.Alternatives, "advice": r.Advice})
	}
	for _, o := range notGiven {
		if !known[o.number] {
			t.Errorf("the catalogue has no %q", o.number)
		}
	}
	for _, r := range All() {
		if r.Settings == "" {
			t.Errorf("%s: no settings", r.ID)
		}
		for _, n := range r.Catalogue {
			if !known[n] {
				t.Errorf("%s: the catalogue has no %q", r.ID, n)
			}
			if len(r.Catalogue) > 1 && !strings.Contains(r.Meaning, n) {
				t.Errorf("%s: its meaning does not tell %s from its other variants", r.ID, n)
			}
		}
		if !slices.IsSorted(r.Catalogue) {
			t.Errorf("%s: catalogue numbers out of order", r.ID)
		}
		documented(t, r.ID, map[string]string{"meaning": r.Meaning, "alternatives": r.Alternatives, "advice": r.Advice, "settings": r.Settings})
	}
}

// documented checks the layout of a rule's paragraphs, and that its file is named
// after it.
func documented(t *testing.T, id string, paragraphs map[string]string) {
	t.Helper()
	for name, text := range paragraphs {
		for _, line := range strings.Split(text, "\n") {
			if len(line) > 100 || strings.HasSuffix(line, " ") || strings.Contains(line, "\t") {
				t.Errorf("%s: %s: a line is too long, or has tabs or blanks at its end: %q", id, name, line)
			}
		}
	}
	if file := strings.ReplaceAll(id, "-", "_") + ".go"; !exists(file) {
		t.Errorf("%s: has no file %s", id, file)
	}
}

func exists(name string) bool { _, err := os.Stat(name); return err == nil }
