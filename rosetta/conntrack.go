package rosetta

import (
	"time"

	"github.com/tcplife/tcplife/reassembly"
	"github.com/tcplife/tcplife/wire"
)

// Conntrack is the entry of Linux nf_conntrack, with its settings as the kernel has
// them (tcp_loose 1, tcp_be_liberal 0). Its host is taken to see what the capture
// does.
type Conntrack struct {
	// State is the entry's last state; NONE when no packet could make one.
	State string
	// Entries is how many entries follow each other because their time ran out or
	// the tuple opened anew; State is of the first.
	Entries uint16
}

type conntrackState uint8

const (
	ctNone conntrackState = iota
	ctSYNSent
	ctSYNRecv
	ctEstablished
	ctFINWait
	ctCloseWait
	ctLastACK
	ctTimeWait
	ctClose
	ctSYNSent2 // both sent a SYN
	ctInvalid  // the packet is none of the entry's
	ctIgnore   // it passes, and the state stays
)

var conntrackNames = [...]string{"NONE", "SYN_SENT", "SYN_RECV", "ESTABLISHED", "FIN_WAIT", "CLOSE_WAIT", "LAST_ACK", "TIME_WAIT", "CLOSE", "SYN_SENT2"}

// ConntrackStates returns the names of nf_conntrack's states.
func ConntrackStates() []string { return conntrackNames[:] }

// conntrackTimeouts are the sysctls nf_conntrack_tcp_timeout_*, by state.
var conntrackTimeouts = [...]time.Duration{
	ctSYNSent: 120 * time.Second, ctSYNRecv: 60 * time.Second, ctEstablished: 432000 * time.Second, ctFINWait: 120 * time.Second,
	ctCloseWait: 60 * time.Second, ctLastACK: 30 * time.Second, ctTimeWait: 120 * time.Second, ctClose: 10 * time.Second, ctSYNSent2: 120 * time.Second,
}

// conntrackArcs is the kernel's table: by direction (of the entry's first packet, and
// back), kind of packet and state.
var conntrackArcs = [2][4][10]conntrackState{
	{
		{ctSYNSent, ctSYNSent, ctIgnore, ctIgnore, ctIgnore, ctIgnore, ctIgnore, ctSYNSent, ctSYNSent, ctSYNSent2},
		{ctInvalid, ctInvalid, ctSYNRecv, ctInvalid, ctInvalid, ctInvalid, ctInvalid, ctInvalid, ctInvalid, ctSYNRecv},
		{ctInvalid, ctInvalid, ctFINWait, ctFINWait, ctLastACK, ctLastACK, ctLastACK, ctTimeWait, ctClose, ctInvalid},
		{ctEstablished, ctInvalid, ctEstablished, ctEstablished, ctCloseWait, ctCloseWait, ctTimeWait, ctTimeWait, ctClose, ctInvalid},
	},
	{
		{ctInvalid, ctSYNSent2, ctInvalid, ctInvalid, ctInvalid, ctInvalid, ctInvalid, ctSYNSent, ctInvalid, ctSYNSent2},
		{ctInvalid, ctSYNRecv, ctIgnore, ctIgnore, ctIgnore, ctIgnore, ctIgnore, ctIgnore, ctIgnore, ctSYNRecv},
		{ctInvalid, ctInvalid, ctFINWait, ctFINWait, ctLastACK, ctLastACK, ctLastACK, ctTimeWait, ctClose, ctInvalid},
		{ctInvalid, ctIgnore, ctSYNRecv, ctEstablished, ctCloseWait, ctCloseWait, ctTimeWait, ctTimeWait, ctClose, ctIgnore},
	},
}

// Rows of conntrackArcs.
const (
	ctSYN = iota
	ctSYNACK
	ctFIN
	ctACK
)

// ConntrackOf returns what nf_conntrack would hold of a connection. It reads the log:
// an entry that times out in the middle of a run of data is not seen to.
func ConntrackOf(c *reassembly.Conn) Conntrack {
	var t conntrack
	for i := range c.Events {
		t.see(&c.Events[i])
	}
	if t.entries <= 1 {
		t.first = t.state
	}
	return Conntrack{State: conntrackNames[t.first], Entries: t.entries}
}

type conntrack struct {
	state, first conntrackState
	entries      uint16
	origin       reassembly.Side
	last         wire.Time
	// acked is the highest number that each side has acknowledged, if any.
	acked    [2]wire.Seq
	hasAcked [2]bool
	closing  [2]bool // it sent a FIN
	reset    [2]bool // its last packet was a RST
	// ignored is the number after the SYN that was ignored last, and from whom.
	ignored     wire.Seq
	ignoredFrom reassembly.Side
	hasIgnored  bool
	challenge   bool // the answer to a SYN in LAST_ACK may be a challenge ACK
}

func (t *conntrack) see(e *reassembly.Event) {
	if t.state != ctNone && e.At.Sub(t.last) > conntrackTimeouts[t.state] {
		t.end()
	}
	if e.Marks&(reassembly.MarkOutside|reassembly.MarkOther) != 0 {
		return // out of the window
	}
	if t.state == ctNone {
		t.origin = e.From
	}
	t.step(e)
	if t.state != ctNone {
		t.last = e.LastAt
	}
}

// end drops the entry.
func (t *conntrack) end() {
	if t.entries == 1 {
		t.first = t.state
	}
	*t = conntrack{first: t.first, entries: t.entries}
}

func (t *conntrack) step(e *reassembly.Event) {
	from, peer := e.From&1, e.From.Peer()&1
	back := 0
	if e.From != t.origin {
		back = 1
	}
	if e.Flags&wire.RST != 0 {
		t.rst(e)
		return
	}
	var kind int
	switch {
	case e.Flags&(wire.SYN|wire.ACK) == wire.SYN|wire.ACK:
		kind = ctSYNACK
	case e.Flags&wire.SYN != 0:
		kind = ctSYN
	case e.Flags&wire.ACK == 0:
		return // no flag that a connection needs: invalid
	case e.Flags&wire.FIN != 0:
		kind = ctFIN
	default:
		kind = ctACK
	}
	next := conntrackArcs[back][kind][t.state]
	switch {
	case next == ctInvalid:
		return
	case next == ctIgnore:
		if kind == ctSYNACK && t.hasIgnored && t.ignoredFrom != e.From && e.Ack == t.ignored {
			// The SYN that was ignored has been answered: the hosts know better.
			t.hasIgnored, t.state = false, ctSYNRecv
			return
		}
		if kind == ctSYN {
			t.ignored, t.ignoredFrom, t.hasIgnored = e.End, e.From, true
			t.challenge = t.challenge || t.state == ctLastACK
		}
		return
	case next == ctTimeWait && t.state == ctLastACK && t.challenge && kind == ctACK:
		t.challenge = false
		return
	case next == ctSYNSent && t.state >= ctTimeWait && t.state <= ctClose:
		if !t.closing[peer] && !t.reset[from] {
			return
		}
		t.end()
		t.origin = e.From
	}
	if t.state == ctNone {
		t.entries++
	}
	t.state = next
	t.closing[from] = t.closing[from] || kind == ctFIN
	t.reset[from] = false
	if e.Flags&wire.ACK != 0 && (!t.hasAcked[from] || e.Ack.After(t.acked[from])) {
		t.acked[from], t.hasAcked[from] = e.Ack, true
	}
}

// rst closes the entry, unless its number is below what the receiver has acknowledged
// or, in ESTABLISHED, another than that.
func (t *conntrack) rst(e *reassembly.Event) {
	if t.state == ctNone {
		return
	}
	if peer := e.From.Peer() & 1; t.hasAcked[peer] {
		if e.Seq.Before(t.acked[peer]) || t.state == ctEstablished && e.Seq != t.acked[peer] {
			return
		}
	}
	t.state = ctClose
	t.reset[e.From&1] = true
}
