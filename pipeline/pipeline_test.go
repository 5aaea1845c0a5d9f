package pipeline

import (
	"bytes"
	"context"
	"encoding/json"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"github.com/tcplife/tcplife/capture"
	"github.com/tcplife/tcplife/reassembly"
	"github.com/tcplife/tcplife/report"
	"github.com/tcplife/tcplife/wire"
)

// tester is what testing.TB and rapid.T have in common.
type tester interface {
	Helper()
	Fatal(args ...any)
	Fatalf(format string, args ...any)
}

// noLeaks fails the test if it leaves goroutines behind. Tests that use it do not
// run in parallel with others.
func noLeaks(t *testing.T) {
	t.Helper()
	before := runtime.NumGoroutine()
	t.Cleanup(func() {
		// A goroutine that has done its work may still be on its way out.
		for wait := time.Millisecond; wait < 4*time.Second; wait *= 2 {
			if runtime.NumGoroutine() <= before {
				return
			}
			time.Sleep(wait)
		}
		stacks := make([]byte, 1<<16)
		t.Errorf("%d goroutines before, %d after:\n%s", before, runtime.NumGoroutine(), stacks[:runtime.Stack(stacks, true)])
	})
}

func format(t tester, name string) report.Format {
	t.Helper()
	if name == "discard" {
		return Discard{}
	}
	f, err := report.New(name)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// config returns a configuration that writes into out.
func config(t tester, src capture.Source, name string, out *bytes.Buffer) *Config {
	return &Config{Source: src, Name: "test.pcap", Format: format(t, name), Output: out, Report: report.Options{Inputs: []string{"test.pcap"}}}
}

// reportOf runs the pipeline on frames and returns what it printed.
func reportOf(t tester, frames []wire.Frame, name string, jobs int, seed uint64) (string, *report.Summary) {
	t.Helper()
	var out bytes.Buffer
	cfg := config(t, play(frames), name, &out)
	cfg.Jobs = jobs
	s, err := run(context.Background(), cfg, reassembly.Seed{A: seed, B: seed * 0x9e3779b97f4a7c15})
	if err != nil {
		t.Fatal(err)
	}
	return out.String(), s
}

// object is the part of an NDJSON line that these tests look at.
type object struct {
	Type        string
	ID          uint64
	UID         string
	CommunityID string `json:"community_id"`
	FirstFrame  uint64 `json:"first_frame"`
	LastFrame   uint64 `json:"last_frame"`
	Encap       []string
	Packets     map[string]uint64
	Interrupted bool
	Client      struct{ IP string }
	line        string
}

func objects(t tester, ndjson string) []object {
	t.Helper()
	var all []object
	for line := range bytes.Lines([]byte(ndjson)) {
		if bytes.HasPrefix(line, []byte(`{"type":"finding"`)) {
			continue // of no connection alone
		}
		var o object
		if err := json.Unmarshal(line, &o); err != nil {
			t.Fatalf("%v in %s", err, line)
		}
		o.line = string(line)
		all = append(all, o)
	}
	return all
}

// scenarioFiles returns the captures of the scenarios.
func scenarioFiles(t tester) []string {
	t.Helper()
	files, err := filepath.Glob("../testdata/pcaps/*.pcap")
	if err != nil || len(files) == 0 {
		t.Fatalf("no scenario captures in ../testdata/pcaps: %v (make pcaps writes them)", err)
	}
	return files
}

// scenarioMedley plays all scenarios into one capture, each begun a while after the
// other, all of them the given number of times.
func scenarioMedley(t tester, rounds int, gap time.Duration) []wire.Frame {
	t.Helper()
	var all []wire.Frame
	begin := wire.Time(1_700_000_000_000_000_000)
	for range rounds {
		for _, file := range scenarioFiles(t) {
			frames, err := load(file)
			if err != nil {
				t.Fatal(err)
			}
			shift := begin - frames[0].At
			for _, f := range frames {
				f.At += shift
				all = append(all, f)
			}
			begin = begin.Add(gap)
		}
	}
	return number(all)
}
