package reassembly

import (
	"time"

	"github.com/tcplife/tcplife/wire"
)

// triggerSlack is what a host may take longer than its best to answer with a RST.
const triggerSlack = 5 * time.Millisecond

// Trigger returns the index of the event that the RST with index i answers: the
// peer's segment that asked for its number. A bare RST takes its number from the
// ACK of the segment it answers, one with ACK acknowledges that segment (RFC 9293
// section 3.5.2). Of several the first that the RST's sender could be answering
// now counts. -1: the RST answers nothing that was captured.
func (c *Conn) Trigger(i int) int {
	rst := &c.Events[i]
	found := -1
	for j := i - 1; j >= 0; j-- {
		e := &c.Events[j]
		if e.From == rst.From {
			if e.Kind != KindRST {
				break
			}
			continue
		}
		if e.Kind == KindRST || !answers(rst, e) {
			continue
		}
		if found >= 0 && rst.At.Sub(e.LastAt) > c.Ends[rst.From].Response+triggerSlack {
			break
		}
		found = j
	}
	return found
}

func answers(rst, e *Event) bool {
	if rst.Flags&wire.ACK != 0 {
		return rst.Ack == e.End
	}
	return rst.Seq == e.Ack
}
