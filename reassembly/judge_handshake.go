package reassembly

import (
	"time"

	"github.com/tcplife/tcplife/wire"
)

// judgeHandshake says how the opening ended.
func judgeHandshake(c *Conn) {
	h := &c.Handshake
	var syn, synack, ack *Event
	for i := range c.Events {
		e := &c.Events[i]
		if !genuine(e) {
			continue
		}
		switch {
		case e.Kind == KindSYN && e.From == Client:
			h.SYNs += e.Count
			if syn == nil {
				syn = e
			}
		case e.Kind == KindSYN:
			h.Simultaneous = true
		case e.Kind == KindSYNACK && e.From == Server:
			h.SYNACKs += e.Count
			if synack == nil {
				synack = e
			}
		case plain(e) && e.From == Client && ack == nil && synack != nil:
			ack = e
		}
	}
	if syn != nil && synack != nil && synack.Ack != syn.Seq.Add(1) && syn.Len > 0 {
		h.FastOpen = true
	}
	if syn != nil && synack != nil && h.SYNs == 1 && h.SYNACKs == 1 && !h.Simultaneous {
		h.ServerSide = positive(synack.At.Sub(syn.At))
		if ack != nil {
			h.ClientSide = positive(ack.At.Sub(synack.At))
			h.RTT = positive(ack.At.Sub(syn.At))
		}
	}
	c.judgeQueue()
	client, server := hadState(c, Client, Established), hadState(c, Server, Established)
	reset := c.Seen&SeenRST != 0
	over := !c.Ended.Early()
	switch {
	case c.Seen&(SeenSYN|SeenSYNACK) == 0:
		h.Outcome = HandshakeUnseen
	case client && server:
		h.Outcome = HandshakeComplete
	case synack == nil && reset && c.Seen&SeenRSTServer != 0:
		h.Outcome = HandshakeRefused
	case reset:
		h.Outcome = HandshakeReset
	case client || server:
		// One side got there. If the other's silence lasted, it never will.
		h.Outcome = HandshakePending
		if over {
			h.Outcome = HandshakeAbandoned
		}
	case synack == nil && metICMP(c):
		h.Outcome = HandshakePending
		if over || c.Ends[Client].Final() == Closed {
			h.Outcome = HandshakeICMP
		}
	case synack == nil:
		h.Outcome = HandshakePending
		if over || gaveUp(c, Client) {
			h.Outcome = HandshakeUnanswered
		}
	default:
		h.Outcome = HandshakePending
		if over || gaveUp(c, Server) {
			h.Outcome = HandshakeAbandoned
		}
	}
}

// gaveUp reports whether a timer closed the side.
func gaveUp(c *Conn, s Side) bool {
	t := c.Ends[s].Timeline
	return len(t) > 0 && t[len(t)-1].State == Closed && t[len(t)-1].Evidence == Timer
}

func positive(d time.Duration) time.Duration { return max(d, 0) }

// hadState reports whether a side's timeline holds the state or a later one of the
// connection's life.
func hadState(c *Conn, s Side, want State) bool {
	for _, t := range c.Ends[s].Timeline {
		if t.State >= want {
			return true
		}
	}
	return false
}

// judgeQueue sets what the handshake says of the server's queues.
func (c *Conn) judgeQueue() {
	h := &c.Handshake
	if c.Seen&SeenRepeatSYNACK != 0 {
		if g, ok := c.IgnoredACK(); ok {
			h.Deferred, h.AcceptQueue = g.Deferred, !g.Deferred
		}
	}
	if c.Seen&SeenRSTServer != 0 && c.Seen&SeenSYNACK != 0 {
		if rst, _ := c.RefusedACK(); rst >= 0 {
			h.AcceptQueue = true
		}
	}
	if c.Seen&SeenHalfOpen != 0 {
		h.Cookie = c.Stateless() >= 0
	}
}

// IgnoredACK is a handshake whose last ACK passed the tap while the server acted as if
// it had not come: its queue of connections to be accepted was full, or it waits for
// data (TCP_DEFER_ACCEPT), or the ACK died behind the tap.
type IgnoredACK struct {
	// SYNACK and ACK are the events, Again the SYN-ACK's repetitions after the ACK.
	SYNACK, ACK int
	Again       []int
	// Data is the client's first data after the ACK, and Taken the server's
	// acknowledgment of that; -1 if there is none.
	Data, Taken int
	// Deferred: the repetitions ended with the data, which was taken at once.
	Deferred bool
}

// IgnoredACK returns how the server ignored the handshake's last ACK, if it did.
func (c *Conn) IgnoredACK() (g IgnoredACK, ok bool) {
	g.SYNACK, g.ACK = c.handshakeACK()
	if g.ACK < 0 || c.Seen&SeenRepeatSYNACK == 0 {
		return g, false
	}
	for _, i := range c.Transmissions(g.SYNACK)[1:] {
		if i > g.ACK && !c.MayCross(g.ACK, i) {
			g.Again = append(g.Again, i)
		}
	}
	if len(g.Again) == 0 {
		return g, false
	}
	g.Data = c.next(g.ACK, func(e *Event) bool {
		return e.From == Client && genuine(e) && e.Len > 0 && e.Kind != KindSYN
	})
	g.Taken = -1
	if final := g.Again[len(g.Again)-1]; g.Data > final {
		// Once the data came the server knew the connection at once, without another
		// round of SYN-ACK and ACK.
		seq := c.Events[g.Data].Seq
		g.Taken = c.next(g.Data, func(e *Event) bool {
			return e.From == Server && genuine(e) && e.Kind != KindRST && e.Flags&wire.ACK != 0 && e.Ack.After(seq)
		})
		g.Deferred = g.Taken >= 0 && c.acksFrom(Client, final, c.Events[g.SYNACK].End) == g.Data
	}
	return g, true
}

// RefusedACK returns the server's RST that answers the handshake's last ACK or what
// repeats it, and the event that it answers; -1 if there is none. A full queue
// (tcp_abort_on_overflow), a listener that was closed just then, and a device that
// forbids the connection do that.
func (c *Conn) RefusedACK() (rst, trigger int) {
	_, ack := c.handshakeACK()
	if ack < 0 || c.Seen&SeenRSTServer == 0 {
		return -1, -1
	}
	for i := ack + 1; i < len(c.Events); i++ {
		e := &c.Events[i]
		if e.From != Server || !genuine(e) || e.Kind == KindSYNACK {
			continue
		}
		if e.Kind != KindRST || e.At.Sub(c.Events[ack].At) > SYNACKPatience {
			return -1, -1 // it knew the connection, or lost it since
		}
		if t := c.Trigger(i); t >= 0 && (t == ack || c.Events[t].Ack == c.Events[ack].Ack) {
			return i, t
		}
		return -1, -1
	}
	return -1, -1
}

// SYNACKPatience is how long a SYN-ACK may stay without repetition: the longest initial
// timeout in use is 3 s (RFC 1122 section 4.2.3.1).
const SYNACKPatience = 3500 * time.Millisecond

// Stateless returns the SYN-ACK of a server that seems to have kept nothing of the
// attempt after it (SYN cookies, RFC 4987 section 3.6): no answer came, and it did not
// repeat it for longer than any first timeout. -1 otherwise.
func (c *Conn) Stateless() int {
	synack := c.next(0, func(e *Event) bool { return e.From == Server && e.Kind == KindSYNACK && genuine(e) })
	if synack < 0 || c.RoleBy != RoleBySYN || c.Until.Sub(c.Events[synack].LastAt) <= SYNACKPatience {
		return -1
	}
	for i := range c.Events {
		e := &c.Events[i]
		if e.From == Client && e.Kind != KindSYN || e.From == Server && i > synack || e.Kind == KindSYN && i > synack {
			return -1
		}
	}
	return synack
}

// handshakeACK returns the server's first SYN-ACK and the client's first segment that
// acknowledges it; -1 where there is none.
func (c *Conn) handshakeACK() (synack, ack int) {
	synack = c.next(0, func(e *Event) bool { return e.From == Server && e.Kind == KindSYNACK && genuine(e) })
	if synack < 0 {
		return -1, -1
	}
	return synack, c.acksFrom(Client, synack, c.Events[synack].End)
}

// acksFrom returns a side's first segment after event i, RSTs apart, that acknowledges
// everything below seq.
func (c *Conn) acksFrom(s Side, i int, seq wire.Seq) int {
	return c.next(i+1, func(e *Event) bool {
		return e.From == s && genuine(e) && e.Kind != KindRST && e.Flags&wire.ACK != 0 && !e.Ack.Before(seq)
	})
}

// next returns the first event at or after i for which ok holds, -1 if there is none.
func (c *Conn) next(i int, ok func(e *Event) bool) int {
	for ; i < len(c.Events); i++ {
		if ok(&c.Events[i]) {
			return i
		}
	}
	return -1
}
