package pipeline

import (
	"context"
	"io"
	"math/rand/v2"
	"runtime"
	"testing"
	"time"

	"github.com/tcplife/tcplife/capture"
	"github.com/tcplife/tcplife/report"
	"github.com/tcplife/tcplife/wire"
)

// raced says that the race detector runs along.
var raced bool

// stream makes a capture while it is read: short connections one after the other,
// a few at a time.
type stream struct {
	rng    *rand.Rand
	left   int // connections to begin
	gap    time.Duration
	active [8]actor
	at     wire.Time
	frames uint64
	data   []byte
	// every so many frames look is called.
	every uint64
	look  func()
}

func (s *stream) Next(f *wire.Frame) error {
	if s.frames%s.every == 0 {
		s.look()
	}
	for range s.active {
		a := &s.active[s.rng.IntN(len(s.active))]
		if a.over() {
			if s.left == 0 {
				continue
			}
			s.left--
			*a = actor{steps: plots["orderly"], seqs: [2]uint32{s.rng.Uint32(), s.rng.Uint32()}}
			a.src, a.dst = 0x0a000000+s.rng.Uint32N(1<<16), 0x0a800000+s.rng.Uint32N(1<<8)
			a.srcPort, a.dstPort = uint16(32768+s.rng.IntN(1<<15)), 443
		}
		p := a.frame()
		s.at = s.at.Add(s.gap)
		s.frames++
		var length uint32
		s.data, length = p.append(s.data[:0])
		*f = wire.Frame{ID: wire.NewFrameID(0, s.frames), At: s.at, Link: wire.LinkEthernet, Data: s.data, Length: length}
		return nil
	}
	return io.EOF
}

func (s *stream) Info() capture.Info { return capture.Info{Frames: s.frames} }
func (s *stream) Close() error       { return nil }

// Memory follows the connections that are open, in TIME_WAIT or remembered for
// what may come late: here those of the last three minutes, however long the
// capture.
func TestMemoryFollowsOpenConnections(t *testing.T) {
	if raced {
		t.Skip("the race detector's own memory is counted too: run without -race")
	}
	connections := 120_000
	if testing.Short() {
		connections = 60_000 // ten minutes
	}
	const perSecond = 100
	var heap []uint64
	s := &stream{rng: rand.New(rand.NewPCG(1, 1)), left: connections, gap: time.Second / perSecond / time.Duration(len(plots["orderly"])), every: 10 * uint64(connections) / 8}
	s.look = func() {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		heap = append(heap, m.HeapInuse)
	}
	sum, err := Run(context.Background(), &Config{Source: s, Name: "stream", Jobs: 2, Format: format(t, "ndjson"), Output: io.Discard, Report: report.Options{Inputs: []string{"stream"}}})
	if err != nil || sum.Connections != uint64(connections) {
		t.Fatalf("%v, %d connections", err, sum.Connections)
	}
	t.Logf("heap in use, MiB: %d", func() (mib []uint64) {
		for _, h := range heap {
			mib = append(mib, h>>20)
		}
		return mib
	}())
	// Up to 19000 connections are held and 12000 remembered, 1 KiB and more each, in
	// chunks of which every tracker has at least one of every kind. All connections
	// would need 200 MiB and more.
	bound := uint64(96 << 20)
	for i, h := range heap[1:] {
		if h > heap[0]+bound {
			t.Errorf("%d MiB in use after %d frames, %d before", h>>20, uint64(i+1)*s.every, heap[0]>>20)
		}
	}
	// What is there at half time must not grow any more, but for noise: how many
	// connections a worker holds varies.
	if first, last := heap[len(heap)/2], heap[len(heap)-1]; last > first+first/4 {
		t.Errorf("%d MiB in use at half time, %d at the end", first>>20, last>>20)
	}
}
