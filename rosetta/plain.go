package rosetta

import (
	"github.com/tcplife/tcplife/reassembly"
	"github.com/tcplife/tcplife/wire"
)

// plain takes a segment of which no view has anything to say: the next payload or the
// next acknowledgment of an established connection. It reports false, and has done
// nothing, if the segment may be more than that. Nearly all segments of a transfer are
// plain, and what it does is what see would do, in a fifth of the time.
func (l *life) plain(s *wire.Segment, from reassembly.Side, p *pools) bool {
	z := &l.zeek
	o := int(from & 1)
	if z.swapped {
		o ^= 1
	}
	e, peer := &z.ends[o&1], &z.ends[o&1^1]
	kind := uint16(seenACK)
	bit := CompleteACK
	if s.Len > 0 {
		kind, bit = seenData, CompleteDATA
	}
	switch {
	case s.Flags&(wire.SYN|wire.FIN|wire.RST|wire.ACK) != wire.ACK || s.Window == 0,
		!z.begun || z.canceled || z.deleteAt != 0 || z.seen&(kind<<(8*o)) == 0 || !z.talked[o&1],
		e.state != zeekEstablished || peer.state != zeekEstablished || e.sentFIN || peer.sentFIN,
		s.At >= z.expireAt || s.At >= z.last.Add(zeekIdles[z.idle]):
		return false
	}
	// A SYN-ACK that opens a stream leaves the other side's numbers to be learnt.
	if w := l.stream(p); !w.known[0] || !w.known[1] || w.streams == 1 && (w.bits&bit == 0 || !w.several) {
		return false
	}
	if l.tcptrace.connections == 0 || s.At.Sub(l.tcptrace.last) > tcptraceIdle {
		return false
	}
	if e.order.beyond|peer.order.beyond != 0 || e.order.skips || peer.order.skips {
		return false
	}

	// The sender's payload comes next, and was not acknowledged before it came.
	seq, past := uint32(s.Seq-e.start), s.Seq.Add(s.Len)
	snapped := s.Traits&wire.TraitSnapped != 0 // Zeek has the number, not the payload
	switch acked := uint32(e.acked - e.start); {
	case s.Len == 0:
		if s.Seq.After(e.last) {
			return false
		}
	case s.Seq != e.last || past < e.last:
		return false
	case !snapped && (seq != e.order.delivered || before(seq, acked) || before(seq, e.order.trimmed) ||
		acked <= 1 || seq+s.Len-e.order.trimmed > zeekExcessive):
		return false
	}
	rel := uint32(s.Ack - peer.start)
	if s.Ack < peer.acked || s.Ack.Before(peer.acked) || before(rel, peer.order.trimmed) || s.Ack == 0 {
		return false
	}
	if before(peer.order.delivered, rel) {
		// One gap more, as in any capture of headers alone. Where it is worth a letter is
		// for the long way to find.
		if rel <= 2 || peer.order.gaps == 0 || (peer.order.gaps+1)%10 == 0 {
			return false
		}
		peer.order.gaps++
		peer.order.delivered = rel
	}

	peer.acked, peer.order.trimmed = s.Ack, rel
	if s.Len > 0 {
		e.last = past
		if !snapped {
			e.order.delivered = seq + s.Len
		}
	}
	z.last, l.tcptrace.last = s.At, s.At
	return true
}
