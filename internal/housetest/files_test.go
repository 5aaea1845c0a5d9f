package housetest

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// machine matches what belongs to one computer. It is put together here, so that
// this file does not match itself.
var machine = regexp.MustCompile(strings.Join([]string{
	"/wo" + "rk/", "/ro" + "ot/", "/ho" + "me/[a-z]", "/Us" + "ers/[A-Za-z]", `[A-Z]:\\Us` + "ers", "/tm" + "p/bash", "/private/va" + "r/",
}, "|"))

// TestNothingOfOneMachine looks for paths of the machine on which a file was
// written, and for the name of this one.
func TestNothingOfOneMachine(t *testing.T) {
	name, _ := os.Hostname()
	// A name that could be a word would be found everywhere.
	if len(name) < 6 || !strings.ContainsAny(name, "0123456789-.") {
		name = ""
	}
	for _, f := range tracked(t) {
		text, err := os.ReadFile(filepath.Join(root, f))
		if err != nil || bytes.IndexByte(text[:min(len(text), 8000)], 0) >= 0 {
			continue // deleted, or not text: captures are looked through by eye
		}
		if m := machine.Find(text); m != nil {
			t.Errorf("%s: %q is a path of one machine", f, m)
		}
		if name != "" && bytes.Contains(text, []byte(name)) {
			t.Errorf("%s: %q is this machine's name", f, name)
		}
	}
}

// TestCapturesHaveOrigins demands a line in the README for each capture, and that
// none is so large that it burdens every clone.
func TestCapturesHaveOrigins(t *testing.T) {
	capturesHaveOrigins(t, "testdata/pcaps", 40<<10)
	capturesHaveOrigins(t, "testdata/pcaps/incidents", 60<<10)
}

func capturesHaveOrigins(t *testing.T, folder string, largest int64) {
	dir := root + "/" + folder
	readme, err := os.ReadFile(dir + "/README.md")
	if err != nil {
		t.Fatal(err)
	}
	files, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	there := map[string]bool{}
	for _, f := range files {
		there[f.Name()] = true
		if f.Name() == "README.md" || f.IsDir() {
			continue
		}
		if !bytes.Contains(readme, []byte("| `"+f.Name()+"` |")) {
			t.Errorf("%s/%s: the README does not say where it comes from", folder, f.Name())
		}
		if info, err := f.Info(); err == nil && info.Size() > largest {
			t.Errorf("%s/%s has %d octets, more than %d", folder, f.Name(), info.Size(), largest)
		}
	}
	for _, m := range regexp.MustCompile("(?m)^\\| `([^`]+)` \\|").FindAllSubmatch(readme, -1) {
		if !there[string(m[1])] {
			t.Errorf("%s/README.md lists %s, which does not exist", folder, m[1])
		}
	}
	// make pcaps would overwrite a recorded capture that has a scenario's name.
	_, byHand, _ := strings.Cut(string(readme), "<!-- end:")
	for name := range there {
		script := strings.TrimSuffix(name, filepath.Ext(name)) + ".txt"
		if _, err := os.Stat(root + "/testdata/scenarios/" + script); err == nil && strings.Contains(byHand, "| `"+name+"` |") {
			t.Errorf("testdata/pcaps/%s is recorded and also compiled from the scenario %s: rename the scenario", name, script)
		}
	}
}

// TestMakeTargetsAreExplained keeps `make` (which prints the help) complete.
func TestMakeTargetsAreExplained(t *testing.T) {
	text, err := os.ReadFile(root + "/Makefile")
	if err != nil {
		t.Fatal(err)
	}
	phony := map[string]bool{}
	for _, m := range regexp.MustCompile(`(?m)^\.PHONY:(.*)$`).FindAllSubmatch(text, -1) {
		for _, n := range strings.Fields(string(m[1])) {
			phony[n] = true
		}
	}
	for _, m := range regexp.MustCompile(`(?m)^([a-z][a-z-]*):(.*)$`).FindAllSubmatch(text, -1) {
		if !strings.Contains(string(m[2]), "## ") {
			t.Errorf("Makefile: target %s has no \"## explanation\"", m[1])
		}
		if !phony[string(m[1])] {
			t.Errorf("Makefile: target %s is not .PHONY", m[1])
		}
	}
	if len(phony) < 10 {
		t.Errorf("Makefile: only %d targets found", len(phony))
	}
}
