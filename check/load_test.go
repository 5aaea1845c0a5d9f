package check_test

import (
	"errors"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/tcplife/tcplife/check"
)

// Each mistake is named with its line and column, and with what was meant.
func TestMistakes(t *testing.T) {
	for _, x := range []struct{ name, text, want string }{
		{"unknown section", "findngs: none\n", `e.yaml:1:1: a document has no "findngs"; did you mean "findings"?`},
		{"unknown section, nothing near", "zzz: 1\n", `e.yaml:1:1: a document has no "zzz": there are captures, capture, census, connections, filters, findings, listeners`},
		{"unknown key", "connections:\n  count: 1\n  closers: client\n", `e.yaml:3:3: connections has no "closers"; did you mean "closer"?`},
		{"unknown key inside", "listeners:\n  https:\n    close:\n      refussed: 0\n", `e.yaml:4:7: close is never "refussed"; did you mean "refused"?`},
		{"unknown finding", "findings:\n  forbidden:\n    - lost-final-akc\n", `e.yaml:3:7: there is no finding "lost-final-akc"; did you mean "lost-final-ack"?`},
		{"unknown severity", "findings:\n  forbidden: [{severity: wraning}]\n", `e.yaml:2:26: severity is never "wraning"; did you mean "warning"?`},
		{"unknown state", "census:\n  end: {CLOSE_WIAT: 0}\n", `e.yaml:2:9: census: "CLOSE_WIAT" is no state; did you mean "CLOSE_WAIT"?`},
		{"state with a hyphen", "connections:\n  dwell: {server CLOSE-WAIT: {max: 1s}}\n", `e.yaml:2:11: dwell: "CLOSE-WAIT" is no state in which one can stay; did you mean "CLOSE_WAIT"?`},
		{"no side", "connections:\n  dwell: {sever CLOSE_WAIT: {max: 1s}}\n", `e.yaml:2:11: dwell: "sever CLOSE_WAIT": give a state, or client or server before one`},
		{"unknown percentile", "connections: {handshake: {rtt: {p100: 1s}}}\n", `e.yaml:1:33: handshake rtt has no "p100"; did you mean "p50"?`},
		{"unknown service", "listeners:\n  htps: {count: 1}\n", `e.yaml:2:3: there is no service of that name here; did you mean https? (or give a port, or ADDRESS:PORT)`},
		{"wrong type: a list", "connections: [1]\n", `e.yaml:1:14: connections is a group of keys, and this is a list`},
		{"wrong type: no list", "filters:\n  count: 0\n", `e.yaml:2:3: filters is a list, and this is a group of keys: write each entry behind a dash`},
		{"wrong type: a word", "connections: three\n", `e.yaml:1:14: connections is a group of keys, and this is "three"`},
		{"wrong type: a group for a bound", "connections:\n  count: {least: 1}\n", `e.yaml:2:10: count is a bound such as 0, "<= 3", "1..5" or "<= 1%", and this is a group of keys`},
		{"wrong type: the top", "- findings: none\n", `e.yaml:1:1: a document is a group of keys, and this is a list`},
		{"no value", "connections:\n  count:\n", `e.yaml:2:3: count has no value`},
		{"no number", "connections: {count: many}\n", `e.yaml:1:22: count: "many" is no number: give 0, "<= 3", "1..5" or "<= 1%"`},
		{"a time for a count", "connections: {close: {reset: 3s}}\n", `e.yaml:1:30: reset: "3s" is a time, and this is counted: give 0, "<= 3", "1..5" or "<= 1%"`},
		{"a count for a time", "connections: {handshake: {rtt: {max: 300}}}\n", `e.yaml:1:38: max: 300 has no unit: write 300ms or 300s: give "<= 100ms" or "1ms..2s"`},
		{"impossible: more than all", "connections: {close: {reset: '<= 101%'}}\n", `e.yaml:1:30: reset: 101% is impossible: a share is from 0% to 100%: give 0, "<= 3", "1..5" or "<= 1%"`},
		{"impossible: less than nothing", "connections: {close: {reset: '< 0'}}\n", `e.yaml:1:30: reset: "< 0" is impossible: nothing can be that`},
		{"impossible: negative", "connections: {close: {reset: -1}}\n", `e.yaml:1:30: reset: -1 is impossible: nothing is counted below 0: give 0, "<= 3", "1..5" or "<= 1%"`},
		{"impossible: two bounds", "connections: {count: '>= 5, <= 3'}\n", `e.yaml:1:22: count: ">= 5, <= 3" is impossible: nothing can be that`},
		{"impossible: turned range", "connections: {handshake: {rtt: {p50: 2s..1s}}}\n", `e.yaml:1:38: p50: "2s..1s" is impossible: nothing can be that`},
		{"impossible: above all", "connections: {close: {reset: '> 100%'}}\n", `e.yaml:1:30: reset: "> 100%" is impossible: nothing can be that`},
		{"impossible: findings", "findings:\n  required:\n    - {id: abort, at_least: 3, at_most: 2}\n", `e.yaml:3:7: at_least 3 and at_most 2: no number is both`},
		{"a share of nothing", "census: {end: {CLOSE_WAIT: '<= 1%'}}\n", `e.yaml:1:28: census: <= 1% is a share, and endpoints are counted: give a number`},
		{"a port", "findings:\n  forbidden: [{id: abort, port: 70000}]\n", `e.yaml:2:33: port: "70000" is no port from 1 to 65535`},
		{"forbids nothing", "findings:\n  forbidden: [{port: 1, endpoint: sever}]\n", `e.yaml:2:35: endpoint is never "sever"; did you mean "server"?`},
		{"twice", "findings: none\nfindings: none\n", `e.yaml:2:1: a document has findings twice: the first is in line 1`},
		{"a filter without count", "filters:\n  - filter: duration > 1\n", `e.yaml:2:5: a filter needs a count: how many connections it may hold for, such as count: 0`},
		{"a filter without expression", "filters:\n  - count: 0\n", `e.yaml:2:5: a filter needs an expression: filter: close.reason == "abort"`},
		{"an expression's mistake", "filters:\n  - filter: close.raeson == \"abort\"\n    count: 0\n", `e.yaml:2:13: filter: there is no field close.raeson; did you mean close.reason? ('tcplife explain fields' lists them)`},
		{"an expression's mistake further right", "filters:\n  - {filter: 'duration > 1 && close.reason == \"abrot\"', count: 0}\n", `e.yaml:2:47: filter: close.reason is never "abrot"; did you mean "abort"?`},
		{"an expression's mistake in a block", "filters:\n  - filter: |\n      duration > 1 &&\n      close.reason == \"abrot\"\n    count: 0\n", `e.yaml:4: filter: close.reason is never "abrot"; did you mean "abort"?`},
		{"an empty document", "captures: a.pcap\n", `e.yaml:1:1: this document expects nothing: give sections such as capture, census, connections, filters, findings, listeners`},
		{"nothing at all", "# later\n", `e.yaml:1:1: there are no expectations in it: give sections such as capture, census, connections, filters, findings, listeners`},
		{"a pattern", "captures: 'a[.pcap'\nfindings: none\n", `e.yaml:1:11: "a[.pcap" is no pattern of names: check the brackets`},
		// What is no YAML.
		{"a bare bound", "connections:\n  count: >= 1\n", `e.yaml:2:10: this is no YAML: did not find expected comment or line break; write the bound in quotes: ">= 1"`},
		{"a tab", "connections:\n\tcount: 1\n", `e.yaml:2:1: this is no YAML: found character that cannot start any token; a tab indents nothing here: use blanks`},
		{"an open quotation mark", "findings:\n  forbidden: [\"abort]\nconnections: {count: 1}\n", `e.yaml:2:15: this is no YAML: found unexpected end of stream; a quotation mark is missing in this line`},
		{"an open bracket", "findings:\n  forbidden: [abort\nconnections: 3\n", `e.yaml:2:14: this is no YAML: did not find expected ',' or ']'; [ and ] do not match in this line`},
		{"two colons", "filters:\n  - name: a: b\n", `e.yaml:2:12: this is no YAML: mapping values are not allowed in this context; a second colon in one line: put the text in quotes`},
		{"indentation", "connections:\n    count: 1\n  closer: client\n", `e.yaml:3:3: this is no YAML: did not find expected key`},
	} {
		t.Run(x.name, func(t *testing.T) {
			_, err := check.Load("e.yaml", []byte(x.text))
			var faults check.Faults
			if !errors.As(err, &faults) {
				t.Fatalf("no fault: %v", err)
			}
			if got := faults.Error(); got != x.want {
				t.Errorf("\n got %s\nwant %s", got, x.want)
			}
		})
	}
}

// All mistakes are told at once, in the order of the file.
func TestSeveralMistakes(t *testing.T) {
	_, err := check.Load("e.yaml", []byte("findings:\n  forbidden: [abrot]\nconnections:\n  count: -1\n  close: {orderli: 1}\n"))
	if err == nil || strings.Count(err.Error(), "\n") != 2 {
		t.Errorf("%v", err)
	}
}

// Anchors and aliases are what they stand for.
func TestAliases(t *testing.T) {
	docs, err := check.Load("e.yaml", []byte("listeners:\n  443: &strict {close: {reset: 0}}\n  444: *strict\n"))
	if err != nil || len(docs) != 1 {
		t.Error(docs, err)
	}
}

// Whatever the file holds: expectations that can be begun, or faults that lie in it.
func FuzzLoad(f *testing.F) {
	for _, text := range []string{
		"", "findings: none\n", "connections: {count: '1..3', closer: client, close: {reset: '<= 1%'}}\n", "listeners:\n  https: {handshake: {rtt: {p99: '<= 1s'}}}\n",
		"filters: [{filter: 'duration > 1', count: 0, name: a}]\n", "census: {end: {CLOSE_WAIT: 0}, peak: {sockets: 3}}\ncapture: {complete: true}\n",
		"a: &a [*a]\n", "captures: [x]\n---\n- 1\n", "\x00", "connections:\n\tcount: >= 1\n", "findings: {required: [{id: abort, at_least: 2, at_most: 1}]}\n", "<<: 1\n? [a]\n: b\n", "filters:\n  - filter: |\n     a\n",
	} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		docs, err := check.Load("e.yaml", text)
		if err == nil {
			if len(docs) == 0 {
				t.Error("neither expectations nor faults")
			}
			check.Begin(docs...)
			return
		}
		var faults check.Faults
		if !errors.As(err, &faults) || len(faults) == 0 {
			t.Fatalf("an error without faults: %v", err)
		}
		lines := strings.Count(string(text), "\n") + strings.Count(string(text), "\r") + 1 + strings.Count(string(text), "\u0085") + strings.Count(string(text), "\u2028") + strings.Count(string(text), "\u2029")
		for _, x := range faults {
			if x.What == "" || x.Line < 1 || x.Line > lines || x.Column < 0 || x.Column > len(text)+1 {
				t.Errorf("a fault outside of the file's %d lines: %v", lines, x)
			}
		}
	})
}

var yamlBlock = regexp.MustCompile("(?ms)^```yaml\n(.*?)^```$")

// TestPagesLoad reads every file of expectations that pages show.
func TestPagesLoad(t *testing.T) {
	seen := 0
	for _, page := range []string{"../docs/ci.md", "../README.md"} {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range yamlBlock.FindAllSubmatch(text, -1) {
			if !strings.Contains(string(m[1]), "connections:") && !strings.Contains(string(m[1]), "listeners:") {
				continue // another kind of file
			}
			seen++
			if _, err := check.Load(page, m[1]); err != nil {
				t.Errorf("%s: %v\n%s", page, err, m[1])
			}
		}
	}
	if seen < 3 {
		t.Errorf("only %d files of expectations in the pages", seen)
	}
}
