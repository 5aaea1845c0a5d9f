package finding

import (
	"slices"

	"github.com/tcplife/tcplife/reassembly"
	"github.com/tcplife/tcplife/wire"
)

// Case is a connection that rules look at, with what many of them ask about it: found out
// once, when the first one asks.
type Case struct {
	*reassembly.Conn

	// wordless: nobody reads yet what findings say; see Words.
	wordless bool

	fins      [2]closer
	knowsFINs bool
	rsts      []reset
	knowsRSTs bool

	shown shown
	lost  lostAck // what checkLostFinalAck works with

	// ids is the memory of what frames returns.
	ids []wire.FrameID
}

// closer is a side's first FIN and the peer's first segment behind it that acknowledges
// it; -1 for none.
type closer struct{ fin, acked int }

// begin has the case be another connection.
func (c *Case) begin(conn *reassembly.Conn, wordless bool) {
	*c = Case{Conn: conn, wordless: wordless, rsts: c.rsts[:0], ids: c.ids[:0]}
}

// Words reports whether somebody reads the words of findings: Message, Falsify and Reason.
// Rules that find something often leave them out where not: most findings are counted
// only, and it takes longer to say a thing than to find it.
func (c *Case) Words() bool { return !c.wordless }

// resets returns the RSTs of the connection, in order.
func (c *Case) resets() []reset {
	if !c.knowsRSTs {
		c.knowsRSTs = true
		if c.Seen&reassembly.SeenRST == 0 {
			return c.rsts
		}
		for i := range c.Events {
			if c.Events[i].Kind == reassembly.KindRST {
				c.rsts = append(c.rsts, classify(c, i))
			}
		}
	}
	return c.rsts
}

// closers returns the FINs of both sides.
func (c *Case) closers() *[2]closer {
	if c.knowsFINs {
		return &c.fins
	}
	c.knowsFINs = true
	c.fins = [2]closer{{-1, -1}, {-1, -1}}
	for i := range c.Events {
		if e := &c.Events[i]; e.Kind == reassembly.KindFIN && c.fins[e.From].fin < 0 && genuine(e) {
			c.fins[e.From].fin = i
		}
	}
	for s := range c.fins {
		if f := &c.fins[s]; f.fin >= 0 {
			f.acked = ackOf(c, reassembly.Side(s).Peer(), f.fin, c.Ends[s].FIN)
		}
	}
	return &c.fins
}

// frames returns the frames of events, in capture order, without repetition.
func frames(c *Case, indices ...int) []wire.FrameID {
	var few [8]int
	sorted := few[:0]
	if len(indices) > len(few) {
		sorted = slices.Sorted(slices.Values(indices))
	} else {
		for _, i := range indices {
			at := len(sorted)
			for sorted = append(sorted, i); at > 0 && sorted[at-1] > i; at-- {
				sorted[at] = sorted[at-1]
			}
			sorted[at] = i
		}
	}
	c.ids = slices.Grow(c.ids, 2*len(sorted))
	from := len(c.ids)
	for n, i := range sorted {
		if i < 0 || n > 0 && sorted[n-1] == i {
			continue
		}
		if c.ids = append(c.ids, c.Events[i].Frame); c.Events[i].LastFrame != c.Events[i].Frame {
			c.ids = append(c.ids, c.Events[i].LastFrame)
		}
	}
	return slices.Clip(c.ids[from:])
}
