package rosetta

import (
	"time"

	"github.com/tcplife/tcplife/reassembly"
	"github.com/tcplife/tcplife/wire"
)

// Nearly all connections open with three segments, go on without a loss, and end with a FIN of
// each side, with a RST, or not at all. No row of Zeek's ends within such a one, no stream of
// Wireshark's begins in it, and most of what a life keeps never changes: a few numbers of each
// side are enough. Where a log is as much as a bit different, nothing is said of it here, and
// the long way decides; ordinary_test.go holds the two side by side.

// ordinaryEnd is what is left of a zeekEnd. Numbers are absolute, and none of them wraps.
type ordinaryEnd struct {
	isn, next wire.Seq // next is zeekEnd.last
	// acked is the highest acknowledgment of it; delivered and trimmed are zeekOrder's.
	acked, delivered, trimmed wire.Seq
	gaps                      uint32
	fin, closed, ended        bool
}

// pending is zeek.pending.
func (e *ordinaryEnd) pending(peer *ordinaryEnd) bool {
	return e.delivered != e.next && e.delivered != e.next-1 || peer.trimmed < peer.delivered
}

// ordinary is zeek.view, as far as it differs from one ordinary connection to the next.
type ordinary struct {
	ends     [2]ordinaryEnd // client, server
	last     wire.Time
	deleteAt wire.Time // since both have closed
	both     bool      // have closed
	deferred bool
	reset    bool // by the last segment
	by       reassembly.Side
	talk     Completeness
	seen     uint16 // as zeek.seen
}

// ordinary returns what the views are of an ordinary connection that began at start and all of
// whose segments stand in the log, one by one. It reports false if the log is not of one.
func (w *Watcher) ordinary(log []reassembly.Event, start wire.Time) (v Views, ok bool) {
	var o ordinary
	text, ok := o.open(log, w.text[:0])
	for i := 2; i < len(log) && ok; i++ {
		text, ok = o.take(&log[i], i == len(log)-1, text)
	}
	w.text = text
	if !ok {
		return v, false
	}
	v.Zeek = Zeek{State: o.row().String(), History: text, Duration: max(o.last.Sub(start), time.Duration(0)), Rows: 1}
	v.Wireshark = Wireshark{Completeness: CompleteSYN | CompleteSYNACK | o.talk, Streams: 1}
	v.Tcptrace = Tcptrace{SYNs: 2, Reset: o.reset, Connections: 1}
	for i := range o.ends {
		if o.ends[i].fin {
			v.Tcptrace.FINs++
			v.Wireshark.Completeness |= CompleteFIN
		}
	}
	if o.reset {
		v.Wireshark.Completeness |= CompleteRST
	}
	return v, true
}

// open takes the SYN and the SYN,ACK.
func (o *ordinary) open(log []reassembly.Event, text []byte) ([]byte, bool) {
	if len(log) < 2 {
		return text, false
	}
	const control = wire.SYN | wire.FIN | wire.RST | wire.ACK
	syn, answer := &log[0], &log[1]
	switch {
	case syn.From != reassembly.Client || answer.From != reassembly.Server,
		syn.Flags&control != wire.SYN || answer.Flags&control != wire.SYN|wire.ACK,
		syn.Count != 1 || answer.Count != 1 || syn.Len|answer.Len != 0,
		syn.Window == 0 || answer.Window == 0,
		// The acknowledgment of a number just below the wrap is 0, which Zeek takes for none.
		syn.Seq+1 < syn.Seq || answer.Seq+1 < answer.Seq || answer.Ack != syn.Seq+1,
		answer.At.Sub(syn.At) >= zeekAttemptDelay: // also before any other timer
		return text, false
	}
	for i, e := range [...]*reassembly.Event{syn, answer} {
		next := e.Seq + 1
		o.ends[i] = ordinaryEnd{isn: e.Seq, next: next, acked: e.Seq, delivered: next, trimmed: next}
	}
	o.ends[0].acked++
	o.last = answer.At
	return append(text, 'S', 'h'), true
}

// take takes one of the segments that follow, and appends its letters to text. It reports
// false if the segment is not an ordinary one.
func (o *ordinary) take(s *reassembly.Event, final bool, text []byte) ([]byte, bool) {
	from := s.From & 1
	e, peer := &o.ends[from], &o.ends[from^1]
	fin, rst, ack := s.Flags&wire.FIN != 0, s.Flags&wire.RST != 0, s.Flags&wire.ACK != 0
	past := s.Seq.Add(s.Len)
	if fin {
		past++
	}
	switch {
	case s.Flags&wire.SYN != 0, s.Count != 1, s.Seq != e.next, past < s.Seq, fin && e.fin, s.Len > 0 && e.fin:
		return text, false
	case rst && (fin || s.Len > 0 || !final), !rst && (!ack || s.Window == 0):
		return text, false
	case ack && (s.Ack < peer.acked || s.Ack > peer.next || s.Ack <= peer.isn):
		return text, false
	case rst && e.fin && peer.fin: // it may show a gap
		return text, false
	case o.both && s.At >= o.deleteAt, !o.both && s.At >= o.last.Add(zeekIdles[zeekIdleMinute]):
		return text, false
	}

	// The segment's letter, if it is the first of its sort.
	var bit uint16
	var letter byte
	switch {
	case rst:
		bit, letter = seenRST, 'R'
		if ack {
			o.talk |= CompleteACK
		}
	case s.Len > 0:
		o.talk |= CompleteDATA
		bit, letter = seenData, 'D'
	default:
		o.talk |= CompleteACK
		bit, letter = seenACK, 'A'
	}
	if fin {
		bit, letter = seenFIN, 'F'
	}
	if bit <<= 8 * from; o.seen&bit == 0 {
		o.seen |= bit
		text = append(text, side(int(from), letter))
	}
	if !o.both {
		o.last = s.At
	}
	if rst { // what it acknowledges does not matter any more
		o.reset, o.by = true, from
		return text, true
	}

	e.fin, e.next, peer.acked = e.fin || fin, past, s.Ack
	text = o.acknowledged(int(from^1), s.Ack, text)
	if s.Len > 0 && s.Traits&wire.TraitSnapped == 0 {
		limit := wire.Seq(zeekExcessive)
		if e.acked <= e.isn+1 {
			limit = zeekInitialWindow
		}
		if e.delivered != s.Seq || past-e.trimmed > limit {
			return text, false // beyond a hole, or more than Zeek waits for
		}
		e.delivered = s.Seq.Add(s.Len)
	}
	o.checkEOF(e, peer)
	if fin {
		o.close(e, peer)
	}
	return text, true
}

// acknowledged is zeek.ackReceived.
func (o *ordinary) acknowledged(of int, seq wire.Seq, text []byte) []byte {
	e, peer := &o.ends[of&1], &o.ends[of&1^1]
	if e.fin && seq == e.next {
		seq--
	}
	if seq <= e.trimmed {
		return text
	}
	if e.delivered < seq {
		e.gaps++
		if isPower(e.gaps) {
			text = append(text, side(of, 'G'))
		}
		e.delivered = seq
	}
	e.trimmed = seq
	o.checkEOF(e, peer)
	return text
}

// checkEOF is zeek.checkEOF.
func (o *ordinary) checkEOF(e, peer *ordinaryEnd) {
	if e.ended || !e.fin || e.pending(peer) {
		return
	}
	e.ended = true
	if o.deferred {
		o.close(e, peer)
		o.deferred = false
	}
}

// close is zeek.close.
func (o *ordinary) close(e, peer *ordinaryEnd) {
	o.deferred = e.pending(peer)
	if o.deferred || e.closed {
		return
	}
	e.closed = true
	if peer.closed {
		o.both, o.deleteAt = true, o.last.Add(zeekCloseDelay)
	}
}

// row is zeek.row.
func (o *ordinary) row() zeekRow {
	client, server := o.ends[0].fin, o.ends[1].fin
	switch {
	case client && server:
		return zeekSF
	case o.reset && o.by == reassembly.Client:
		return zeekRSTO
	case o.reset:
		return zeekRSTR
	case client:
		return zeekS2
	case server:
		return zeekS3
	}
	return zeekS1
}
