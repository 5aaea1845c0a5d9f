package incident_test

import (
	"math/rand/v2"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tcplife/tcplife/finding"
	"github.com/tcplife/tcplife/incident"
)

// TestCutsTakeNoIncidentBack cuts each traffic script's capture at a sample of its frames:
// an incident that is certain after the cut stands in the whole capture, or is part of a
// graver one. (What single
// connections and the kernel's captures show is cut in internal/scenario.)
func TestCutsTakeNoIncidentBack(t *testing.T) {
	// Incidents come and go over many frames, so that few cuts meet each of them. What
	// takes seconds to analyze is cut less often.
	const most, work = 20, 200_000
	for _, path := range trafficFiles(t) {
		name := strings.TrimSuffix(filepath.Base(path), ".txt")
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			script, err := readTraffic(path)
			if err != nil {
				t.Fatal(err)
			}
			frames := script.frames(t)
			_, whole := analyze(t, frames, name, "text", 1)
			stands := map[string]bool{}
			for i := range whole.Incidents {
				in := &whole.Incidents[i]
				stands[about(in)] = in.Confidence == finding.Certain
				for _, f := range in.Folds {
					stands[f.ID] = true
				}
			}
			// The same for each run.
			rng := rand.New(rand.NewPCG(uint64(len(frames)), 1))
			for range min(most, 1+work/len(frames), len(frames)-1) {
				n := 1 + rng.IntN(len(frames)-1)
				_, cut := analyze(t, frames[:n], name, "text", 1)
				for i := range cut.Incidents {
					if in := &cut.Incidents[i]; in.Confidence == finding.Certain && !stands[about(in)] && !stands[in.Rule.ID] {
						t.Errorf("cut after frame %d of %d: %s, which the whole capture takes back: %s", n, len(frames), about(in), in.Message)
					}
				}
			}
		})
	}
}

// about names what an incident says of whom.
func about(in *incident.Incident) string {
	return in.Rule.ID + " " + in.Catalogue + " about " + in.Scope.String()
}
