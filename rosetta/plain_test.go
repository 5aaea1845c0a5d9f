package rosetta

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	_ "github.com/tcplife/tcplife/internal/property"
	"github.com/tcplife/tcplife/reassembly"
	"github.com/tcplife/tcplife/wire"
)

// The short way for plain segments leaves exactly what the long way would.
func TestPlainIsTheSame(t *testing.T) {
	taken := 0
	gaps := make([]time.Duration, 50)
	for i := range gaps {
		gaps[i] = time.Millisecond
	}
	copy(gaps[45:], []time.Duration{time.Second, time.Second, 7 * time.Second, 250 * time.Second, 301 * time.Second})
	rapid.Check(t, func(t *rapid.T) {
		var short, long life
		var pools pools
		tuple := ports{40000, uint16(rapid.SampledFrom([]int{80, 7777}).Draw(t, "port"))}
		short.tuple, long.tuple = tuple, tuple
		next := [2]wire.Seq{wire.Seq(rapid.SampledFrom([]uint32{1000, 0xfffffff0}).Draw(t, "isn")), 5000}
		at := wire.Time(1_700_000_000_000_000_000)
		headersOnly := rapid.IntRange(0, 3).Draw(t, "headers only") == 3
		opening := rapid.IntRange(0, 4).Draw(t, "opening") != 4
		for i := range rapid.IntRange(20, 150).Draw(t, "segments") {
			from := reassembly.Side(rapid.IntRange(0, 1).Draw(t, "from"))
			s := wire.Segment{At: at, Window: 500, Flags: wire.ACK, Seq: next[from], Ack: next[from^1], Len: uint32(rapid.SampledFrom([]int{0, 0, 10, 10, 10, 100_000}).Draw(t, "len"))}
			switch {
			case opening && i < 3:
				from = []reassembly.Side{0, 1, 0}[i]
				s.Flags = []wire.Flags{wire.SYN, wire.SYN | wire.ACK, wire.ACK}[i]
				s.Seq, s.Ack, s.Len = next[from], next[from^1], 0
			case rapid.IntRange(0, 29).Draw(t, "odd") == 29:
				s.Flags = rapid.SampledFrom([]wire.Flags{wire.ACK, wire.SYN, wire.SYN | wire.ACK, wire.FIN | wire.ACK, wire.RST, wire.PSH, 0}).Draw(t, "flags")
				s.Window = uint16(rapid.IntRange(0, 1).Draw(t, "window"))
				s.Seq = s.Seq.Add(uint32(rapid.IntRange(-20, 20).Draw(t, "seq")))
				s.Ack = s.Ack.Add(uint32(rapid.IntRange(-20, 20).Draw(t, "ack")))
			}
			if headersOnly && s.Len > 0 {
				s.Traits = wire.TraitSnapped
			}
			if end := s.End(); end.After(next[from]) {
				next[from] = end
			}
			at = at.Add(gaps[rapid.IntRange(0, 99).Draw(t, "gap")%len(gaps)])

			seg := ofSegment(&s, from)
			long.see(&seg, &pools)
			if short.plain(&s, from, &pools) {
				taken++
			} else {
				short.see(&seg, &pools)
			}
			a, b := short, long
			for k := range a.zeek.ends { // these name places in the pools
				a.zeek.ends[k].order.beyond, b.zeek.ends[k].order.beyond = 0, 0
			}
			a.zeek.more, b.zeek.more = 0, 0
			if a != b {
				t.Fatalf("segment %d: %s", i, cmp.Diff(b, a, cmp.AllowUnexported(life{}, zeek{}, zeekEnd{}, zeekOrder{}, wireshark{}, tcptrace{}, ports{})))
			}
		}
	})
	if taken < 100 {
		t.Errorf("only %d segments went the short way", taken)
	}
}

// A SYN out of turn opens another stream, whose numbers the next segments tell: also
// those that are plain otherwise.
func TestPlainAfterSYN(t *testing.T) {
	var short, long life
	var pools pools
	short.tuple, long.tuple = ports{40000, 80}, ports{40000, 80}
	at := wire.Time(1_700_000_000_000_000_000)
	for i, x := range []struct {
		from     reassembly.Side
		flags    wire.Flags
		seq, ack wire.Seq
		len      uint32
		window   uint16
	}{
		{0, wire.SYN, 1000, 0, 0, 500}, {1, wire.SYN | wire.ACK, 5000, 1001, 0, 500}, {0, wire.ACK, 1001, 5001, 0, 500},
		{1, wire.ACK, 5001, 1001, 10, 500}, {0, wire.SYN | wire.ACK, 1001, 5011, 0, 0}, {0, wire.ACK, 1002, 5011, 0, 500},
		{1, wire.ACK, 5011, 1002, 10, 500}, {1, wire.SYN, 5010, 1002, 0, 0}, {0, wire.ACK, 1002, 5021, 0, 500},
	} {
		if at = at.Add(time.Millisecond); i == 4 {
			at = at.Add(301 * time.Second)
		}
		s := wire.Segment{At: at, Window: x.window, Flags: x.flags, Seq: x.seq, Ack: x.ack, Len: x.len}
		seg := ofSegment(&s, x.from)
		long.see(&seg, &pools)
		if !short.plain(&s, x.from, &pools) {
			short.see(&seg, &pools)
		}
		if short.wireshark != long.wireshark {
			t.Fatalf("segment %d: %+v, want %+v", i, short.wireshark, long.wireshark)
		}
	}
}
