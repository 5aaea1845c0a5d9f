package scenario

import (
	"archive/zip"
	"cmp"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/tcplife/tcplife/finding"
	"github.com/tcplife/tcplife/incident"
	"github.com/tcplife/tcplife/reassembly"
	"github.com/tcplife/tcplife/report"
	"github.com/tcplife/tcplife/wire"
)

// cutsVariable is the environment variable that, set to "all", has every capture cut
// at each of its frames: some 35,000 cuts of the kernel's captures.
const cutsVariable = "TCPLIFE_CUTS"

// TestCutsTakeNothingBack cuts captures. What is said with certainty after the cut must
// stand in the whole capture, on the same connection, of the same endpoint: the end of a
// capture proves nothing. An incident may become part of a graver one. Cut are those of the scenarios, and those of the kernel's truth
// in testdata and beside the repository; short ones at every frame, long ones at a sample.
func TestCutsTakeNothingBack(t *testing.T) {
	captures := cutCaptures(t)
	names := slices.Sorted(maps.Keys(captures))
	if testing.Short() {
		names = names[:len(names)/8]
	}
	for _, name := range names {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			frames := heardOf(t, captures[name])
			j := newJudge()
			whole, graver := j.certain(frames)
			for _, n := range cuts(name, len(frames)) {
				cut, _ := j.certain(frames[:n])
				for said, message := range cut {
					_, stands := whole[said]
					id, _, _ := strings.Cut(strings.TrimPrefix(said, incidents), " ")
					if !stands && !(strings.HasPrefix(said, incidents) && graver[id]) {
						t.Errorf("cut after frame %d of %d: %s, which the whole capture takes back: %s", n, len(frames), said, message)
						return
					}
				}
			}
		})
	}
}

// cuts returns after which frames a capture is cut.
func cuts(name string, frames int) (at []int) {
	// The work grows with the square of the length. Half of the truth's captures are
	// shorter than that.
	const most = 120
	if frames <= most || os.Getenv(cutsVariable) == "all" {
		for n := 1; n < frames; n++ {
			at = append(at, n)
		}
		return at
	}
	// The same for each run, and others for each capture.
	seed := uint64(len(name))
	for _, c := range name {
		seed = seed*31 + uint64(c)
	}
	return rand.New(rand.NewPCG(seed, 1)).Perm(frames - 1)[:most]
}

// cutCaptures returns what there is to cut, by name.
func cutCaptures(t *testing.T) map[string][]byte {
	t.Helper()
	all := map[string][]byte{}
	const data = "../../testdata"
	pcaps, _ := filepath.Glob(data + "/pcaps/*.pcap")
	beside, _ := filepath.Glob("../../../shared/truth/*/capture.pcap")
	for _, path := range append(pcaps, beside...) {
		file, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		dir := filepath.Base(filepath.Dir(path))
		all[dir+"/"+filepath.Base(path)] = file
	}
	archives, _ := filepath.Glob(data + "/truth/*.zip")
	for _, path := range archives {
		z, err := zip.OpenReader(path)
		if err != nil {
			t.Fatal(err)
		}
		defer z.Close()
		for _, f := range z.File {
			if !strings.HasSuffix(f.Name, "/capture.pcap") {
				continue
			}
			r, err := f.Open()
			if err != nil {
				t.Fatal(err)
			}
			file, err := io.ReadAll(r)
			if err != nil {
				t.Fatal(err)
			}
			all[filepath.Base(path)+"/"+strings.TrimSuffix(f.Name, "/capture.pcap")] = file
		}
	}
	if len(pcaps) == 0 || len(archives) == 0 {
		t.Fatalf("%d captures of scenarios and %d archives in %s", len(pcaps), len(archives), data)
	}
	return all
}

// heard is what a frame gives: segments and ICMP errors, or a reason why neither.
type heard struct {
	at       wire.Time
	snapped  bool
	skip     wire.Skip
	segments []wire.Segment
	errors   []wire.ICMP
}

func heardOf(t *testing.T, file []byte) (all []heard) {
	t.Helper()
	frames, err := read(file, PcapNanos)
	if err != nil {
		t.Skipf("wants a capture that a plain pcap reader reads: %v", err)
	}
	var d wire.Decoder
	for i := range frames {
		h := heard{at: frames[i].At, snapped: uint64(frames[i].Length) > uint64(len(frames[i].Data))}
		var s wire.Segment
		skip, ok := d.Decode(&frames[i], &s), true
		h.skip = skip
		for ; ok; skip, ok = d.More(&frames[i], &s) {
			switch skip {
			case wire.SkipNone:
				h.segments = append(h.segments, s)
			case wire.SkipICMP:
				h.errors = append(h.errors, *d.ICMP())
			}
		}
		all = append(all, h)
	}
	return all
}

// judge says what the report of a capture would say with certainty.
type judge struct{ rules *finding.Set }

func newJudge() *judge { return &judge{finding.NewSet(finding.All())} }

// incidents begins what is said about many connections.
const incidents = "incident "

// certain returns what is certain, with its message: about a connection, which rule and
// number, of whom; incidents by their scope; and what is said about the capture. graver
// are the incidents that other ones explain.
func (j *judge) certain(frames []heard) (said map[string]string, graver map[string]bool) {
	said, graver = map[string]string{}, map[string]bool{}
	sums := incident.New(incident.Config{Profile: reassembly.Linux})
	var summary report.Summary
	tracker := reassembly.New(reassembly.Config{Settled: func(c *reassembly.Conn, _ uint64) {
		ends := []string{c.Tuple.Source().String(), c.Tuple.Destination().String()}
		sorted := slices.Sorted(slices.Values(ends)) // which is the client may become known later
		name := fmt.Sprintf("%s from frame %d", strings.Join(sorted, " "), c.First.Number())
		found := j.rules.Check(c)
		for _, f := range found {
			if f.Confidence == finding.Certain {
				who := "both"
				if f.Endpoint != finding.Both {
					who = ends[f.Endpoint]
				}
				said[fmt.Sprintf("%s: %s %s about %s", name, f.Rule.ID, f.Catalogue, who)] = f.Message
			}
		}
		sums.Add(c, found, nil)
		d := report.NewDigest(&report.Connection{Conn: c, Findings: found})
		summary.Count(&d)
	}})
	in := report.Input{}
	for i := range frames {
		h := &frames[i]
		if h.skip != wire.SkipNone {
			in.Skipped[h.skip]++
		}
		if h.snapped {
			in.Snapped++
			in.SnappedAt = cmp.Or(in.SnappedAt, wire.NewFrameID(0, uint64(i+1)))
		}
		if i > 0 && h.at < frames[i-1].at {
			in.Backwards++
			in.BackwardsAt = cmp.Or(in.BackwardsAt, wire.NewFrameID(0, uint64(i+1)))
			in.StepBack = max(in.StepBack, frames[i-1].at.Sub(h.at))
		}
		for k := range h.errors {
			tracker.Quoted(&h.errors[k])
		}
		for k := range h.segments {
			in.Segments++
			tracker.Feed(&h.segments[k])
			tracker.Advance(h.segments[k].At)
		}
	}
	tracker.Flush()
	in.Frames = uint64(len(frames))
	summary.Inputs = []report.Input{in}
	for _, x := range sums.Incidents(incident.All(), func(wire.EncapID) []string { return nil }) {
		for _, f := range x.Folds {
			graver[f.ID] = true
		}
		if x.Confidence == finding.Certain {
			said[fmt.Sprintf(incidents+"%s %s about %s", x.Rule.ID, x.Catalogue, x.Scope)] = x.Message
		}
	}
	for _, f := range summary.CaptureFindings() {
		if f.Confidence == finding.Certain {
			said["the capture: "+f.Rule.ID] = f.Message
		}
	}
	return said, graver
}
