package pipeline

import (
	"bytes"
	"cmp"
	"container/heap"
	"context"
	"io"
	"math/rand/v2"
	"os"
	"runtime"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/tcplife/tcplife/report"
	"github.com/tcplife/tcplife/wire"
)

// day makes the traffic of a day while it is read: so many connections of all kinds,
// most of them short, and some that last for an hour or two.
type day struct {
	rng    *rand.Rand
	gap    time.Duration // between two beginnings
	left   int
	begin  wire.Time
	scenes scenes
	data   [2][]byte
	frames uint64
}

// scene is a connection on its way, and when its next frame comes.
type scene struct {
	actor
	at    wire.Time
	pause time.Duration // in the middle
}

type scenes []*scene

func (s scenes) Len() int           { return len(s) }
func (s scenes) Less(i, j int) bool { return s[i].at < s[j].at }
func (s scenes) Swap(i, j int)      { s[i], s[j] = s[j], s[i] }
func (s *scenes) Push(x any)        { *s = append(*s, x.(*scene)) }
func (s *scenes) Pop() any {
	old := *s
	x := old[len(old)-1]
	*s = old[:len(old)-1]
	return x
}

func (d *day) next() (wire.Frame, bool) {
	for d.left > 0 && (len(d.scenes) == 0 || d.scenes[0].at >= d.begin) {
		d.left--
		// Three of four connections are closed in an orderly way. None stays open for good:
		// those would have to take memory.
		name := "orderly"
		if d.rng.IntN(4) == 0 {
			name = plotNames[d.rng.IntN(len(plotNames))]
		}
		if name == "half" || name == "midstream" {
			name = "abort"
		}
		s := &scene{actor: actor{steps: plots[name], seqs: [2]uint32{d.rng.Uint32(), d.rng.Uint32()}}, at: d.begin}
		s.src, s.dst = 0x0a000000+d.rng.Uint32N(1<<12), 0x0a800000+d.rng.Uint32N(1<<6)
		s.srcPort, s.dstPort = uint16(32768+d.rng.IntN(1<<15)), uint16(443+d.rng.IntN(4))
		if d.rng.IntN(200) == 0 {
			s.pause = time.Duration(d.rng.Int64N(int64(time.Hour)))
		}
		heap.Push(&d.scenes, s)
		d.begin = d.begin.Add(d.gap)
	}
	if len(d.scenes) == 0 {
		return wire.Frame{}, false
	}
	s := d.scenes[0]
	f := wire.Frame{At: s.at, Link: wire.LinkEthernet}
	p := s.frame()
	d.frames++
	// The one before is still being read.
	data := &d.data[d.frames%2]
	*data, f.Length = p.append((*data)[:0])
	f.Data, f.ID = *data, wire.NewFrameID(0, d.frames)
	if s.over() {
		heap.Pop(&d.scenes)
	} else {
		if s.actor.next == 5 {
			s.at = s.at.Add(s.pause)
		}
		s.at = s.at.Add(time.Duration(1 + d.rng.Int64N(int64(30*time.Millisecond))))
		heap.Fix(&d.scenes, 0)
	}
	return f, true
}

// TestADay runs for 24 hours by its clock, and neither memory nor goroutines nor files
// grow: the last hour takes as much as the second, give or take a twentieth. It is looked
// six times in an hour, and the median counts: what is on its way at a moment differs. How many
// connections pass in that time says TCPLIFE_DAY; `make day` has a million.
func TestADay(t *testing.T) {
	if raced {
		t.Skip("the race detector's own memory is counted too: run without -race")
	}
	connections := 24_000
	if n, err := strconv.Atoi(os.Getenv("TCPLIFE_DAY")); err == nil {
		connections = n
	}
	d := &day{rng: rand.New(rand.NewPCG(1, 1)), left: connections, gap: 24 * time.Hour / time.Duration(connections), begin: 1_700_000_000_000_000_000}
	s := stage(nil)
	s.frames, s.after = d.next, time.Hour
	const perHour = 6
	type hour struct {
		heap, open   uint64
		goroutines   int
		files        int
		system       uint64
		opened, told uint64
	}
	var looks []hour
	told := uint64(0)
	cfg := config(t, s, "ndjson", &bytes.Buffer{})
	cfg.Output, cfg.Jobs = io.Discard, 2
	// What many connections show together has memory of its own, which is full after some
	// ten thousand of them, and does not grow any more; here after some hundred.
	part := max(usualIncidentPart*1_000_000/connections, usualIncidentPart)
	cfg.Live = &Live{Clock: s, IncidentPart: part, Every: time.Hour / perHour, Event: func(*Event) { told++ }, Incident: func(*report.LiveIncident) {},
		View: func() View { return View{Rows: 40, Listeners: 10} },
		Snapshot: func(x *Snapshot) {
			if x.Last {
				return
			}
			runtime.GC()
			var m runtime.MemStats
			runtime.ReadMemStats(&m)
			h := hour{heap: m.HeapAlloc, system: m.Sys, open: x.Open, goroutines: runtime.NumGoroutine(), opened: x.Opened, told: told}
			if fds, err := os.ReadDir("/proc/self/fd"); err == nil {
				h.files = len(fds)
			}
			looks = append(looks, h)
		}}
	left := uint64(0)
	cfg.Each = func(uint64, *report.Digest) { left++ }
	sum, err := Run(context.Background(), cfg)
	if err != nil || sum.Connections < uint64(connections) {
		t.Fatalf("%v, %d connections", err, sum.Connections)
	}
	var hours []hour // the median of each, by heap
	for ; len(looks) >= perHour; looks = looks[perHour:] {
		one := looks[:perHour]
		slices.SortFunc(one, func(a, b hour) int { return cmp.Compare(a.heap, b.heap) })
		hours = append(hours, one[perHour/2])
	}
	for i, h := range hours {
		t.Logf("hour %2d: %5d KiB of heap, %5d KiB from the system, %d connections open of %d, %d events, %d goroutines, %d files",
			i+1, h.heap>>10, h.system>>10, h.open, h.opened, h.told, h.goroutines, h.files)
	}
	if len(hours) < 24 || left != sum.Connections {
		t.Fatalf("%d hours, %d connections left of %d", len(hours), left, sum.Connections)
	}
	second, last := hours[1], hours[23]
	if last.heap > second.heap+second.heap/20 {
		t.Errorf("%d KiB of heap in the second hour, %d in the last", second.heap>>10, last.heap>>10)
	}
	for i, h := range hours {
		if h.goroutines != hours[0].goroutines || h.files != hours[0].files {
			t.Errorf("hour %d: %d goroutines and %d files, in the first %d and %d", i+1, h.goroutines, h.files, hours[0].goroutines, hours[0].files)
		}
	}
}
