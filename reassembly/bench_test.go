package reassembly

import (
	"runtime"
	"testing"
	"time"

	"github.com/tcplife/tcplife/wire"
)

// benchSeed is not zero: with the zero seed all IPv4 addresses have one hash.
var benchSeed = Seed{0x9ddfea08eb382d69, 0xc2b2ae3d27d4eb4f}

// flow feeds a script again and again, each time as another connection, its
// segments at the pace of the clock.
type flow struct {
	t     *Tracker
	segs  []wire.Segment
	seg   wire.Segment // the one that is fed; here, because what Feed is given escapes
	n     uint64
	clock wire.Time
	step  time.Duration // from one connection to the next
}

func newFlow(s *script, step time.Duration) *flow {
	return &flow{t: New(Config{Seed: benchSeed, Settled: func(*Conn, uint64) {}}), segs: s.segs, clock: scriptStart, step: step}
}

// next feeds one connection.
func (f *flow) next() {
	f.n++
	for i := range f.segs {
		s := &f.seg
		*s = f.segs[i]
		port := uint16(1024 + f.n%60_000)
		address := f.n / 60_000
		if s.Tuple.DstPort == 443 {
			s.Tuple.SrcPort, s.Tuple.Src.Lo = port, s.Tuple.Src.Lo+address<<8
		} else {
			s.Tuple.DstPort, s.Tuple.Dst.Lo = port, s.Tuple.Dst.Lo+address<<8
		}
		s.At = f.clock.Add(s.At.Sub(scriptStart))
		s.Frame = wire.NewFrameID(0, f.n)
		f.t.Feed(s)
	}
	f.clock = f.clock.Add(f.step)
	f.t.Advance(f.clock)
}

// short is a connection of ten segments: handshake, request, answer, close.
func short() *script {
	s := newScript().handshake().client(psh, 1, 1, payload(180)).server(psh, 1, 181, payload(1400)).client(ack, 181, 1401)
	return s.client(fin, 181, 1401).server(fin, 1401, 182).client(ack, 182, 1402)
}

// TestNoAllocations: in the steady state a segment costs no allocation, be the
// connections long or short.
func TestNoAllocations(t *testing.T) {
	t.Run("open connections", func(t *testing.T) {
		tr := New(Config{Seed: benchSeed, Settled: func(*Conn, uint64) {}})
		const conns = 100
		var segs []wire.Segment
		for i := range uint16(conns) {
			s := newScript()
			s.tuple.SrcPort += i
			s.handshake().client(psh, 1, 1, payload(100)).server(ack, 1, 101).client(psh, 101, 1, payload(100))
			for j := range s.segs {
				tr.Feed(&s.segs[j])
			}
			segs = append(segs, s.segs[3], s.segs[4])
		}
		seq := uint32(200)
		at := scriptStart.Add(time.Second)
		s := new(wire.Segment) // what Feed is given escapes
		if n := testing.AllocsPerRun(200, func() {
			for i := range segs {
				*s = segs[i]
				at++
				s.At = at
				if s.Len > 0 {
					s.Seq = s.Seq.Add(seq)
				} else {
					s.Ack = s.Ack.Add(seq)
				}
				tr.Feed(s)
			}
			seq += 100
			tr.Advance(at)
		}); n != 0 {
			t.Errorf("%v allocations for %d segments of data and acknowledgments", n, len(segs))
		}
	})
	t.Run("short connections", func(t *testing.T) {
		f := newFlow(short(), 20*time.Millisecond)
		for range 60_000 { // until as many leave as come, the tombs, too
			f.next()
		}
		if n := testing.AllocsPerRun(20_000, f.next); n != 0 {
			t.Errorf("%v allocations for each connection of %d segments", n, len(f.segs))
		}
	})
}

// BenchmarkFeed gives the time for each segment of a capture of one kind.
func BenchmarkFeed(b *testing.B) {
	for _, bb := range []struct {
		name string
		s    *script
	}{
		{"short", short()},
		{"bulk", transfer(1000, 0)},
		{"loss", transfer(1000, 20)},
		{"synflood", newScript().client(syn, 0, 0)},
	} {
		b.Run(bb.name, func(b *testing.B) {
			f := newFlow(bb.s, time.Millisecond)
			for range 200_000 / len(bb.s.segs) {
				f.next()
			}
			b.ReportAllocs()
			b.ResetTimer()
			n := 0
			for ; n < b.N; n += len(f.segs) {
				f.next()
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(n), "ns/segment")
		})
	}
}

// transfer sends n segments; one in lossy is captured and then sent again.
func transfer(n, lossy uint32) *script {
	s := newScript().handshake()
	for i := range n {
		s.after(10*time.Microsecond).client(psh, 1+1400*i, 1, payload(1400))
		if lossy > 0 && i%lossy == 0 {
			s.after(10*time.Millisecond).client(psh, 1+1400*i, 1, payload(1400))
		}
		if i%2 == 1 {
			s.after(10*time.Microsecond).server(ack, 1, 1401+1400*i)
		}
	}
	return s.clientCloses2(1 + 1400*n)
}

// BenchmarkOpen reports what a connection costs while it is held: a full one after
// handshake and a request, and one that is attempted only.
func BenchmarkOpen(b *testing.B) {
	const conns = 1_000_000
	for _, bb := range []struct {
		name string
		s    *script
	}{
		{"established", newScript().handshake().client(psh, 1, 1, payload(180)).server(psh, 1, 181, payload(1400))},
		{"attempted", newScript().client(syn, 0, 0)},
	} {
		b.Run(bb.name, func(b *testing.B) {
			for range b.N {
				var before, after runtime.MemStats
				runtime.GC()
				runtime.ReadMemStats(&before)
				f := newFlow(bb.s, 0)
				for range conns {
					f.next()
				}
				runtime.GC()
				runtime.ReadMemStats(&after)
				if f.t.Open() != conns {
					b.Fatalf("%d connections held", f.t.Open())
				}
				b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/conns, "B/connection")
				runtime.KeepAlive(f)
			}
		})
	}
}
