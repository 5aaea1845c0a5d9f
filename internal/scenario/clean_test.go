package scenario

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/tcplife/tcplife/finding"
	"github.com/tcplife/tcplife/reassembly"
	"github.com/tcplife/tcplife/wire"
)

// clean are the scenarios of the kernel's truth in which nothing was impaired and every
// connection ended as its programs wanted. (In what stands between them a connection is
// reset, left open for long, or loses packets.)
var clean = regexp.MustCompile(`/(v6_)?(plain_client_close|plain_server_close|three_segment_close|seq_wrap|snaplen_64|ether_padding|syncookies|defer_accept|data_in_syn|simultaneous_open|keepalive_alive)(-[0-9]+)?$`)

// TestCleanTruthGivesNoWarning: what went well in the kernels gives no finding on a
// connection that is a warning or worse.
func TestCleanTruthGivesNoWarning(t *testing.T) {
	names := 0
	for name, file := range cutCaptures(t) {
		if !strings.Contains(name, ".zip/") || !clean.MatchString(name) {
			continue
		}
		names++
		for said, n := range warnings(heardOf(t, file)) {
			if said != "" {
				t.Errorf("%s: %d of: %s", name, n, said)
			}
		}
	}
	if names < 30 {
		t.Errorf("%d clean scenarios in the archives, want 30 at least", names)
	}
}

// TestOrderlyGivesNoWarning: of the connections of the benchmark's generator only those
// may be warned of that it made to fail. It says itself how many of each sort it made.
func TestOrderlyGivesNoWarning(t *testing.T) {
	const generator = "../../../shared/bench/genpcap"
	if _, err := os.Stat(generator); err != nil {
		t.Skipf("wants the benchmark's generator of captures in ../shared: %v", err)
	}
	path := filepath.Join(t.TempDir(), "short.pcap")
	run := exec.Command("go", "run", ".", "-mix", "short", "-conns", "5000", "-active", "300", "-o", path)
	run.Dir = generator
	out, err := run.CombinedOutput()
	if err != nil {
		t.Skipf("wants go run for the generator in ../shared: %v", err)
	}
	var made struct {
		Connections int
		Lives       map[string]int
	}
	if err := json.Unmarshal(out, &made); err != nil {
		t.Fatal(err)
	}
	file, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	got := warnings(heardOf(t, file))
	if made.Lives["orderly"] < made.Connections/2 || got[""] < made.Lives["orderly"] {
		t.Errorf("%d of %d connections give no warning, of %v made", got[""], made.Connections, made.Lives)
	}
	sorts := map[string]string{"late-data-reset": "late-data-reset", "lost-final-ack": "final-ack-lost", "closed-port-reset": "refused", "abort": "aborted", "syn-unanswered": "unanswered"}
	for said, n := range got {
		id, _, _ := strings.Cut(said, " ")
		if sort := sorts[id]; id != "" && n > made.Lives[sort] {
			t.Errorf("%d connections give %s, and %d were made so", n, said, made.Lives[sort])
		}
	}
}

// warnings counts connections by the first rule that warns of them, "" for none.
func warnings(frames []heard) map[string]int {
	rules, said := finding.NewSet(finding.All()), map[string]int{}
	tracker := reassembly.New(reassembly.Config{Settled: func(c *reassembly.Conn, _ uint64) {
		first := ""
		for _, f := range rules.Check(c) {
			if f.Severity >= finding.Warning && first == "" {
				first = f.Rule.ID + " " + f.Catalogue
			}
		}
		said[first]++
	}})
	for i := range frames {
		for k := range frames[i].segments {
			tracker.Feed(&frames[i].segments[k])
			tracker.Advance(wire.Time(frames[i].at))
		}
	}
	tracker.Flush()
	return said
}
