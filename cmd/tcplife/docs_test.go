//go:build unix

package main

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// Every example in a page is run. A block that is marked as console shows commands,
// each behind "$ ", and what they print, which is compared; -update writes it. Lines
// that only show a command are run beside a capture of the name they use.

// pages are all texts with examples.
func pages(t *testing.T) (all []string) {
	t.Helper()
	for _, pattern := range []string{"../../*.md", "../../docs/*.md", "../../docs/*/*.md", "../../testdata/*/README.md", "../../internal/*/README.md", "../../examples/*/README.md"} {
		files, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, files...)
	}
	return all
}

// shell returns what runs a command line as a reader's shell would, with this program
// in its path, in a folder.
func shell(t *testing.T) func(t *testing.T, dir, line string) (output string, code int) {
	t.Helper()
	bin := t.TempDir()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(self, filepath.Join(bin, "tcplife")); err != nil { // see TestMain
		t.Fatal(err)
	}
	// What captures in an example gives what has been captured, and what compiles a filter
	// one that selects everything.
	if err := os.WriteFile(filepath.Join(bin, "tcpdump"), []byte("#!/bin/sh\ncase $1 in -ddd) echo 1; exec echo 6 0 0 262144;; esac\nexec cat capture.pcap\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	return func(t *testing.T, dir, line string) (string, int) {
		t.Helper()
		for _, other := range []string{"jq", "tshark"} {
			if strings.Contains(line, "| "+other+" ") {
				if _, err := exec.LookPath(other); err != nil {
					t.Skipf("wants %s, which the example uses", other)
				}
			}
		}
		c := exec.Command("sh", "-c", line)
		c.Dir = dir
		c.Env = []string{"PATH=" + bin + ":" + os.Getenv("PATH"), "LC_ALL=C.UTF-8", "TZ=UTC", "TERM=xterm", configVariable + "=none", "GORACE=atexit_sleep_ms=0"}
		out, err := c.CombinedOutput()
		if _, isExit := err.(*exec.ExitError); err != nil && !isExit {
			t.Fatalf("%s: %v", line, err)
		}
		return string(out), c.ProcessState.ExitCode()
	}
}

var consoleBlock = regexp.MustCompile("(?ms)^```console\n(.*?)^```$")

// TestConsoleBlocks runs what pages show with its output.
func TestConsoleBlocks(t *testing.T) {
	run := shell(t)
	seen := 0
	for _, page := range pages(t) {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		t.Run(filepath.Base(page), func(t *testing.T) {
			fresh := consoleBlock.ReplaceAllFunc(text, func(block []byte) []byte {
				var b strings.Builder
				b.WriteString("```console\n")
				for _, command := range commandsOf(string(block)) {
					seen++
					out, code := run(t, "../..", command)
					if code != 0 && !strings.Contains(command, "--fail-on") {
						t.Errorf("%s: exit code %d: %s", command, code, out)
					}
					b.WriteString("$ " + strings.ReplaceAll(command, "\n", "\n> ") + "\n" + out)
				}
				b.WriteString("```")
				return []byte(b.String())
			})
			if bytes.Equal(fresh, text) {
				return
			}
			if *update {
				if err := os.WriteFile(page, fresh, 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			t.Errorf("%s shows what is not printed (-shown +printed); go test ./cmd/tcplife -run Console -update writes it:\n%s", page, cmp.Diff(string(text), string(fresh)))
		})
	}
	if seen < 10 {
		t.Errorf("only %d commands in console blocks", seen)
	}
}

// commandsOf returns the commands of a console block; a command goes on in lines that
// begin with "> ".
func commandsOf(block string) (all []string) {
	for line := range strings.Lines(block) {
		line = strings.TrimSuffix(line, "\n")
		if c, ok := strings.CutPrefix(line, "$ "); ok {
			all = append(all, c)
		} else if c, ok := strings.CutPrefix(line, "> "); ok && len(all) > 0 {
			all[len(all)-1] += "\n" + c
		}
	}
	return all
}

// TestShownCommands runs the commands that pages show without what they print, in a
// folder with the files that they name.
func TestShownCommands(t *testing.T) {
	run := shell(t)
	top, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	capture := unpacked(t, pcapDir+"/mixed.pcap.gz")
	files := map[string][]byte{"capture.pcap": capture, "before.pcap": capture, "after.pcap": capture, "box.yaml": []byte("name: box\nbase: bsd\n"), "expect.yaml": []byte("capture: {frames: '>= 1'}\n")}
	for i, part := range parts(capture, 3) {
		files[fmt.Sprintf("rotated.pcap0%d", i)] = part
		files[fmt.Sprintf("folder/web-%d.pcap", i)] = part
	}
	for name, data := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink(filepath.Join(top, "testdata"), filepath.Join(dir, "testdata")); err != nil {
		t.Fatal(err)
	}
	if out, code := run(t, dir, "tcplife check capture.pcap --write-baseline baseline.json"); code != 0 {
		t.Fatal(out)
	}
	seen := 0
	for _, page := range pages(t) {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(consoleBlock.ReplaceAllString(string(text), "")) {
			command, ok := shownCommand(line)
			if !ok {
				continue
			}
			seen++
			t.Run(command, func(t *testing.T) {
				follows := strings.Contains(command, "tcplife live ")
				if follows && !strings.Contains(command, "--duration") {
					// It would go on for ever.
					command = strings.Replace(command, "tcplife live ", "tcplife live --duration 1s ", 1)
				}
				out, code := run(t, dir, command)
				if follows && code == exitOpen && strings.Contains(out, "interface") {
					return // nothing but the interface of that name, or the right to it, is missing
				}
				if strings.Contains(command, "--ui") && code == exitUsage && strings.Contains(out, "standard output is none") {
					return // nothing but the terminal is missing
				}
				if code == 0 && (out != "" || strings.Contains(command, "--output") || strings.Contains(command, " -w ")) || code == exitFindings && strings.Contains(command, "--fail-on") {
					return
				}
				t.Errorf("%s: exit code %d: %.500s", filepath.Base(page), code, out)
			})
		}
	}
	if seen < 20 {
		t.Errorf("only %d commands", seen)
	}
}

// remark stands behind a command, two blanks or more away.
var remark = regexp.MustCompile(`  +\S.*$`)

// shownCommand returns the command of an indented line of a page, if it is one.
func shownCommand(line string) (string, bool) {
	command, indented := strings.CutPrefix(strings.TrimRight(line, "\n"), "    ")
	command = strings.Replace(command, "go run ./cmd/tcplife ", "tcplife ", 1)
	first, _, _ := strings.Cut(command, " ")
	if !indented || !slices.Contains([]string{"tcplife", "tcpdump", "find"}, first) || !strings.Contains(command, "tcplife ") {
		return "", false
	}
	return remark.ReplaceAllString(command, ""), true
}

func unpacked(t *testing.T, path string) []byte {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	return b
}
