package pipeline

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tcplife/tcplife/finding"
	"github.com/tcplife/tcplife/report"
)

// greedy hides what a format says of its needs, so that everything is computed.
type greedy struct{ report.Format }

// What a format does not ask for must not show: neither that it was left out, nor that
// it was there.
func TestNeedsDoNotShow(t *testing.T) {
	for seed := range uint64(6) {
		wish := taste{Frames: 100 + 3000*int(seed), Active: 40, Hosts: 8, Lost: 40, Doubled: 20, Repeated: 40, Noise: 20, Backwards: 10, BackwardsSpan: time.Second, Pause: 4, Leap: 1, VLANs: int(seed % 3)}
		frames := generate(seed, wish)
		for _, o := range []report.Options{{}, {All: true}, {Dwell: true, RTT: true}, {Peers: []string{"wireshark", "argus"}}} {
			for _, name := range []string{"text", "csv", "ndjson"} {
				var got [2]bytes.Buffer
				for i, lean := range []bool{true, false} {
					cfg := config(t, play(frames), name, &got[i])
					cfg.Jobs, cfg.Report = 1+int(seed), o
					cfg.Report.Inputs = []string{"test.pcap"}
					if !lean {
						cfg.Format = greedy{cfg.Format}
					}
					if _, err := Run(context.Background(), cfg); err != nil {
						t.Fatal(err)
					}
				}
				if a, b := got[0].String(), got[1].String(); a != b {
					t.Fatalf("%s with %+v: only what it asks for, and everything:\n%s", name, o, firstDifference(a, b))
				}
			}
		}
	}
}

// Whoever counts all findings in order keeps the same examples.
func TestExamplesPicksAllThatAreShown(t *testing.T) {
	rules := finding.All()[:3]
	for seed := range uint64(40) {
		rng := rand.New(rand.NewPCG(seed, 5))
		var workers [3]examples
		var all, some report.Summary
		picked, given := 0, 0
		for batch := range uint64(30) {
			type settling struct {
				d      report.Digest
				stamp  uint64
				picked bool
			}
			var list []settling
			stamps := rng.Perm(5000)
			for range rng.IntN(40) {
				s := settling{stamp: uint64(stamps[len(list)])}
				for range 1 + rng.IntN(2) {
					s.d.Findings = append(s.d.Findings, finding.Finding{Rule: rules[rng.IntN(len(rules))], Severity: finding.Severity(rng.IntN(3)), Confidence: finding.Confidence(rng.IntN(3)), Message: fmt.Sprint(batch)})
				}
				s.picked = workers[rng.IntN(len(workers))].pick(batch, s.stamp, s.d.Findings)
				list = append(list, s)
			}
			slices.SortFunc(list, func(a, b settling) int { return int(a.stamp) - int(b.stamp) })
			for i := range list {
				all.Show(list[i].stamp, &list[i].d)
				given++
				if list[i].picked {
					some.Show(list[i].stamp, &list[i].d)
					picked++
				}
			}
		}
		var a, b [][]report.Example
		for i, f := range all.Findings() {
			a, b = append(a, f.Examples), append(b, some.Findings()[i].Examples)
		}
		if diff := cmp.Diff(a, b); diff != "" {
			t.Fatalf("of all connections, of those picked:\n%s", diff)
		}
		if given > 200 && picked > given/2 {
			t.Errorf("%d of %d are picked", picked, given)
		}
	}
}
