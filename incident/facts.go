package incident

import (
	"time"

	"github.com/tcplife/tcplife/finding"
	"github.com/tcplife/tcplife/reassembly"
	"github.com/tcplife/tcplife/wire"
)

// opening says how far a connection's opening came.
type opening uint8

const (
	// unclear: nothing is known that would count: the capture ended at once, holds
	// only an answer, or does not tell who the server is.
	unclear opening = iota
	// refused, unreachable (by ICMP) and unanswered got no SYN-ACK.
	refused
	unreachable
	unanswered
	// half: the SYN-ACK passed, and the client sent nothing after it, or a RST; ignored:
	// it sent its ACK, and the server did not take it.
	half
	ignored
	// untouched: the handshake passed, and the server acknowledged none of the data that
	// was sent on it, again and again, nor anything else.
	untouched
	// probe: a segment that belongs to no connection, such as scanners send.
	probe
	// open: established.
	open
)

// facts are what is found out about one connection before it is counted. They stay valid when
// the connection's log is gone (see keep).
type facts struct {
	// c is the connection. Once the facts are kept, it has no log, ICMP errors and timelines.
	c      *reassembly.Conn
	signs  []sign  // what was found
	places []uint8 // of signs, in told
	// layers are those of its encapsulation path; named is its uid once that has been asked
	// for, 0 before: few are.
	layers []string
	named  reassembly.UID
	opening
	// end is the kind of its end, if it is over.
	end    kind
	isOver bool
	// dead: the peer of the side that ended it was not heard any more, or had lost it.
	dead  bool
	death died
	// crossed: a request crossed the close after a silence, or, with stale, was sent to a
	// connection that had been closed so long before. idle is that silence.
	crossed bool
	stale   time.Duration
	idle    time.Duration
	// gaveUp is how long the client had waited for an answer when it closed, tooLate how
	// long after the question the answer came; 0 if it did not come to that.
	gaveUp, tooLate time.Duration
	// cut: the closer reset what the other side was sending; unheard: its own last octets
	// were not acknowledged either.
	cut, unheard bool
	// stalled is how often the client repeated its first data before the server
	// acknowledged any, on a connection that it had opened at the first attempt.
	stalled uint64
	// stall is a time in which one side's data was repeated in vain; its to is 0 if there
	// was none.
	stall stalled
	// lacks is how many octets of a side's full segments did not get through, although
	// its small ones did; unseen: they did not come as far as the tap.
	lacks  [2]uint32
	unseen [2]bool
	// too is the kind of the other side's own end, at tooAt; 0 if it had none.
	too   kind
	tooAt wire.Time
	// heard is when the server was last heard, spoke when its program last sent
	// anything; 0 if it did not.
	heard, spoke wire.Time
	// timeWait is when a side came into TIME_WAIT, waits its time in CLOSE_WAIT; valid
	// if timeWaits and waited.
	timeWait          [2]wire.Time
	waits             [2]wait
	timeWaits, waited [2]bool
	// clientHeard is when the client was last heard, answered when it first sent anything
	// that is neither a SYN nor a RST, on a connection that needed more than one SYN or SYN-ACK.
	clientHeard, answered wire.Time
	// resets are the RSTs of each side; deaf: it answered nothing of what it was sent at the
	// end.
	resets [2]uint64
	deaf   [2]bool
	// report is the first ICMP error which says that a dead connection's segments do not get
	// there.
	report icmpSort
}

// keep lets go of the tracker's connection: what is needed of it besides facts is copied.
func (f *facts) keep(to *reassembly.Conn) {
	*to = *f.c
	to.Events, to.Whole, to.ICMP = nil, nil, nil
	for i := range to.Ends {
		e := &to.Ends[i]
		e.Missing, e.Repeated, e.Timeline = nil, nil, nil
	}
	f.c = to
}

// patience is how long an answer may be awaited before it counts as missing, although
// the capture ends: the initial retransmission timeout (RFC 6298 section 2.1), which
// no round trip in use exceeds.
const patience = time.Second

// uid returns the connection's uid.
func (f *facts) uid() reassembly.UID {
	if f.named == 0 {
		f.named = f.c.Key.UID(f.layers)
	}
	return f.named
}

// look finds out about a connection that got an answer.
func (f *facts) look(c *reassembly.Conn, signs []sign, layers []string, how opening) {
	*f = facts{c: c, signs: signs, layers: layers, opening: how}
	if f.opening == open {
		if len(signs) > 0 {
			f.death, f.dead = death(c, signs)
		}
		f.raced()
		f.impatient()
		f.ending()
		f.cutOff()
		if c.Seen&(reassembly.SeenGap|reassembly.SeenRepeatData) != 0 {
			f.swallowed()
		}
		if c.Seen&reassembly.SeenRepeatData != 0 {
			f.stalled = stalledStart(c)
			// A receiver without room, and a queue that is full, are matters of their own.
			if f.stalled == 0 && !f.dead && has(signs, "D02") == nil && has(signs, "D03") == nil {
				f.stall = stalledIn(c)
			}
		}
	}
	if c.Unlogged.Is {
		f.heard, f.spoke = max(0, c.Unlogged.Heard[reassembly.Server]), max(0, c.Unlogged.Spoke[reassembly.Server])
	}
	for i := len(c.Events) - 1; i >= 0 && (f.heard == 0 || f.spoke == 0 && c.Ends[reassembly.Server].Bytes > 0); i-- {
		e := &c.Events[i]
		if e.From != reassembly.Server || e.Kind == reassembly.KindRST {
			continue
		}
		f.heard = max(f.heard, e.LastAt)
		if e.Len > 0 {
			f.spoke = max(f.spoke, e.LastAt)
		}
	}
	f.clientHeard = heardOf(c, reassembly.Client)
	f.read()
	f.standings()
}

// read finds out what else is counted of the log.
func (f *facts) read() {
	c := f.c
	if c.Seen&reassembly.SeenRST != 0 {
		for i := range c.Events {
			if e := &c.Events[i]; e.Kind == reassembly.KindRST {
				f.resets[e.From] += uint64(e.Count)
			}
		}
	}
	if c.Handshake.SYNs > 1 || c.Handshake.SYNACKs > 1 {
		for i := range c.Events {
			if e := &c.Events[i]; e.From == reassembly.Client && e.Kind != reassembly.KindSYN && e.Kind != reassembly.KindRST {
				f.answered = e.At
				break
			}
		}
	}
	for i := range f.signs {
		if x := &f.signs[i]; x.number == "D03" && x.endpoint != finding.Both {
			f.deaf[x.endpoint] = deaf(c, reassembly.Side(x.endpoint))
		}
	}
	if f.dead {
		for i := range c.ICMP {
			if e := &c.ICMP[i]; e.Unreachable {
				f.report = sortOf(e)
				break
			}
		}
	}
}

// standings finds out when the sides came into TIME_WAIT and CLOSE_WAIT.
func (f *facts) standings() {
	c := f.c
	for side := range c.Ends {
		// Both come after ESTABLISHED, and from the end it is nearer.
		tl := c.Ends[side].Timeline
		for i := len(tl) - 1; i >= 0 && tl[i].State != reassembly.Established; i-- {
			switch t := &tl[i]; t.State {
			case reassembly.TimeWait:
				f.timeWait[side], f.timeWaits[side] = t.At, true
			case reassembly.CloseWait:
				// That the FIN arrived must be shown: one that is lost may be repeated for long.
				f.waits[side] = closeWaitOf(c, reassembly.Side(side), i)
				// Whose data does not get through has not forgotten to close; a FIN alone may
				// meet a host that has given the connection up.
				f.waited[side] = t.Evidence == reassembly.Acked && c.Seen&reassembly.SeenHalfClose == 0 && c.Ends[side].Unacked() <= 1
			}
		}
	}
}

func openingOf(c *reassembly.Conn, signs []sign) opening {
	h := &c.Handshake
	server := c.Ends[reassembly.Server].Packets > 0
	switch h.Outcome {
	case reassembly.HandshakeComplete:
		if untaken(c) {
			return untouched
		}
		return open
	case reassembly.HandshakeRefused:
		return refused
	case reassembly.HandshakeICMP:
		return unreachable
	case reassembly.HandshakeUnanswered:
		if errorOf(c) != nil {
			return unreachable
		}
		return unanswered
	case reassembly.HandshakeUnseen:
		switch {
		case has(signs, "H14") != nil:
			return probe
		case c.RoleBy == reassembly.RoleByGuess || c.Seen&reassembly.SeenData == 0 && c.Seen&reassembly.SeenUnsolicited != 0:
			return unclear
		}
		return open
	}
	waited := c.Until.Sub(c.Start) >= patience
	switch {
	case h.SYNs == 0:
		return unclear
	case h.SYNACKs == 0 && errorOf(c) != nil:
		return unreachable
	case h.SYNACKs == 0 && c.Seen&reassembly.SeenRSTClient != 0:
		return unclear // nobody resets what was not answered: the capture lacks it
	case h.SYNACKs == 0 && (waited || h.SYNs > 1) && !server:
		return unanswered
	case h.SYNACKs == 0:
		return unclear
	case c.Seen&reassembly.SeenHalfOpen != 0 && (waited || c.Seen&reassembly.SeenRSTClient != 0):
		return half
	case c.Seen&reassembly.SeenHalfOpen == 0 && (waited || c.Seen&reassembly.SeenRSTServer != 0):
		return ignored
	}
	return unclear
}

// errorOf returns the first ICMP error which says that the client's SYN does not get
// there, nil if there is none.
func errorOf(c *reassembly.Conn) *reassembly.ICMP {
	for i := range c.ICMP {
		if e := &c.ICMP[i]; e.Unreachable && e.OfSYN && e.From == reassembly.Client {
			return e
		}
	}
	return nil
}

// stalledStart returns how often the client repeated its first data before the server
// acknowledged any of it.
func stalledStart(c *reassembly.Conn) (n uint64) {
	cl := &c.Ends[reassembly.Client]
	if c.Handshake.Outcome != reassembly.HandshakeComplete || !cl.HasISN || c.Ends[reassembly.Server].Packets == 0 {
		return 0
	}
	first := cl.ISN.Add(1)
	for i := range c.Events {
		e := &c.Events[i]
		switch {
		case e.From == reassembly.Server && e.Kind != reassembly.KindRST && e.Flags.Has(wire.ACK) && e.Ack.After(first):
			return n
		case e.From == reassembly.Client && e.Kind == reassembly.KindData && e.Marks.Has(reassembly.MarkRepeat):
			n += uint64(e.Count)
		}
	}
	return n
}

// untaken reports whether the server did nothing on a connection but answer its SYN,
// although the client sent data and repeated it.
func untaken(c *reassembly.Conn) bool {
	cl, sv := &c.Ends[reassembly.Client], &c.Ends[reassembly.Server]
	return sv.Packets > 0 && c.Seen&reassembly.SeenRepeatData != 0 && c.Seen&reassembly.SeenRST == 0 && cl.HasISN && cl.HasAcked && cl.Acked == cl.ISN.Add(1) && cl.Bytes > 0 &&
		sv.Bytes == 0 && !sv.HasFIN && sv.Packets-sv.Duplicates == uint64(c.Handshake.SYNACKs)
}

// ending returns who ended an established connection, and whether that cost anything.
func (f *facts) ending() {
	c := f.c
	if !c.Close.HasCloser {
		return
	}
	f.isOver, f.end = true, softClient
	me := c.Close.Closer
	if me == reassembly.Server {
		f.end = softServer
	}
	switch {
	case c.Close.Reason == reassembly.CloseDeviceReset:
		f.end = device
		return
	case c.Close.Reason == reassembly.CloseNoSocketReset, f.dead && c.Close.By == "rst":
		// Whoever gives up on a silent peer ends nothing that was not over.
		f.end = forgotten
		return
	}
	// What crossed an orderly close met a RST that says nothing of its own.
	if c.Close.By == "rst" || c.Close.Reason == reassembly.CloseLateDataReset && c.Close.Duration <= atOnce && !f.crossed {
		f.end += hardClient - softClient
	}
	// The other side's end, if it sent it without knowing of this one.
	const ends = reassembly.SeenFINClient | reassembly.SeenFINServer | reassembly.SeenRST
	if c.Seen&ends&(c.Seen&ends-1) == 0 {
		return // one flag, of one side
	}
	for i := range c.Events {
		e := &c.Events[i]
		if e.From == me || e.Kind != reassembly.KindFIN && e.Kind != reassembly.KindRST || e.Marks&(reassembly.MarkOther|reassembly.MarkOutside) != 0 {
			continue
		}
		// A RST without ACK answers a segment; a socket's own says what it had received.
		if e.Flags&wire.ACK == 0 || !c.Ends[me].HasFIN || !e.Ack.Before(c.Ends[me].FIN) {
			return
		}
		f.too, f.tooAt = tooClient, e.At
		if e.From == reassembly.Server {
			f.too = tooServer
		}
		if e.Kind == reassembly.KindRST {
			f.too += tooHardClient - tooClient
		}
		return
	}
}

// raced finds out whether the other side of a close used the connection once more,
// after a silence: because it did not know of the close yet, or did not look. Who had the
// last word before the silence was the closer: a side that waits for an answer is not
// idle. Nor was the connection used where all that was lost is a word of goodbye: that
// comes because of the close, or because of the same silence. Who is short of words alone
// may have asked for something: who said goodbye closes too, or as the closer said it.
func (f *facts) raced() {
	c := f.c
	cl := &c.Close
	if i := cl.Reset - 1; i >= 0 && c.Farewell(i) && (c.Ends[cl.Closer.Peer()].HasFIN || c.Notified(i)) {
		return
	}
	if !cl.HasCloser || cl.By != "fin" || c.Idle.For == 0 || c.Idle.HasSaid && c.Idle.Said != cl.Closer {
		return
	}
	me := cl.Closer
	fin := finOf(c, me)
	var spoke wire.Time // when the closer was last heard before its FIN
	for i := range c.Events[:max(fin, 0)] {
		if e := &c.Events[i]; e.From == me {
			spoke = max(spoke, e.LastAt)
		}
	}
	for i := range c.Events {
		e := &c.Events[i]
		switch {
		case e.From == me || !saysNew(e):
		case i < fin:
			// It passed before the FIN, which does not know of it, nor did anything else of
			// the closer: the two were on their way at the same time. Of a run the last
			// segment is in question.
			if c.Events[fin].Ack.Before(e.End) && cl.At.Sub(e.LastAt) <= crossing(c, me) && near(c.Idle.At, e.LastAt) && spoke < c.Idle.At {
				f.crossed, f.idle = true, c.Idle.For
				return
			}
		case c.Idle.Closed == 0:
			return
		case e.Ack.Before(c.Ends[me].FIN):
			if f.crossed = e.At.Sub(cl.At) <= crossing(c, me.Peer()); f.crossed {
				f.idle = c.Idle.Closed
			}
			return
		default:
			if me == reassembly.Server {
				f.stale, f.idle = e.At.Sub(cl.At), c.Idle.Closed
			}
			return
		}
	}
}

// impatient finds out whether the client closed because no answer came, and the answer
// came after all.
func (f *facts) impatient() {
	c := f.c
	cl := &c.Close
	if cl.Closer != reassembly.Client || cl.By != "fin" || cl.Reason != reassembly.CloseLateDataReset || !c.Idle.HasSaid || c.Idle.Said != reassembly.Client {
		return
	}
	var asked wire.Time
	for i := range c.Events {
		switch e := &c.Events[i]; {
		case !saysNew(e):
		case e.From == reassembly.Client && e.At <= cl.At:
			asked = e.LastAt
		case e.From == reassembly.Server && e.At > cl.At && asked != 0:
			if cl.At.Sub(asked) >= gaveUpWait {
				f.gaveUp, f.tooLate = cl.At.Sub(asked), e.At.Sub(asked)
			}
			return
		}
	}
}

// saysNew reports whether an event brings octets that were not sent before.
func saysNew(e *reassembly.Event) bool {
	return e.Len > 0 && e.Kind != reassembly.KindRST && e.Marks&(reassembly.MarkRepeat|reassembly.MarkOther|reassembly.MarkOutside|reassembly.MarkKeepalive) == 0
}

// crossing is how long two segments that know nothing of each other may pass apart: as
// long as the way to a side and back takes, and a full queue more.
func crossing(c *reassembly.Conn, side reassembly.Side) time.Duration {
	return 2*c.Ends[side].Response + 20*time.Millisecond
}

// near reports whether two times are of one moment: the segments that a side sends at
// once.
func near(a, b wire.Time) bool { return b.Sub(a).Abs() <= 20*time.Millisecond }

// finOf returns a side's first FIN, -1 if there is none.
func finOf(c *reassembly.Conn, side reassembly.Side) int {
	for i := range c.Events {
		if e := &c.Events[i]; e.From == side && e.Kind == reassembly.KindFIN {
			return i
		}
	}
	return -1
}

// unheeded reports whether the server went on as if the handshake's ACK had not come,
// more than once or although data came with it. A single SYN-ACK that comes again is
// what a listener sends too that waits for data before it accepts (TCP_DEFER_ACCEPT),
// and what one lost ACK does.
func (f *facts) unheeded() bool {
	x := has(f.signs, "H06")
	return x != nil && x.confidence > finding.Possible
}
