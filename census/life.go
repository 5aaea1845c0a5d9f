package census

import (
	"encoding/binary"
	"net/netip"

	"github.com/tcplife/tcplife/reassembly"
	"github.com/tcplife/tcplife/wire"
)

// Life is what a census needs of one connection: which states its endpoints were
// in, and what it shows about a listening socket.
type Life struct {
	Client, Server netip.AddrPort
	// Sides holds both endpoints' states, by reassembly.Side.
	Sides [2][]Step
	// Gone is when the connection went out of sight though an endpoint had a state,
	// because its tuple opened anew or a limit was reached; Forever otherwise. What
	// the end of the input cuts off is not gone.
	Gone wire.Time
	// Answered is when the server first answered the SYN with a SYN-ACK, Refused
	// when it refused it; Forever if it did not.
	Answered, Refused wire.Time
}

// Step is the beginning of a state.
type Step struct {
	State reassembly.State
	At    wire.Time
}

// Forever is later than every instant of a capture.
const Forever = wire.Time(1<<63 - 1)

// AppendLife appends what ReadLife needs of a connection: a few octets for each
// change of state, which can cross from one goroutine to another and outlive c.
func AppendLife(b []byte, c *reassembly.Conn) []byte {
	gone, answered, refused := Forever, Forever, Forever
	switch {
	case c.Replaced && c.Next.AnswerAt != 0:
		// A host has one connection to a tuple at a time: when it answered the new
		// attempt, it had no state of the old one left.
		gone = c.Next.AnswerAt
	case c.Ended == reassembly.EndedReused || c.Ended == reassembly.EndedEvicted:
		gone = c.Until
	}
	if c.Close.Reason == reassembly.CloseRefused {
		refused = c.End
	}
	if server := c.Ends[reassembly.Server].Timeline; c.Handshake.SYNACKs > 0 && !c.Handshake.Simultaneous && len(server) > 0 {
		answered = server[0].At
	}
	for _, t := range [...]wire.Time{gone, answered, refused} {
		b = binary.LittleEndian.AppendUint64(b, uint64(t))
	}
	for i := range c.Ends {
		tl := c.Ends[i].Timeline
		steps := len(tl) // bounded by the log
		at, lost := lostAt(c, &c.Ends[i])
		if lost {
			steps++
		}
		b = binary.LittleEndian.AppendUint16(b, uint16(steps))
		for k := range tl {
			b = append(b, byte(tl[k].State))
			b = binary.LittleEndian.AppendUint64(b, uint64(tl[k].At))
		}
		if lost {
			b = append(b, byte(reassembly.Closed))
			b = binary.LittleEndian.AppendUint64(b, uint64(at))
		}
	}
	return b
}

// lostAt returns when a side's host was seen to know no such connection. When it had
// lost it nobody knows; until then it counts where it was.
func lostAt(c *reassembly.Conn, e *reassembly.Endpoint) (wire.Time, bool) {
	if e.Gone == 0 {
		return 0, false
	}
	for i := range c.Events {
		if c.Events[i].Frame == e.Gone {
			return c.Events[i].At, true
		}
	}
	return c.End, true
}

// ReadLife reads what AppendLife has appended. The steps stay in l's own memory,
// which the next call uses again.
func (l *Life) ReadLife(b []byte, t *wire.Tuple) {
	l.Client, l.Server = t.Source(), t.Destination()
	next := func() wire.Time {
		v := binary.LittleEndian.Uint64(b)
		b = b[8:]
		return wire.Time(v)
	}
	l.Gone, l.Answered, l.Refused = next(), next(), next()
	for side := range l.Sides {
		n := binary.LittleEndian.Uint16(b)
		b = b[2:]
		l.Sides[side] = l.Sides[side][:0]
		for range n {
			s := reassembly.State(b[0])
			b = b[1:]
			l.Sides[side] = append(l.Sides[side], Step{s, next()})
		}
	}
}

// stays calls do for each state that a side was in, from the instant at which it
// began up to the one at which it was over, Forever if it was not.
func (l *Life) stays(side reassembly.Side, do func(s reassembly.State, from, to wire.Time)) {
	steps := l.Sides[side]
	for i, s := range steps {
		to := Forever
		switch {
		case i+1 < len(steps):
			to = steps[i+1].At
		case s.State != reassembly.Closed && l.Gone != Forever:
			to = max(l.Gone, s.At)
			do(reassembly.Closed, to, Forever)
		}
		if s.At < to {
			do(s.State, s.At, to)
		}
	}
}

// open reports whether a server's endpoint in this state is a connection that its
// application, or the host on its behalf, still serves: what a server's status page
// or lsof counts. Before, the handshake is not complete; in TIME_WAIT nobody holds
// it any more.
func open(s reassembly.State) bool { return s.Synchronized() && s != reassembly.TimeWait }

// socket reports whether netstat lists an endpoint in this state with a peer.
func socket(s reassembly.State) bool { return s != reassembly.Closed && s != reassembly.Listen }
