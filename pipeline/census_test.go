package pipeline

import (
	"bytes"
	"context"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/tcplife/tcplife/census"
	"github.com/tcplife/tcplife/reassembly"
	"github.com/tcplife/tcplife/report"
	"github.com/tcplife/tcplife/wire"
)

// censusOf counts the endpoints in frames.
func censusOf(t tester, frames []wire.Frame, name string, wish *report.CensusOptions, jobs int, seed uint64) (string, *report.Summary) {
	t.Helper()
	f, err := report.NewCensus(name, wish)
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	cfg := config(t, play(frames), "text", &out)
	cfg.Format, cfg.Jobs = f, jobs
	s, err := run(context.Background(), cfg, reassembly.Seed{A: seed, B: seed * 0x9e3779b97f4a7c15})
	if err != nil {
		t.Fatal(err)
	}
	return out.String(), s
}

// Neither the number of workers nor the seed may be seen in a census, in the time
// spent in states, or in the round trips.
func TestSameCensusForAnyJobsAndSeed(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		wish := taste{
			Frames:        rapid.IntRange(1, 2500).Draw(t, "frames"),
			Active:        rapid.SampledFrom([]int{1, 30, 300}).Draw(t, "active"),
			Hosts:         rapid.SampledFrom([]int{1, 6, 100}).Draw(t, "hosts"),
			Lost:          rapid.IntRange(0, 50).Draw(t, "lost"),
			Backwards:     rapid.SampledFrom([]int{0, 10, 200}).Draw(t, "backwards"),
			BackwardsSpan: rapid.SampledFrom([]time.Duration{time.Millisecond, 5 * time.Minute}).Draw(t, "span"),
			Pause:         rapid.SampledFrom([]int{0, 50}).Draw(t, "pause"),
		}
		frames := generate(rapid.Uint64().Draw(t, "seed"), wish)
		middle := frames[len(frames)/2].At
		o := &report.CensusOptions{At: []wire.Time{middle, middle.Add(time.Second)}, Every: rapid.SampledFrom([]time.Duration{0, time.Second}).Draw(t, "every"),
			Top: rapid.IntRange(1, 5).Draw(t, "top")}
		seed := rapid.Uint64().Draw(t, "hash seed")
		for _, name := range []string{"ndjson", "text"} {
			first, _ := censusOf(t, frames, name, o, 1, 1)
			for _, jobs := range []int{1, rapid.SampledFrom(allJobs).Draw(t, "jobs")} {
				if got, _ := censusOf(t, frames, name, o, jobs, seed); got != first {
					t.Fatalf("%s with %d jobs and seed %d differs:\n%s", name, jobs, seed, firstDifference(first, got))
				}
			}
		}
	})
}

// At the end of the capture a census is the count of last states that every
// summary has.
func TestCensusAtTheEndIsTheSummarys(t *testing.T) {
	for _, path := range scenarioFiles(t) {
		f := livesOf(t, path)
		if f.reused {
			continue // a tuple's earlier life is over in a census, and has its last state in the summary
		}
		var want census.Counts
		for side := range f.summary.Census {
			for s, n := range f.summary.Census[side] {
				want[s] += n
			}
		}
		got := f.count([]wire.Time{census.Forever})[0]
		got[reassembly.Listen] = 0 // no connection's
		if got != want {
			t.Errorf("%s: %v, the summary has %v", path, got, want)
		}
	}
}
