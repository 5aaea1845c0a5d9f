package rosetta

import (
	"time"

	"github.com/tcplife/tcplife/reassembly"
	"github.com/tcplife/tcplife/wire"
)

// Zeek is the row of Zeek's conn.log, with the settings that it comes with, but for
// checksums, which are not verified (its option -C).
type Zeek struct {
	// State is conn_state; History is valid until the next call.
	State   string
	History []byte
	// Originator is the side that Zeek takes for the originator; its letters are the
	// upper-case ones.
	Originator reassembly.Side
	// Duration is Zeek's: without what follows the second close.
	Duration time.Duration
	// Rows is how many rows Zeek writes for the connection; the others are of the
	// first.
	Rows uint16
}

// zeekState is the state of one endpoint.
type zeekState uint8

const (
	zeekInactive zeekState = iota
	zeekSYNSent
	zeekSYNACKSent // the originator began with a SYN,ACK
	zeekPartial    // traffic without a SYN
	zeekEstablished
	zeekClosed // it sent a FIN
	zeekReset  // it sent a RST
)

// zeekEnd is what Zeek knows of one endpoint. Numbers called relative count from
// start; Zeek has 64 bits for them, of which all that matters is in the lower half.
type zeekEnd struct {
	start, last, acked  wire.Seq
	lastWraps, ackWraps uint16
	// Relative numbers of the last SYN, FIN and RST: the same again is no news.
	syn, fin, rst uint32
	// finEnd is the relative number after the last FIN; valid with sentFIN.
	finEnd uint32
	order  zeekOrder

	rexmits, zeroWindows uint32

	state, before zeekState // before: the state before this one
	closed        bool      // its close was reported
	sentFIN       bool
}

// zeek follows one connection by the rules of Zeek's TCP analyzer.
type zeek struct {
	ends [2]zeekEnd // originator, responder

	last wire.Time
	// The times at which timers fire; 0 is none.
	attemptAt, expireAt, deleteAt wire.Time
	closedLast                    wire.Time // last of the first row, once that is over

	letters  [28]byte
	length   uint16 // of the history
	more     uint32 // the history, if it does not fit in letters
	rows     uint16
	seen     uint16 // letters that stand in the history, bits by endpoint
	state    zeekRow
	idle     zeekIdle
	port     uint16 // the responder's
	swapped  bool   // the originator is our server
	shown    bool   // the originator of the first row was our server
	partial  bool
	talked   [2]bool // the endpoint's first packet is over
	moves    uint8   // how often another tunnel carried a segment than the one before
	begun    bool    // a row is open
	active   bool
	deferred bool // a close waits for data
	canceled bool // the timers are
}

// The bits of zeek.seen; the responder's are shifted by 8.
const (
	seenSYN = 1 << iota
	seenFIN
	seenRST
	seenFINRST
	seenData
	seenACK
	seenFlags
)

// farSeq is how far a SYN's or RST's number may lie from the last one to be believed.
const farSeq = 1 << 20

// see takes the next segment of the connection.
func (z *zeek) see(s *segment, p ports, pool *pools) {
	if z.begun && (z.over(s.at) || s.flags&wire.SYN != 0 && z.reused(s)) {
		z.endRow(pool)
	}
	if !z.begun {
		z.begin(s, p)
	}
	z.believe(s)
	z.process(s, z.at(s), pool)
}

// begin starts a row with its first segment. Who began without a SYN from a
// well-known port is taken for the responder.
func (z *zeek) begin(s *segment, p ports) {
	*z = zeek{letters: z.letters, length: z.length, more: z.more, rows: z.rows, state: z.state, closedLast: z.closedLast, shown: z.shown}
	if z.rows < 1<<16-1 {
		z.rows++
	}
	z.begun, z.active = true, true
	z.swapped = s.from == reassembly.Server
	z.expireAt = s.at.Add(zeekSYNTimeout)
	z.ends[0].order, z.ends[1].order = newZeekOrder(), newZeekOrder()
	src, dst := p.of(s.from)
	z.port = dst
	flip := false
	if s.flags&(wire.SYN|wire.ACK) != wire.SYN && serverPort(src) {
		flip = !serverPort(dst) || s.flags&wire.SYN == 0 && src < dst
	}
	if flip {
		z.port = src
		z.swapped = !z.swapped
		z.add(nil, '^')
	}
	if z.rows == 1 {
		z.shown = z.swapped
	}
}

// endRow closes the row. Only the first one's values are kept.
func (z *zeek) endRow(pool *pools) {
	if z.rows == 1 {
		z.state, z.closedLast = z.row(pool), z.last
	}
	for i := range z.ends {
		z.ends[i].order.release(pool)
	}
	z.begun = false
}

// process is the order of things for one segment of endpoint o.
func (z *zeek) process(s *segment, o int, pool *pools) {
	e, peer := &z.ends[o], &z.ends[1-o]
	syn, fin, rst, ack := s.flags&wire.SYN != 0, s.flags&wire.FIN != 0, s.flags&wire.RST != 0, s.flags&wire.ACK != 0
	switch {
	case o == 0 && !z.talked[0]:
		z.partial = !syn || ack
	case o == 1 && !z.talked[1] && !z.partial:
		z.partial = !syn
	}
	past := s.end()
	if rst {
		past = past.Add(-s.len) // the payload of a RST is no part of the stream
	}
	e.init(s.seq, past, syn)
	rel, under := e.relative(s.seq, e.last, e.lastWraps)

	z.letter(s, o, rel, pool)
	if s.window == 0 && !rst && peer.state != zeekClosed && e.state != zeekReset {
		e.zeroWindows++
		z.scaled(o, 'W', e.zeroWindows, pool)
	}
	if !z.ends[0].closed || !z.ends[1].closed {
		z.last = s.at
	}
	if fin {
		e.sentFIN = true
		e.finEnd = rel + uint32(past-s.seq)
	}
	relAck := uint32(0)
	if ack {
		relAck = peer.takeAck(s.ack, rst)
	}
	if e.takeLast(past, s) {
		e.rexmits++
		z.scaled(o, 'T', e.rexmits, pool)
	}
	closes := z.step(s, o)
	o = z.at(s) // the roles may have been turned
	if ack {
		z.ackReceived(1-o, relAck, pool)
	}
	z.talked[o] = true
	if s.len > 0 && !rst && !under && !s.snapped {
		if syn {
			rel++
		}
		z.dataSent(o, rel, s.len, pool)
	}
	z.checkEOF(o)
	if closes {
		z.close(o)
	}
}

// at returns the endpoint that sent a segment.
func (z *zeek) at(s *segment) int {
	if (s.from == reassembly.Server) != z.swapped {
		return 1
	}
	return 0
}

// init sets the numbers from which an endpoint counts: those of its SYN, or of its
// first segment as if a SYN had come before.
func (e *zeekEnd) init(seq, past wire.Seq, syn bool) {
	again := false
	switch e.state {
	case zeekInactive:
		if !syn {
			e.acked, e.start, e.last = seq-1, seq-1, seq
			return
		}
		again = true
	case zeekSYNSent, zeekSYNACKSent:
		again = syn && seq != e.start
	case zeekEstablished, zeekPartial:
		again = syn
	case zeekReset:
		again = syn && e.before == zeekInactive
	}
	if again {
		e.acked, e.start, e.last = seq, seq, past
	}
}

// relative returns a number relative to start, and whether it lies before.
func (e *zeekEnd) relative(seq, last wire.Seq, wraps uint16) (rel uint32, under bool) {
	switch d := seq.Sub(last); {
	case d < 0 && wraps > 0 && seq > last:
		wraps--
	case d > 0 && seq < last:
		wraps++
	}
	return uint32(seq - e.start), wraps == 0 && seq.Before(e.start)
}

// takeAck enters what the other endpoint acknowledges of this one, and returns it
// relative to start.
func (e *zeekEnd) takeAck(ack wire.Seq, rst bool) uint32 {
	if e.state == zeekInactive {
		e.start, e.acked, e.last = ack-1, ack-1, ack-1
		return 1
	}
	rel, under := e.relative(ack, e.acked, e.ackWraps)
	if under {
		return 0
	}
	if d := ack.Sub(e.acked); !rst && d > 0 && (ack != 0 || d <= farSeq) {
		if ack < e.acked {
			e.ackWraps++
		}
		e.acked = ack
	}
	return rel
}

// takeLast enters the number after a segment, and reports whether its payload was
// all sent before.
func (e *zeekEnd) takeLast(past wire.Seq, s *segment) (again bool) {
	d := past.Sub(e.last)
	switch {
	case s.flags&(wire.SYN|wire.RST) != 0 && (d > farSeq || d < -farSeq):
		return false
	case s.flags&wire.FIN != 0 && e.last == e.start+1: // nothing but the SYN was seen
	case e.state == zeekReset:
		return false
	case d <= 0:
		return s.len > 0
	}
	if past < e.last {
		e.lastWraps++
	}
	e.last = past
	return false
}

// size is the number of octets that Zeek takes the endpoint to have sent.
func (e *zeekEnd) size(peer *zeekEnd) uint64 {
	if e.before == zeekSYNSent && e.state == zeekReset && peer.state == zeekInactive && !e.noneAcked() {
		return 0
	}
	last, acked := uint64(e.lastWraps)<<32+uint64(e.last), uint64(e.ackWraps)<<32+uint64(e.acked)
	size := max(last, acked) - uint64(e.start)
	if size != 0 {
		size-- // the SYN
	}
	if size != 0 && e.sentFIN {
		size--
	}
	return size
}

func (e *zeekEnd) noneAcked() bool {
	return e.ackWraps == 0 && (e.acked == e.start || e.acked == e.start+1 && e.acked != 0)
}

func (e *zeekEnd) set(state zeekState) {
	if state != e.state {
		e.before, e.state = e.state, state
	}
}
