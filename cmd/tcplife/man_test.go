package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// The manual pages are those of this program, whole, and nothing that troff stumbles
// over. Their examples are the help's, which TestExamples runs.
func TestManPages(t *testing.T) {
	dir := t.TempDir()
	code, out, errOut := invoke(t, nil, "man", dir)
	if code != exitOK {
		t.Fatalf("exit code %d: %s", code, errOut)
	}
	files := strings.Fields(out)
	if len(files) < 4 {
		t.Fatalf("only %q", files)
	}
	for _, file := range files {
		fresh, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		name := filepath.Base(file)
		if have, err := os.ReadFile(filepath.Join("../../man", name)); err != nil || string(have) != string(fresh) {
			t.Errorf("man/%s is stale (%v): make man", name, err)
		}
		if _, err := exec.LookPath("groff"); err != nil {
			t.Skip("wants groff, to see what troff makes of the pages")
		}
		c := exec.Command("groff", "-man", "-ww", "-Tascii", "-P-c", file)
		var complaints strings.Builder
		c.Stderr = &complaints
		text, err := c.Output()
		if err != nil || complaints.Len() > 0 {
			t.Errorf("groff on %s: %v: %s", name, err, &complaints)
		}
		// Bold is a letter struck twice.
		shown := strings.Join(strings.Fields(regexp.MustCompile(".\x08").ReplaceAllString(string(text), "")), " ")
		commands(func(c *cobra.Command) {
			if manName(c)+".1" != name {
				return
			}
			c.LocalFlags().VisitAll(func(f *pflag.Flag) {
				if !strings.Contains(shown, "--"+f.Name) {
					t.Errorf("%s does not show --%s", name, f.Name)
				}
			})
			for line := range strings.Lines(c.Example) {
				if !strings.Contains(shown, strings.Join(strings.Fields(line), " ")) {
					t.Errorf("%s does not show the example %s", name, line)
				}
			}
		})
	}
}
