package reassembly

import (
	"time"

	"github.com/tcplife/tcplife/wire"
)

// resetReason classes the RST that ended a connection (field guide R01, C11 to
// C15).
func resetReason(c *Conn, i int) CloseReason {
	rst := &c.Events[i]
	me, you := rst.From, rst.From.Peer()
	bare := rst.Flags&wire.ACK == 0
	mine, yours := c.closedBy(me, i), c.closedBy(you, i)
	switch {
	case c.OtherHops(rst):
		return CloseDeviceReset
	case mine && c.lateData(me, i):
		return CloseLateDataReset
	case mine && yours:
		// Both had closed; the RST answers the last FIN or a repetition.
		return CloseOrderlyUnconfirmed
	case bare && c.Handshake.Outcome == HandshakeReset && me == Client:
		return CloseHandshakeAbandoned // the SYN-ACK met no socket
	case bare && c.Trigger(i) >= 0:
		return CloseNoSocketReset
	case bare:
		return CloseUnknown
	}
	if dead := c.givenUp(me, i); dead != CloseUnknown {
		return dead
	}
	if octets, _ := c.Unread(i); octets > 0 && !mine {
		return CloseAbortUnread
	}
	return CloseAbort
}

// closedBy reports whether a side's FIN stands before event i.
func (c *Conn) closedBy(s Side, i int) bool {
	fin := c.firstFIN(s)
	return fin >= 0 && fin < i
}

// Unread returns how many octets of the peer's the sender of the RST with index i had
// hardly read, and the last event that held some: those that it had not acknowledged
// when it sent the RST, and those that passed the tap less than its response time
// before, if they had a segment of their own and it sent no data since that could be the
// answer.
func (c *Conn) Unread(i int) (octets uint32, at int) {
	rst := &c.Events[i]
	at = -1
	var acked, sent wire.Seq
	known, sending := false, false
	for j := range c.Events[:i] {
		e := &c.Events[j]
		switch {
		case !genuine(e) || e.Kind == KindRST:
		case e.From != rst.From && e.Len > 0:
			if end := e.Seq.Add(e.Len); !sending || end.After(sent) {
				sent, sending, at = end, true, j
				if e.Count > 1 { // a run: its octets end where its numbers do
					sent = e.End
				}
			}
		case e.From == rst.From && e.Flags&wire.ACK != 0 && (!known || e.Ack.After(acked)):
			acked, known = e.Ack, true
		}
	}
	switch {
	case !sending:
		return 0, -1
	case known && sent.After(acked):
		octets = uint32(sent.Sub(acked))
	case !known:
		octets = c.Events[at].Len
	default:
		at = -1
	}
	for j := i - 1; j >= 0; j-- {
		e := &c.Events[j]
		if !genuine(e) || e.Len == 0 {
			continue
		}
		if e.From == rst.From || e.Count > 1 || rst.At.Sub(e.LastAt) > max(c.Ends[rst.From].Response, justNow) {
			break
		}
		if e.Marks&MarkRepeat == 0 && known && !e.End.After(acked) {
			octets += e.Len
			if at < 0 {
				at = j
			}
		}
	}
	return octets, at
}

// justNow is how long before its RST an application may have left data unread that
// the kernel had acknowledged: one scheduling of a process.
const justNow = 5 * time.Millisecond

// lateData reports whether the peer had sent new data after the side's FIN that the
// side did not acknowledge before the RST with index i.
func (c *Conn) lateData(side Side, i int) bool {
	var acked wire.Seq
	known, closed := false, false
	for j := range c.Events[:i] {
		e := &c.Events[j]
		switch {
		case !genuine(e) || e.Kind == KindRST:
		case e.From == side:
			closed = closed || e.Kind == KindFIN
			if e.Flags&wire.ACK != 0 && (!known || e.Ack.After(acked)) {
				acked, known = e.Ack, true
			}
		}
	}
	if !closed || !known {
		return false
	}
	since := false
	for j := range c.Events[:i] {
		e := &c.Events[j]
		since = since || e.From == side && e.Kind == KindFIN && genuine(e)
		if since && e.From != side && genuine(e) && e.Len > 0 && e.Kind != KindRST && e.Seq.Add(e.Len).After(acked) {
			return true
		}
	}
	return false
}
