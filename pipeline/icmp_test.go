package pipeline

import (
	"encoding/binary"
	"strings"
	"testing"
	"time"

	"github.com/tcplife/tcplife/wire"
)

// unreachable makes the ICMP error that a router sends for a packet.
func unreachable(p *packet) []byte {
	quote, _ := p.append(nil)
	quote = quote[14:][:20+8]
	b := append([]byte(nil), 2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0, 0x45, 0)
	be := binary.BigEndian
	b = be.AppendUint16(b, 20+8+uint16(len(quote)))
	b = append(b, 0, 0, 0, 0, 64, 1, 0, 0)
	b = be.AppendUint32(b, 0xc0000201)
	b = be.AppendUint32(b, p.src)
	b = append(b, 3, 1, 0, 0, 0, 0, 0, 0)
	return append(b, quote...)
}

// A flood of SYNs that all meet ICMP errors, with more of these between two
// segments than a batch holds of anything. Each error comes to its connection, in
// its place among the segments, and the report is the same however many workers
// there are.
func TestErrorsReachTheirConnections(t *testing.T) {
	const attempts, strays = 40, 3 * batchSegments
	var frames []wire.Frame
	at := wire.Time(1_700_000_000_000_000_000)
	add := func(b []byte, length uint32) {
		at = at.Add(time.Millisecond)
		frames = append(frames, wire.Frame{At: at, Link: wire.LinkEthernet, Data: b, Length: length})
	}
	for i := range attempts {
		p := packet{src: 0x0a000001, dst: 0x0a000002, srcPort: uint16(40000 + i), dstPort: 80, seq: uint32(i) * 1e6, flags: wire.SYN}
		b, length := p.append(nil)
		add(b, length)
		if i == attempts/2 {
			stray := p
			for k := range strays {
				stray.srcPort = uint16(1000 + k)
				e := unreachable(&stray)
				add(e, uint32(len(e)))
			}
		}
		e := unreachable(&p)
		add(e, uint32(len(e)))
	}
	number(frames)
	sameForAll(t, frames, []string{"ndjson", "text"}, allJobs, []uint64{1, 77})
	out, s := reportOf(t, frames, "ndjson", 2, 3)
	if s.Connections != attempts || s.Inputs[0].Segments != attempts || s.Inputs[0].Skipped[wire.SkipICMP] != attempts+strays {
		t.Errorf("%d connections, %d segments, %d errors", s.Connections, s.Inputs[0].Segments, s.Inputs[0].Skipped[wire.SkipICMP])
	}
	for _, o := range objects(t, out) {
		if o.Type == "connection" && (!strings.Contains(o.line, `"reason":"icmp"`) || strings.Count(o.line, `"event":"icmp"`) != 1) {
			t.Errorf("not ended by its error: %s", o.line)
		}
	}
}
