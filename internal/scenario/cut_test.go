package scenario

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/tcplife/tcplife/finding"
	"github.com/tcplife/tcplife/reassembly"
	"github.com/tcplife/tcplife/wire"
)

// TestCutsTakeNothingBack cuts every capture, the short ones at every frame. What a finding says with
// certainty after the cut must stand in the whole capture: the end of a capture
// proves nothing. The kernel's captures are cut too where they are at hand.
func TestCutsTakeNothingBack(t *testing.T) {
	captures, err := filepath.Glob(filepath.Join("..", "..", "testdata", "pcaps", "*.pcap"))
	if err != nil || len(captures) == 0 {
		t.Fatalf("no captures: %v", err)
	}
	if testing.Short() {
		captures = captures[:len(captures)/8]
	} else {
		truth, _ := filepath.Glob(filepath.Join("..", "..", "..", "shared", "truth", "*", "capture.pcap"))
		captures = append(captures, truth...)
	}
	for _, path := range captures {
		t.Run(filepath.Base(filepath.Dir(path))+"/"+filepath.Base(path), func(t *testing.T) {
			t.Parallel()
			segs := segments(t, path)
			set := finding.NewSet(finding.All())
			whole := certain(set, segs)
			// The work grows with the square of the length: of a long capture some 200
			// cuts will do.
			step := 1 + len(segs)/200
			for n := 1; n < len(segs); n += step {
				for said := range certain(set, segs[:n]) {
					if !whole[said] {
						t.Errorf("cut after segment %d of %d: %s, which the whole capture takes back", n, len(segs), said)
						return
					}
				}
			}
		})
	}
}

// segments decodes a capture.
func segments(t *testing.T, path string) (segs []wire.Segment) {
	t.Helper()
	file, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	frames, err := read(file, PcapNanos)
	if err != nil {
		t.Skipf("wants a capture that a plain pcap reader reads: %v", err)
	}
	var d wire.Decoder
	for i := range frames {
		var s wire.Segment
		if d.Decode(&frames[i], &s) == wire.SkipNone {
			segs = append(segs, s)
		}
	}
	return segs
}

// certain tracks the segments and returns what the rules say with certainty: on
// which connection, which rule and number, about whom.
func certain(set *finding.Set, segs []wire.Segment) map[string]bool {
	said := map[string]bool{}
	tracker := reassembly.New(reassembly.Config{Settled: func(c *reassembly.Conn, _ uint64) {
		for _, f := range set.Check(c) {
			// C05d's subject is the end of the capture itself: that it came too early to say
			// whether the close was completed.
			if f.Confidence == finding.Certain && f.Catalogue != "C05d" {
				ends := []string{c.Tuple.Source().String(), c.Tuple.Destination().String()}
				who := "both"
				if f.Endpoint != finding.Both {
					who = ends[f.Endpoint]
				}
				slices.Sort(ends) // which is the client may become known later
				said[fmt.Sprintf("%s from frame %d: %s %s about %s", strings.Join(ends, " "), c.First.Number(), f.Rule.ID, f.Catalogue, who)] = true
			}
		}
	}})
	for i := range segs {
		tracker.Feed(&segs[i])
		tracker.Advance(segs[i].At)
	}
	tracker.Flush()
	return said
}
