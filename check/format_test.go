package check_test

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/tcplife/tcplife/check"
	"github.com/tcplife/tcplife/finding"
	"github.com/tcplife/tcplife/internal/scenario"
	"github.com/tcplife/tcplife/wire"
)

// results are what formats may meet: nothing, all well, every kind of failure, and
// names that mean something to them.
func results(t *testing.T) map[string][]*check.Result {
	t.Helper()
	file := script(t, healthy+refused+aborted, scenario.Variant{})
	hostile := "a%b:c,d]]>&<\"'#\x1b[31m\n::error::x\\ \xff\u202e \U0010ffff.pcap"
	return map[string][]*check.Result{
		"empty": {},
		"well":  {judged(t, "a.pcap", file, "connections: {count: 3}\nfindings: {required: [abort]}\n")},
		"failures": {
			judged(t, "shop/a.pcap", file, "connections: {count: 2, close: {reset: 0, orderly: all}, closer: client, handshake: {rtt: {p99: 1ms}}}\nfindings: none\nlisteners: {8080: {close: {reset: 0}}}\n"+
				"filters: [{filter: duration > 0.1, count: 0}]\ncensus: {end: {TIME_WAIT: 0}, peak: {sockets: 1}}\ncapture: {frames: 3}\n"),
			{Capture: "gone.pcap", Unread: "open gone.pcap: no such file or directory"},
			{Capture: "quiet.pcap"},
		},
		"hostile": {
			{Capture: hostile, Inputs: []string{hostile, "/abs/b.pcap"}, Start: 1, Unread: "", Remarks: []string{hostile}, Verdicts: []check.Verdict{
				{What: hostile, At: check.Position{File: hostile, Line: 3, Column: 4}, Kind: "findings", Failed: true, Expected: hostile, Found: hostile, More: 7,
					Evidence: []check.Evidence{{Text: hostile, Rule: "abort", Severity: finding.Error, Frames: []wire.FrameID{wire.NewFrameID(1, 7)}}, {Text: hostile}},
					Changes:  []check.Change{{What: hostile, Old: hostile, New: ""}, {What: "b", Old: "", New: hostile}}},
				{What: hostile, Kind: "baseline", Failed: true},
			}},
			{Capture: hostile, Unread: hostile},
		},
	}
}

func printed(t *testing.T, format string, r []*check.Result) []byte {
	t.Helper()
	return printedAs(t, format, r, true)
}

func printedAs(t *testing.T, format string, r []*check.Result, all bool) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := check.Print(&b, format, r, &check.PrintOptions{Version: "1.2.3", All: all}); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// TestGolden shows what each format makes of the same results.
func TestGolden(t *testing.T) {
	for name, r := range results(t) {
		if name == "hostile" {
			continue // its octets would not survive an editor
		}
		for _, format := range check.Formats() {
			got := printed(t, format, r)
			path := filepath.Join("testdata", name+"."+format)
			if *update {
				if err := os.WriteFile(path, got, 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), string(got)); diff != "" {
				t.Errorf("%s (-want +got):\n%s", path, diff)
			}
		}
	}
}

func TestSARIFIsValid(t *testing.T) {
	text, err := os.ReadFile("testdata/schemas/sarif-schema-2.1.0.json")
	if err != nil {
		t.Fatal(err)
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	if err := c.AddResource("sarif.json", doc); err != nil {
		t.Fatal(err)
	}
	schema, err := c.Compile("sarif.json")
	if err != nil {
		t.Fatal(err)
	}
	for name, r := range results(t) {
		out := printed(t, "sarif", r)
		v, err := jsonschema.UnmarshalJSON(bytes.NewReader(out))
		if err == nil {
			err = schema.Validate(v)
		}
		if err != nil {
			t.Errorf("%s: %v\n%s", name, err, out)
		}
		// What the schema cannot say: each result names its rule by number, too.
		var log struct {
			Runs []struct {
				Tool struct {
					Driver struct {
						Rules []struct {
							ID   string
							Help struct{ Text string }
						}
					}
				}
				Results []struct {
					RuleID    string
					RuleIndex int
				}
			}
		}
		if err := json.Unmarshal(out, &log); err != nil {
			t.Fatal(err)
		}
		for _, x := range log.Runs[0].Results {
			rules := log.Runs[0].Tool.Driver.Rules
			if x.RuleIndex >= len(rules) || rules[x.RuleIndex].ID != x.RuleID || rules[x.RuleIndex].Help.Text == "" {
				t.Errorf("%s: result of %s names rule %d", name, x.RuleID, x.RuleIndex)
			}
		}
		if name == "failures" && len(log.Runs[0].Results) < 10 {
			t.Errorf("only %d results", len(log.Runs[0].Results))
		}
	}
	// The schema does refuse what it should.
	broken := bytes.Replace(printed(t, "sarif", results(t)["failures"]), []byte(`"ruleId"`), []byte(`"ruleName"`), 1)
	if v, err := jsonschema.UnmarshalJSON(bytes.NewReader(broken)); err != nil || schema.Validate(v) == nil {
		t.Errorf("a misspelt property is valid (%v)", err)
	}
}

func TestJUnitIsValid(t *testing.T) {
	xmllint, err := exec.LookPath("xmllint")
	if err != nil {
		t.Skip("wants xmllint (Debian's libxml2-utils), which validates against the schema")
	}
	validate := func(text []byte) ([]byte, error) {
		c := exec.Command(xmllint, "--nonet", "--noout", "--schema", "testdata/schemas/junit-10.xsd", "-")
		c.Stdin = bytes.NewReader(text)
		return c.CombinedOutput()
	}
	for name, r := range results(t) {
		text := printed(t, "junit", r)
		if out, err := validate(text); err != nil {
			t.Errorf("%s: %v: %s\n%s", name, err, out, text)
		}
	}
	if _, err := validate(bytes.Replace(printed(t, "junit", results(t)["well"]), []byte("<testcase"), []byte("<testcase colour=\"red\""), 1)); err == nil {
		t.Error("an attribute that the schema does not know is valid")
	}
}

// TestTAPIsRead has Perl's own consumer read it.
func TestTAPIsRead(t *testing.T) {
	prove, err := exec.LookPath("prove")
	if err != nil {
		t.Skip("wants prove (Debian's perl), which reads TAP")
	}
	for name, r := range results(t) {
		path := filepath.Join(t.TempDir(), name+".tap")
		text := printed(t, "tap", r)
		if err := os.WriteFile(path, text, 0o644); err != nil {
			t.Fatal(err)
		}
		out, err := exec.Command(prove, "--merge", "--source", "RawTAP", path).CombinedOutput()
		failed := 0
		for _, x := range r {
			failed += x.Failed()
			if x.Unread != "" {
				failed++
			}
		}
		if bytes.Contains(out, []byte("Parse errors")) || (err != nil) != (failed > 0) {
			t.Errorf("%s: %d failed, and prove says: %v: %s\n%s", name, failed, err, out, text)
		}
	}
}

// TestGitHubCommands reads the annotations by the rules of the runner: a command is a
// line of its own, its properties end at the first double colon.
func TestGitHubCommands(t *testing.T) {
	unescape := strings.NewReplacer("%25", "%", "%0D", "\r", "%0A", "\n", "%3A", ":", "%2C", ",")
	for name, r := range results(t) {
		failed := 0
		for _, x := range r {
			failed += x.Failed()
			if x.Unread != "" {
				failed++
			}
		}
		seen := 0
		for line := range strings.Lines(string(printed(t, "github", r))) {
			command, ok := strings.CutPrefix(strings.TrimSuffix(line, "\n"), "::")
			if !ok {
				continue
			}
			seen++
			head, message, ok := strings.Cut(command, "::")
			level, properties, _ := strings.Cut(head, " ")
			if !ok || level != "error" || strings.TrimSpace(message) == "" && name != "hostile" {
				t.Errorf("%s: %q", name, line)
			}
			for p := range strings.SplitSeq(properties, ",") {
				key, value, ok := strings.Cut(p, "=")
				if value = unescape.Replace(value); !ok || value == "" || key != "file" && key != "line" && key != "col" && key != "title" {
					t.Errorf("%s: %q in %q", name, p, line)
				}
			}
		}
		if seen != failed {
			t.Errorf("%s: %d annotations of %d failures", name, seen, failed)
		}
	}
}

func TestUnknownFormat(t *testing.T) {
	if err := check.HasFormat("junti"); err == nil || !strings.Contains(err.Error(), `did you mean "junit"?`) {
		t.Error(err)
	}
}
