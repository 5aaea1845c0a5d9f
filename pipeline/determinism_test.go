package pipeline

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/tcplife/tcplife/capture"
	"github.com/tcplife/tcplife/wire"
)

// sameForAll runs frames with several numbers of workers and several seeds and
// fails unless all reports are the same to the byte.
func sameForAll(t tester, frames []wire.Frame, formats []string, jobs []int, seeds []uint64) {
	t.Helper()
	for _, name := range formats {
		var first string
		for _, j := range jobs {
			for _, seed := range seeds {
				got, _ := reportOf(t, frames, name, j, seed)
				if first == "" {
					first = got
				}
				if got != first {
					t.Fatalf("%s with %d jobs and seed %d differs:\n%s", name, j, seed, firstDifference(first, got))
				}
			}
		}
	}
}

// firstDifference shows the first line in which two texts differ, from shortly
// before the place.
func firstDifference(a, b string) string {
	la, lb := strings.Split(a, "\n"), strings.Split(b, "\n")
	for i := range min(len(la), len(lb)) {
		if x, y := la[i], lb[i]; x != y {
			at := 0
			for at < min(len(x), len(y)) && x[at] == y[at] {
				at++
			}
			from := max(at-80, 0)
			return fmt.Sprintf("line %d, column %d:\n- %.200s\n+ %.200s", i+1, at+1, x[from:], y[from:])
		}
	}
	return fmt.Sprintf("%d lines and %d", len(la), len(lb))
}

// allJobs includes one worker for all, many with hardly a connection each, and more than
// are allowed.
var allJobs = []int{1, 2, 3, 8, 64, 200}

// The seed chooses places in tables and, with the number of workers, which connections
// share a tracker: neither may be seen in the report. Time that steps back by minutes, as in
// captures joined in the wrong order, is where state that a tracker's connections
// share shows.
func TestSameReportForAnyJobsAndSeed(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		wish := taste{
			Frames:        rapid.IntRange(1, 2500).Draw(t, "frames"),
			Active:        rapid.SampledFrom([]int{1, 5, 30, 300}).Draw(t, "active"),
			Hosts:         rapid.SampledFrom([]int{1, 3, 6, 100}).Draw(t, "hosts"),
			Lost:          rapid.IntRange(0, 100).Draw(t, "lost"),
			Doubled:       rapid.IntRange(0, 100).Draw(t, "doubled"),
			Repeated:      rapid.IntRange(0, 100).Draw(t, "repeated"),
			Noise:         rapid.IntRange(0, 100).Draw(t, "noise"),
			Backwards:     rapid.SampledFrom([]int{0, 10, 200}).Draw(t, "backwards"),
			BackwardsSpan: rapid.SampledFrom([]time.Duration{time.Millisecond, 5 * time.Second, 5 * time.Minute}).Draw(t, "span"),
			Pause:         rapid.SampledFrom([]int{0, 5, 50}).Draw(t, "pause"),
			Leap:          rapid.SampledFrom([]int{0, 2}).Draw(t, "leap"),
			VLANs:         rapid.SampledFrom([]int{0, 3, 20}).Draw(t, "vlans"),
		}
		frames := generate(rapid.Uint64().Draw(t, "seed"), wish)
		jobs := []int{1, rapid.SampledFrom(allJobs).Draw(t, "jobs")}
		seeds := []uint64{1, rapid.Uint64().Draw(t, "hash seed")}
		sameForAll(t, frames, []string{"ndjson"}, jobs, seeds)
	})
}

// Captures in which a tracker's connections have influenced each other: by the queue
// of those that have left, when time steps back, and by the encapsulations that a
// tracker has met.
func TestSameReportWhateverTheNeighbours(t *testing.T) {
	for _, seed := range []uint64{1, 3, 9} {
		frames := generate(seed, taste{Frames: 8000, Active: 30, Hosts: 6, Lost: 20, Doubled: 20, Repeated: 30, Noise: 10, Backwards: 200,
			BackwardsSpan: 5 * time.Minute, Pause: 4, Leap: 1, VLANs: int(seed)})
		sameForAll(t, frames, []string{"ndjson"}, []int{1, 5, 64}, []uint64{1, 2, 77})
	}
}

func TestSameReportOfScenarios(t *testing.T) {
	for _, gap := range []time.Duration{10 * time.Millisecond, 3 * time.Minute} {
		frames := scenarioMedley(t, 2, gap)
		sameForAll(t, frames, []string{"ndjson"}, allJobs, []uint64{1, 77})
		sameForAll(t, frames, []string{"text"}, []int{1, 3, 64}, []uint64{77})
	}
}

// A leap in time while more than manyOpen connections wait to be forgotten goes in
// steps, and the flush in portions: neither may depend on who was fast.
func TestSameReportInStepsAndPortions(t *testing.T) {
	at := wire.Time(1_700_000_000_000_000_000)
	var frames []wire.Frame
	attempts := func(n int) {
		for i := range n {
			at = at.Add(400 * time.Microsecond)
			p := packet{src: 0x0a000000 + uint32(i), dst: 0x0a800000, srcPort: uint16(len(frames)), dstPort: 443, seq: uint32(i), flags: syn}
			data, length := p.append(nil)
			frames = append(frames, wire.Frame{At: at, Link: wire.LinkEthernet, Data: data, Length: length})
		}
	}
	attempts(manyOpen + 12*batchSegments)
	at = at.Add(time.Hour)
	attempts(manyOpen/2 + 1)
	number(frames)

	sameForAll(t, frames, []string{"csv"}, []int{1, 64}, []uint64{77})

	out, _ := reportOf(t, frames, "ndjson", 2, 1)
	until := map[string]int{}
	for line := range strings.Lines(out) {
		if _, rest, ok := strings.Cut(line, `"until":"`); ok {
			until[rest[:19]]++
		}
	}
	most := 0
	for _, n := range until {
		most = max(most, n)
	}
	// 2500 attempts a second end within a second of each other; and the second half
	// at the end of the input.
	if most > manyOpen/2+2*batchSegments {
		t.Errorf("%d connections settled in one epoch", most)
	}
}

// trickle hands a pipe's reader one octet at a time.
func trickle(t *testing.T, pcap []byte) capture.Source {
	t.Helper()
	src, err := capture.NewReader(iotest.OneByteReader(bytes.NewReader(pcap)), "-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { src.Close() })
	return src
}

func TestPipeGivesTheSameAsFile(t *testing.T) {
	noLeaks(t)
	pcap := pcapBytes(generate(5, taste{Frames: 2500, Active: 20, Hosts: 5, Lost: 20, Repeated: 20, Noise: 20, Pause: 5}))
	reports := map[string]string{}
	for _, how := range []string{"whole", "trickle"} {
		src, err := capture.NewReader(bytes.NewReader(pcap), "-")
		if err != nil {
			t.Fatal(err)
		}
		if how == "trickle" {
			src = trickle(t, pcap)
		}
		var out bytes.Buffer
		if _, err := Run(context.Background(), config(t, src, "ndjson", &out)); err != nil {
			t.Fatal(err)
		}
		reports[how] = out.String()
	}
	if reports["whole"] != reports["trickle"] {
		t.Error(firstDifference(reports["whole"], reports["trickle"]))
	}
}

func TestNumbersAreByFirstFrame(t *testing.T) {
	out, s := reportOf(t, generate(3, taste{Frames: 20000, Active: 100, Hosts: 8, Pause: 3, VLANs: 2}), "ndjson", 3, 9)
	first := map[uint64]uint64{}
	for _, o := range objects(t, out) {
		if o.Type != "connection" {
			continue
		}
		if _, twice := first[o.ID]; twice {
			t.Errorf("id %d is given twice", o.ID)
		}
		first[o.ID] = o.FirstFrame
	}
	if uint64(len(first)) != s.Connections || len(first) < 1000 {
		t.Fatalf("%d ids, %d connections", len(first), s.Connections)
	}
	last := uint64(0)
	for id := range uint64(len(first)) {
		frame, ok := first[id+1]
		if !ok {
			t.Fatalf("no id %d among %d", id+1, len(first))
		}
		if frame <= last {
			t.Fatalf("id %d begins with frame %d, the one before with %d", id+1, frame, last)
		}
		last = frame
	}
}

// Each segment belongs to one connection or to one late group.
func TestEverySegmentIsCountedOnce(t *testing.T) {
	captures := map[string][]wire.Frame{"scenarios": scenarioMedley(t, 3, 50*time.Second)}
	for seed := range uint64(3) {
		captures[fmt.Sprint("generated ", seed)] = generate(seed, taste{Frames: 6000, Active: 50, Hosts: 5, Lost: 50, Doubled: 50, Repeated: 80, Noise: 30,
			Backwards: 30, BackwardsSpan: time.Minute, Pause: 5, Leap: 1, VLANs: 3})
	}
	for name, frames := range captures {
		out, s := reportOf(t, frames, "ndjson", 2, 3)
		var got struct{ connections, late uint64 }
		for _, o := range objects(t, out) {
			switch o.Type {
			case "connection":
				got.connections += o.Packets["client"] + o.Packets["server"]
			case "late":
				got.late += o.Packets["client"] + o.Packets["server"]
			}
		}
		if want := s.Inputs[0].Segments; got.connections+got.late != want {
			t.Errorf("%s: %d segments in connections and %d late, of %d", name, got.connections, got.late, want)
		}
		if got.late != s.LatePackets || got.late == 0 {
			t.Errorf("%s: %d late segments printed, %d counted", name, got.late, s.LatePackets)
		}
		if diff := cmp.Diff(s.Packets[0]+s.Packets[1], got.connections); diff != "" {
			t.Errorf("%s: summary and connections differ:\n%s", name, diff)
		}
		if f := s.Inputs[0]; f.Segments+sum(f.Skipped[:]) != uint64(len(frames)) {
			t.Errorf("%s: %d segments and %d skipped, of %d frames", name, f.Segments, sum(f.Skipped[:]), len(frames))
		}
	}
}

func sum(n []uint64) (all uint64) {
	for _, k := range n {
		all += k
	}
	return all
}
