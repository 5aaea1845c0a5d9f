package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/tcplife/tcplife/finding"
	"github.com/tcplife/tcplife/incident"
	"github.com/tcplife/tcplife/reassembly"
)

// invoke runs a command line inside this process.
func invoke(t *testing.T, stdin []byte, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, errOut bytes.Buffer
	code = run(context.Background(), args, bytes.NewReader(stdin), &out, &errOut)
	return code, out.String(), errOut.String()
}

// commands calls f with each command that users see.
func commands(f func(c *cobra.Command)) {
	var walk func(c *cobra.Command)
	walk = func(c *cobra.Command) {
		f(c)
		for _, sub := range c.Commands() {
			walk(sub)
		}
	}
	root := newRoot(newStreams(strings.NewReader(""), &bytes.Buffer{}, &bytes.Buffer{}))
	walk(root)
}

// TestExamples runs every example of the help texts.
func TestExamples(t *testing.T) {
	capture, err := os.ReadFile(filepath.Join(pcapDir, "lost-final-ack-after-tap.pcap"))
	if err != nil {
		t.Fatal(err)
	}
	t.Chdir(t.TempDir())
	if err := os.WriteFile("capture.pcap", capture, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile("expect.yaml", []byte("capture: {frames: '>= 1'}\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"before.pcap", "after.pcap"} {
		if err := os.WriteFile(name, capture, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir("folder", 0o755); err != nil {
		t.Fatal(err)
	}
	for i, part := range parts(capture, 2) {
		for _, name := range []string{"rotated.pcap0%d", "folder/%d.pcap"} {
			if err := os.WriteFile(fmt.Sprintf(name, i), part, 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
	seen := 0
	commands(func(c *cobra.Command) {
		if c.Long != "" && c.Example == "" && c.Name() != "tcplife" && !strings.Contains(c.CommandPath(), "completion") {
			t.Errorf("%s has no example", c.CommandPath())
		}
		for line := range strings.Lines(c.Example) {
			seen++
			if strings.Contains(line, "--write-baseline ") {
				os.Remove("baseline.json") // what it refuses to overwrite
			}
			_, command, ok := strings.Cut(line, "tcplife ")
			if !ok {
				t.Errorf("%s: the example %q does not run tcplife", c.CommandPath(), line)
				continue
			}
			// What stands before is a pipe from a program that captures, or lists files.
			in := capture
			if strings.Contains(command, "--files-from -") {
				in = []byte("capture.pcap\x00")
			}
			command, _, _ = strings.Cut(command, " | ") // to another program
			if c.Name() == "live" {
				endless(t, in, split(strings.TrimSpace(command)))
				continue
			}
			code, out, errOut := invoke(t, in, split(strings.TrimSpace(command))...)
			if strings.Contains(command, "--ui") && code == exitUsage && strings.Contains(errOut, "standard output is none") {
				continue // nothing but the terminal is missing
			}
			if code != exitOK || out == "" && !strings.Contains(command, "--output") && !strings.Contains(command, " -w ") {
				t.Errorf("%s: exit code %d, output of %d octets, %s", line, code, len(out), errOut)
			}
		}
	})
	if seen < 10 {
		t.Errorf("only %d examples", seen)
	}
}

// endless runs an example that ends when it is interrupted, and interrupts it. It is a
// process of its own, since one that has opened an interface gives its rights away. What
// the example names need not be here, or be allowed: its flags are those that there are.
func endless(t *testing.T, in []byte, args []string) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	program := filepath.Join(t.TempDir(), "tcplife")
	if err := os.Symlink(self, program); err != nil { // see TestMain
		t.Logf("%q is not run: %v", args, err)
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), 500*time.Millisecond)
	defer cancel()
	c := exec.CommandContext(ctx, program, args...)
	c.Cancel, c.WaitDelay = func() error { return c.Process.Signal(os.Interrupt) }, 10*time.Second
	c.Stdin = bytes.NewReader(in)
	out, err := c.CombinedOutput()
	if bytes.Contains(out, []byte("unknown flag")) {
		t.Errorf("%q: %s", args, out)
	}
	// On a busy machine the signal may come before anybody listens for it, and ends the
	// program too.
	if errors.Is(err, exec.ErrWaitDelay) || c.ProcessState == nil || strings.Contains(c.ProcessState.String(), "killed") {
		t.Errorf("%q does not end when it is interrupted: %v", args, err)
	}
}

// split parts a command line as a shell does, as far as the examples need it.
func split(line string) (words []string) {
	for i, part := range strings.Split(line, "'") {
		if i%2 == 1 {
			words = append(words, part)
		} else {
			words = append(words, strings.Fields(part)...)
		}
	}
	return words
}

// TestHelp holds every help text to 80 columns, except for examples, and demands the
// exit status at the end of those that have one.
func TestHelp(t *testing.T) {
	commands(func(c *cobra.Command) {
		path := strings.Fields(c.CommandPath())[1:]
		code, flagged, errOut := invoke(t, nil, append(path, "--help")...)
		if code != exitOK || errOut != "" || flagged == "" {
			t.Errorf("%s --help: exit code %d, %q on standard error", c.CommandPath(), code, errOut)
		}
		for line := range strings.Lines(flagged) {
			if line = strings.TrimSuffix(line, "\n"); len(line) > explainWidth && !strings.Contains(c.Example+c.UseLine(), strings.TrimSpace(line)) && !strings.Contains(c.CommandPath(), "completion") {
				t.Errorf("%s --help: more than %d columns: %s", c.CommandPath(), explainWidth, line)
			}
		}
		code, asked, _ := invoke(t, nil, append([]string{"help"}, path...)...)
		if code != exitOK || asked != flagged {
			t.Errorf("help %s differs from %s --help", path, c.CommandPath())
		}
		if exits := c.Annotations[exitNote]; exits != "" && !strings.HasSuffix(flagged, "\n\n"+exits+"\n") {
			t.Errorf("%s --help does not end with its exit status", c.CommandPath())
		}
		if c.Runnable() && c.Annotations[exitNote] == "" && c.Name() != "help" && !strings.Contains(c.CommandPath(), "completion") {
			t.Errorf("%s: the help does not say the exit status", c.CommandPath())
		}
	})
	for _, code := range []int{exitOK, exitFindings, exitUsage, exitDamaged, exitOpen, exitOutput, exitInterrupted} {
		if !strings.Contains(analyzeExit, "\n  "+strconv.Itoa(code)+" ") {
			t.Errorf("the help of analyze does not mention the exit code %d", code)
		}
	}
}

// TestFlagsAreUsed demands of each flag a script that runs it and, once there is a
// README, a mention there or in docs.
func TestFlagsAreUsed(t *testing.T) {
	scripts := ""
	files, _ := filepath.Glob("testdata/script/*.txtar")
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		scripts += string(text)
	}
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Logf("the README is not written yet: flags are not looked for in it")
		readme = nil
	}
	commands(func(c *cobra.Command) {
		if strings.Contains(c.CommandPath(), "completion") {
			return
		}
		c.LocalFlags().VisitAll(func(f *pflag.Flag) {
			if f.Usage == "" {
				t.Errorf("%s --%s is not explained", c.CommandPath(), f.Name)
			}
			if !strings.Contains(scripts, "--"+f.Name) {
				t.Errorf("%s --%s: no script in testdata/script uses it", c.CommandPath(), f.Name)
			}
			if f.Shorthand != "" && f.Name != "help" && !strings.Contains(scripts, " -"+f.Shorthand+" ") {
				t.Errorf("%s -%s: no script in testdata/script uses it", c.CommandPath(), f.Shorthand)
			}
			if readme != nil && f.Name != "help" && f.Name != "version" && !bytes.Contains(readme, []byte("--"+f.Name)) {
				t.Errorf("the README does not mention --%s", f.Name)
			}
		})
	})
}

// TestExplainEverything prints every text that explain has: each is whole, and
// fits into a terminal.
func TestExplainEverything(t *testing.T) {
	code, list, _ := invoke(t, nil, "explain")
	if rules := len(finding.All()) + len(incident.All()) + len(finding.AllCapture()); code != exitOK || strings.Count(list, "\n") != rules {
		t.Errorf("explain: exit code %d, %d lines for %d rules", code, strings.Count(list, "\n"), rules)
	}
	names := append(ruleIDs(), topicNames()...)
	for _, r := range finding.All() {
		names = append(names, r.Catalogue...)
		for _, topic := range topics {
			if topic.name == r.ID {
				t.Errorf("%s is a rule and a list", r.ID)
			}
		}
	}
	for _, r := range finding.AllCapture() {
		names = append(names, r.Catalogue)
	}
	for _, r := range incident.All() {
		names = append(names, r.Catalogue...)
	}
	for _, name := range names {
		code, text, errOut := invoke(t, nil, "explain", name)
		if code != exitOK || errOut != "" || strings.Count(text, "\n") < 5 {
			t.Errorf("explain %s: exit code %d, %s", name, code, errOut)
		}
		for line := range strings.Lines(text) {
			line = strings.TrimSuffix(line, "\n")
			// A drawing cannot be broken; the widest has a remark beside it.
			if most := explainWidth; len([]rune(line)) > most && !(strings.ContainsAny(line, "|<>") && len([]rune(line)) <= most+4) {
				t.Errorf("explain %s: more than %d columns: %s", name, most, line)
			}
		}
	}
	for _, r := range finding.All() {
		_, text, _ := invoke(t, nil, "explain", r.ID)
		flat := strings.Join(strings.Fields(text), " ")
		for _, part := range []string{r.Title, r.Severity.String(), r.Meaning, r.Signature, r.Alternatives, r.Advice, r.Settings, r.RFC, strings.Join(r.Catalogue, " ")} {
			if !strings.Contains(flat, strings.Join(strings.Fields(part), " ")) {
				t.Errorf("explain %s leaves out %q", r.ID, part)
			}
		}
	}
}

// Whoever looks up what happened finds all that its rule says.
func TestExplainIncidents(t *testing.T) {
	for _, r := range incident.All() {
		_, text, _ := invoke(t, nil, "explain", r.ID)
		flat := strings.Join(strings.Fields(text), " ")
		for _, part := range append([]string{r.Title, r.Severity.String(), r.Meaning, r.Signature, r.Alternatives, r.Advice, r.Settings, r.RFC, strings.Join(r.Catalogue, " ")}, r.Folds...) {
			if !strings.Contains(flat, strings.Join(strings.Fields(part), " ")) {
				t.Errorf("explain %s leaves out %q", r.ID, part)
			}
		}
	}
}

// Whoever looks up a line of the capture's quality finds all that its rule says.
func TestExplainCapture(t *testing.T) {
	for _, r := range finding.AllCapture() {
		_, text, _ := invoke(t, nil, "explain", r.ID)
		flat := strings.Join(strings.Fields(text), " ")
		for _, part := range []string{r.Title, r.Severity.String(), r.Meaning, r.Signature, r.Effect, r.Alternatives, r.Advice, r.Catalogue} {
			if !strings.Contains(flat, strings.Join(strings.Fields(part), " ")) {
				t.Errorf("explain %s leaves out %q", r.ID, part)
			}
		}
	}
}

// TestTopicsAreComplete compares each closed list with the constants in the source
// of package reassembly, which alone knows all of them.
func TestTopicsAreComplete(t *testing.T) {
	words := map[string][]string{}
	for _, topic := range topics {
		for _, w := range topic.words {
			words[topic.name] = append(words[topic.name], w.name)
			if !strings.HasSuffix(w.meaning, ".") {
				t.Errorf("%s: %q is no sentence", topic.name, w.meaning)
			}
		}
	}
	var states []string
	for s := range reassembly.StateCount {
		states = append(states, reassembly.State(s).String())
	}
	same(t, "states", words["states"], states)
	same(t, "close-reasons", words["close-reasons"], reassembly.CloseReasons())
	var evidence, handshakes []string
	for i := range constants(t, "Evidence") {
		evidence = append(evidence, reassembly.Evidence(i).String())
	}
	for i := range constants(t, "HandshakeOutcome") {
		handshakes = append(handshakes, reassembly.HandshakeOutcome(i).String())
	}
	same(t, "evidence", words["evidence"], evidence)
	same(t, "handshake-outcomes", words["handshake-outcomes"], handshakes)
}

func same(t *testing.T, what string, have, want []string) {
	t.Helper()
	if len(want) < 3 || strings.Join(have, " ") != strings.Join(want, " ") {
		t.Errorf("%s:\nexplained %v\n   values %v", what, have, want)
	}
}

// constants counts the constants of a type in package reassembly.
func constants(t *testing.T, typ string) (n int) {
	t.Helper()
	files, _ := filepath.Glob("../../reassembly/*.go")
	for _, file := range files {
		f, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range f.Decls {
			g, ok := d.(*ast.GenDecl)
			if !ok || g.Tok != token.CONST || len(g.Specs) == 0 {
				continue
			}
			first := g.Specs[0].(*ast.ValueSpec)
			if id, ok := first.Type.(*ast.Ident); ok && id.Name == typ {
				for _, s := range g.Specs {
					if ast.IsExported(s.(*ast.ValueSpec).Names[0].Name) {
						n++
					}
				}
			}
		}
	}
	return n
}

func TestFill(t *testing.T) {
	for _, x := range []struct{ in, want string }{
		{"one two three four five", "  one two three\n  four five"},
		{"one\ntwo", "  one two"},
		{"one\n\ntwo", "  one\n\n  two"},
		{"- one two three four\n  five\n- six", "  - one two three\n    four five\n  - six"},
		{"    a --> b\n    c", "  a --> b\n  c"},
		{"averyveryverylongword x", "  averyveryverylongword\n  x"},
		{"", ""},
	} {
		if got := fill(x.in, "  ", 17); got != x.want {
			t.Errorf("fill(%q):\n%s\nwant:\n%s", x.in, got, x.want)
		}
	}
}

func TestDidYouMean(t *testing.T) {
	names := []string{"lost-final-ack", "late-data-reset", "abort", "states"}
	for typed, want := range map[string]string{
		"lost-final-akc": "lost-final-ack", "LOST_FINAL_ACK": "lost-final-ack", "lost-fin": "lost-final-ack", "data-reset": "late-data-reset", "state": "states",
		"zzzzzzzzzzzzzzzzzzzz": "", "": "",
	} {
		if got := didYouMean(typed, names); want == "" && got != "" || want != "" && !strings.Contains(got, `"`+want+`"`) {
			t.Errorf("didYouMean(%q) = %q, want %q", typed, got, want)
		}
	}
}

func TestParseSelector(t *testing.T) {
	for _, good := range []string{"1", "frame:12", "10.0.0.1:1 10.0.0.2:2", "10.0.0.1:1,10.0.0.2:2", "10.0.0.1:1>10.0.0.2:2", "10.0.0.1:1 -> 10.0.0.2:2", "10.0.0.1:1-10.0.0.2:2", "[fd00::1]:1 [fd00::2]:2"} {
		if _, err := parseSelector(good); err != nil {
			t.Error(err)
		}
	}
	for _, bad := range []string{"", "0", "-1", "x", "frame:0", "frame:", "frame:x", "10.0.0.1:1", "10.0.0.1 10.0.0.2", "10.0.0.1:1 10.0.0.2:2 10.0.0.3:3", "10.0.0.1:99999 10.0.0.2:1"} {
		if sel, err := parseSelector(bad); err == nil {
			t.Errorf("parseSelector(%q) = %+v, want an error", bad, sel)
		}
	}
}
