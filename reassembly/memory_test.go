package reassembly

import (
	"runtime"
	"testing"

	"github.com/tcplife/tcplife/wire"
)

// TestBytesPerConnection bounds what a connection takes that is held: floods and servers
// of long connections bring millions, and one that has closed is held for 2MSL. Measured are
// 88 octets for a SYN, 221 for a handshake and 417 for ten segments behind the SYN; the
// bounds leave room for tables that have just grown to twice their size.
func TestBytesPerConnection(t *testing.T) {
	const conns = 100_000
	for _, c := range []struct {
		name     string
		segments int
		bound    uint64
	}{{"a SYN without answer", 1, 120}, {"a handshake", 3, 260}, {"a short connection", 11, 460}} {
		t.Run(c.name, func(t *testing.T) {
			before := heapHeld()
			tr := New(Config{Seed: benchSeed, Settled: func(*Conn, uint64) {}})
			s := newScript().handshake().client(psh, 1, 1, payload(200)).server(ack, 1, 201).server(psh, 1, 201, payload(900)).client(ack, 201, 901).
				client(fin, 201, 901).server(ack, 901, 202).server(fin, 901, 202).client(ack, 202, 902)
			frame := uint64(0)
			for i := range conns {
				for j := range c.segments {
					seg := s.segs[j]
					frame++
					seg.Frame = wire.NewFrameID(0, frame)
					host := &seg.Tuple.Src
					if seg.Tuple != s.tuple {
						host = &seg.Tuple.Dst
					}
					host.Lo += uint64(i)
					tr.Feed(&seg)
				}
			}
			if tr.Open() != conns {
				t.Fatalf("%d connections are held", tr.Open())
			}
			per := (heapHeld() - before) / conns
			t.Logf("%d octets", per)
			if per > c.bound {
				t.Errorf("%d octets for each connection, the bound is %d", per, c.bound)
			}
			runtime.KeepAlive(tr)
		})
	}
}

// TestLinesOfTheCache: what lies together does, and no record begins in the middle of a line.
func TestLinesOfTheCache(t *testing.T) {
	for _, c := range []struct {
		name      string
		is, bound int
	}{{"a lone SYN", octets[lone](), 64}, {"a brief record", octets[brief](), 3 * 64}, {"a block of entries", octets[entries](), 64}, {"a tomb", octets[tomb](), 64}} {
		if c.is > c.bound || c.is < c.bound-8 { // where words have 32 bits, some end sooner
			t.Errorf("%s takes %d octets, want %d", c.name, c.is, c.bound)
		}
	}
}

func heapHeld() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}
