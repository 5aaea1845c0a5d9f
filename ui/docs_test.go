package ui

import (
	"flag"
	"os"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the table of keys into docs/ui.md; then read the diff")

// TestKeysAreDocumented compares the help's keys with the table of docs/ui.md.
func TestKeysAreDocumented(t *testing.T) {
	const path = "../docs/ui.md"
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	const head = "| where | key | |\n| --- | --- | --- |\n"
	before, after, ok := strings.Cut(string(text), head)
	if !ok {
		t.Fatalf("%s has no table of keys", path)
	}
	for strings.HasPrefix(after, "|") {
		_, after, _ = strings.Cut(after, "\n")
	}
	var rows strings.Builder
	for _, x := range Keys {
		where := x.Title
		for _, k := range x.Keys {
			rows.WriteString(strings.TrimRight("| "+where, " ") + " | " + k[0] + " | " + k[1] + " |\n")
			where = ""
		}
	}
	want := before + head + rows.String() + after
	if want == string(text) {
		return
	}
	if !*update {
		t.Fatalf("%s has other keys than the help: go test ./ui -run Documented -update", path)
	}
	if err := os.WriteFile(path, []byte(want), 0o644); err != nil {
		t.Fatal(err)
	}
}
