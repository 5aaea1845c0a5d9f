package finding

import (
	"github.com/tcplife/tcplife/reassembly"
	"github.com/tcplife/tcplife/wire"
)

// resetTraits say of a connection's RSTs what most rules about RSTs begin by asking. A rule
// names those without which it finds nothing (Rule.resets), and then does not run in vain: half
// of all rules read RSTs, and one RST gives most of them no more than a reason to stop.
type resetTraits uint16

const (
	refuses    resetTraits = 1 << iota // one is a refusal
	replies                            // one is a reply
	aborts                             // one is an abort
	isBare                             // one has no ACK flag
	byServer                           // one came in the server's name
	isPassed                           // something else passed after one
	otherHop                           // the hop limit of one is not that of its side's first segment
	several                            // there are several
	hasOctets                          // one carries octets
	closedSelf                         // one came from a side with a FIN
	closedAny                          // a side has a FIN
	closedBoth                         // both sides have
)

// traits returns those of the connection's RSTs. What came of whom is taken from what was seen, wherever
// they stand in the log and whatever they are.
func (c *Case) traits() (x resetTraits) {
	all := c.resets()
	for i := range all {
		r := &all[i]
		switch r.origin {
		case refusal:
			x |= refuses
		case reply:
			x |= replies
		case abort:
			x |= aborts
		}
		e := r.event
		if e.Flags&wire.ACK == 0 {
			x |= isBare
		}
		if r.at+1+len(all)-1-i < len(c.Events) {
			x |= isPassed // what is left are not RSTs alone
		}
		if e.TTL != c.Ends[r.from].TTL {
			x |= otherHop
		}
		if i > 0 || e.Count > 1 {
			x |= several
		}
		if e.Len > 0 {
			x |= hasOctets
		}
		if c.Seen&(reassembly.SeenFINClient<<r.from) != 0 {
			x |= closedSelf
		}
	}
	if c.Seen&reassembly.SeenRSTServer != 0 {
		x |= byServer
	}
	switch c.Seen & (reassembly.SeenFINClient | reassembly.SeenFINServer) {
	case 0:
	case reassembly.SeenFINClient | reassembly.SeenFINServer:
		x |= closedAny | closedBoth
	default:
		x |= closedAny
	}
	return x
}
