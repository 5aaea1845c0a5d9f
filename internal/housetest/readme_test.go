package housetest

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "copy the golden reports that README.md shows into it again; then read the diff")

// shown is a report in a page, fenced, behind the line that names its file.
var shown = regexp.MustCompile("(?s)<!-- report: ([^ ]+) -->\n```[a-z]*\n(.*?)```\n")

// TestReadmeShowsReports compares the reports that README.md and the pages show with the
// golden ones, so that they never promise what the program does not print.
func TestReadmeShowsReports(t *testing.T) {
	pages, err := filepath.Glob(root + "/docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range append(pages, root+"/README.md") {
		pageShowsReports(t, path)
	}
}

func pageShowsReports(t *testing.T, path string) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Skipf("wants %s, which is not written yet: %v", path, err)
	}
	fresh := shown.ReplaceAllFunc(text, func(block []byte) []byte {
		m := shown.FindSubmatch(block)
		report, err := os.ReadFile(filepath.Join(root, string(m[1])))
		if err != nil {
			t.Errorf("%s shows %s: %v", path, m[1], err)
			return block
		}
		return bytes.Replace(block, append([]byte("```\n"), m[2]...), append([]byte("```\n"), report...), 1)
	})
	if bytes.Equal(fresh, text) {
		return
	}
	if !*update {
		t.Errorf("%s shows reports that are not the golden ones any more: make golden", path)
		return
	}
	if err := os.WriteFile(path, fresh, 0o644); err != nil {
		t.Fatal(err)
	}
}

// link is a Markdown link to a file of this repository.
var link = regexp.MustCompile(`\]\(([^)#:]+)(#[^)]*)?\)`)

// TestLinksLead follows every relative link of every page.
func TestLinksLead(t *testing.T) {
	for _, f := range tracked(t) {
		if !strings.HasSuffix(f, ".md") {
			continue
		}
		text, err := os.ReadFile(filepath.Join(root, f))
		if err != nil {
			continue // deleted
		}
		for _, m := range link.FindAllSubmatch(text, -1) {
			to := filepath.Join(root, filepath.Dir(f), string(m[1]))
			if _, err := os.Stat(to); err != nil {
				t.Errorf("%s links to %s, which does not exist", f, m[1])
			}
		}
	}
}
