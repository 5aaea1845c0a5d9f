package scenario

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "rewrite the expectation sections of scenarios that fail to what the program says; "+
	"READ THE DIFF: an expectation comes from an RFC, a kernel or a peer, and a changed one is either a bug fixed or a bug made")

const (
	scenarioDir = "../../testdata/scenarios"
	pcapDir     = "../../testdata/pcaps"
)

func load(t testing.TB) []*Script {
	t.Helper()
	all, err := Load(scenarioDir)
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// TestScenarios runs every script in every variant. Only the first variant that
// fails is printed in full: the others mostly fail for the same reason.
func TestScenarios(t *testing.T) {
	for _, s := range load(t) {
		t.Run(s.Name(), func(t *testing.T) {
			t.Parallel()
			if *update {
				rewrite(t, s)
				return
			}
			failed := 0
			for _, v := range Matrix() {
				err := s.Run(v, rules)
				var f *Failure
				switch {
				case err == nil:
				case failed > 0 && errors.As(err, &f):
					failed++
				default:
					failed++
					t.Error(err)
				}
			}
			if failed > 1 {
				t.Errorf("%d of %d variants fail", failed, len(Matrix()))
			}
		})
	}
}

// rewrite is -update for one script.
func rewrite(t *testing.T, s *Script) {
	t.Helper()
	seen, err := s.Observe(Variant{}, rules)
	if err != nil {
		t.Fatal(err)
	}
	if len(s.Compare(seen, true)) == 0 {
		return
	}
	text, err := os.ReadFile(s.File)
	if err != nil {
		t.Fatal(err)
	}
	out, err := s.Update(text, seen, true)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(s.File, out, 0o644); err != nil {
		t.Fatal(err)
	}
	t.Logf("%s rewritten: read the diff", s.File)
}

// TestLayout holds every script to the canonical form that Print writes, so that
// -update and migrations of the language change nothing else.
func TestLayout(t *testing.T) {
	for _, s := range load(t) {
		text, err := os.ReadFile(s.File)
		if err != nil {
			t.Fatal(err)
		}
		if printed := s.Print(); string(printed) != string(text) {
			if *update {
				if err := os.WriteFile(s.File, printed, 0o644); err != nil {
					t.Fatal(err)
				}
				continue
			}
			t.Errorf("%s is not in canonical form: %s", s.File, firstDifference(text, printed))
		}
		if s.Title() == "" {
			t.Errorf("%s says nothing about itself", s.File)
		}
	}
}

func firstDifference(have, want []byte) string {
	h, w := strings.Split(string(have), "\n"), strings.Split(string(want), "\n")
	for i := range min(len(h), len(w)) {
		if h[i] != w[i] {
			return fmt.Sprintf("line %d\nhave %q\nwant %q", i+1, h[i], w[i])
		}
	}
	return fmt.Sprintf("%d lines, want %d", len(h), len(w))
}

// follows lists the transitions that RFC 9293 figure 5 and its notes allow; any
// state may also end in CLOSED (reset, abort, timeout). A timeline may begin in
// the middle when the capture did.
var follows = map[string]string{
	"SYN_SENT":     "SYN_RECEIVED ESTABLISHED FIN_WAIT_1",
	"SYN_RECEIVED": "ESTABLISHED FIN_WAIT_1 CLOSE_WAIT",
	"ESTABLISHED":  "FIN_WAIT_1 CLOSE_WAIT",
	"FIN_WAIT_1":   "FIN_WAIT_2 CLOSING TIME_WAIT",
	"FIN_WAIT_2":   "TIME_WAIT",
	"CLOSE_WAIT":   "LAST_ACK",
	"CLOSING":      "TIME_WAIT",
	"LAST_ACK":     "",
	"TIME_WAIT":    "",
	"CLOSED":       "",
}

// TestExpectedArcs guards against slips of the pen in expectations: each expected
// timeline walks along the figure.
func TestExpectedArcs(t *testing.T) {
	for _, s := range load(t) {
		for _, l := range s.States {
			for i, st := range l.Steps[min(1, len(l.Steps)):] {
				from := l.Steps[i].State
				if st.State != "CLOSED" && !strings.Contains(" "+follows[from]+" ", " "+st.State+" ") || from == "CLOSED" {
					t.Errorf("%s:%d: %s to %s is no arc of RFC 9293 figure 5", s.File, l.Number, from, st.State)
				}
			}
		}
	}
}

// TestPcapsFresh fails when a capture, or the table of captures, is older than
// its script.
func TestPcapsFresh(t *testing.T) {
	const remedy = "run make pcaps"
	readme, err := os.ReadFile(filepath.Join(pcapDir, "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	files, err := Generated(load(t), readme)
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range files {
		have, err := os.ReadFile(filepath.Join(pcapDir, name))
		if err != nil {
			t.Errorf("%v: %s", err, remedy)
		} else if string(have) != string(want) {
			t.Errorf("%s is stale: %s", name, remedy)
		}
	}
	// A capture whose script is gone must be in the table that is written by hand.
	pcaps, _ := filepath.Glob(filepath.Join(pcapDir, "*.pcap"))
	_, byHand, _ := strings.Cut(string(readme), tableEnd)
	for _, p := range pcaps {
		if name := filepath.Base(p); files[name] == nil && !strings.Contains(byHand, name) {
			t.Errorf("%s has neither a scenario nor a line in the README", name)
		}
	}
}
