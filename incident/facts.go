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

// facts are what is found out about one connection before it is counted.
type facts struct {
	c     *reassembly.Conn
	found []finding.Finding
	uid   string
	opening
	// end is the kind of its end, if it is over.
	end    kind
	isOver bool
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
}

// patience is how long an answer may be awaited before it counts as missing, although
// the capture ends: the initial retransmission timeout (RFC 6298 section 2.1), which
// no round trip in use exceeds.
const patience = time.Second

func look(c *reassembly.Conn, found []finding.Finding, name string) facts {
	f := facts{c: c, found: found, uid: name, opening: openingOf(c, found)}
	if f.opening == open {
		f.ending()
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
	for side := range c.Ends {
		for i := range c.Ends[side].Timeline {
			switch t := &c.Ends[side].Timeline[i]; t.State {
			case reassembly.TimeWait:
				f.timeWait[side], f.timeWaits[side] = t.At, true
			case reassembly.CloseWait:
				// That the FIN arrived must be shown: one that is lost may be repeated for long.
				f.waits[side] = closeWaitOf(c, reassembly.Side(side), i)
				f.waited[side] = t.Evidence == reassembly.Acked && c.Seen&reassembly.SeenHalfClose == 0
			}
		}
	}
	return f
}

func openingOf(c *reassembly.Conn, found []finding.Finding) opening {
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
		return unanswered
	case reassembly.HandshakeUnseen:
		switch {
		case has(found, "H14", finding.Both) != nil:
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

// untaken reports whether the server did nothing on a connection but answer its SYN,
// although the client sent data and repeated it.
func untaken(c *reassembly.Conn) bool {
	cl, sv := &c.Ends[reassembly.Client], &c.Ends[reassembly.Server]
	return c.Seen&reassembly.SeenRepeatData != 0 && c.Seen&reassembly.SeenRST == 0 && cl.HasISN && cl.HasAcked && cl.Acked == cl.ISN.Add(1) && cl.Bytes > 0 &&
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
	switch c.Close.Reason {
	case reassembly.CloseDeviceReset:
		f.end = device
		return
	case reassembly.CloseNoSocketReset:
		f.end = forgotten
		return
	}
	if c.Close.By == "rst" || c.Close.Reason == reassembly.CloseLateDataReset {
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

// lastOf returns the last event before i that a side sent, but for a RST, -1 if there
// is none: a RST may come from anybody, also from a host that was away.
func lastOf(c *reassembly.Conn, side reassembly.Side, i int) int {
	for i--; i >= 0; i-- {
		if e := &c.Events[i]; e.From == side && e.Kind != reassembly.KindRST {
			return i
		}
	}
	return -1
}

// died is how a connection died whose peer did not answer any more.
type died struct {
	// silent is the side that did not answer, heard when it was last heard, asked when
	// the other sent the first segment that it did not answer.
	silent       reassembly.Side
	heard, asked wire.Time
	// idle is for how long nothing had passed before that segment.
	idle time.Duration
	// back is when the side's host answered that it knows no such connection; 0 if it
	// never did.
	back  wire.Time
	frame wire.FrameID
}

// death returns how a connection died whose peer fell silent or had lost it; ok is
// false for other ends.
func death(c *reassembly.Conn, found []finding.Finding) (d died, ok bool) {
	for i := range found {
		f := &found[i]
		switch f.Catalogue {
		case "D01", "D06", "D07", "C06":
			if f.Endpoint == finding.Both {
				continue
			}
			d.silent, ok = reassembly.Side(f.Endpoint).Peer(), true
		case "D08", "D10", "C19":
			// Who answered by RST; a device may have done so in its name.
			switch {
			case c.Ends[reassembly.Server].Gone != 0:
				d.silent, ok = reassembly.Server, true
			case c.Ends[reassembly.Client].Gone != 0:
				d.silent, ok = reassembly.Client, true
			case c.Close.By == "rst":
				d.silent, d.back, ok = c.Close.Closer, c.Close.At, true
			default:
				continue
			}
		default:
			continue
		}
		d.frame = f.Frames[0]
		break
	}
	if !ok {
		return d, false
	}
	end := len(c.Events)
	if gone := c.Ends[d.silent].Gone; gone != 0 {
		for i := range c.Events {
			if c.Events[i].Frame == gone {
				d.back, end = c.Events[i].At, i
				break
			}
		}
	}
	at := lastOf(c, d.silent, end)
	if at < 0 {
		return d, false
	}
	d.heard = c.Events[at].LastAt
	if c.Idle.By != d.silent {
		d.idle = c.Idle.Pending
	}
	for i := range c.Events[:end] {
		e := &c.Events[i]
		if e.From == d.silent || e.LastAt <= d.heard || e.End == e.Seq && e.Marks&reassembly.MarkKeepalive == 0 {
			continue
		}
		// A run may have begun before the peer fell silent, or with the ACK of what it had
		// sent before a silence: then its end is the segment in question.
		if d.asked = e.At; e.At <= d.heard || e.Count > 1 && d.idle > 0 {
			d.asked = e.LastAt
		}
		break
	}
	return d, d.asked != 0
}
