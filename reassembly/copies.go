package reassembly

import "time"

// copyGap is the time after which a sender's clock for TSval has moved for sure:
// the slowest in use ticks every 100 ms (RFC 7323 section 5.4 allows 1 s, which no
// known stack takes).
const copyGap = 150 * time.Millisecond

// Copied reports whether event b is the very segment a once more, and not a
// retransmission: a host numbers and stamps what it sends again anew.
func Copied(a, b *Event) bool {
	if a.IPID != 0 && b.IPID != 0 {
		return a.IPID == b.IPID
	}
	return a.Marks.Has(MarkTimestamp) && b.Marks.Has(MarkTimestamp) &&
		a.TSVal == b.TSVal && b.At.Sub(a.LastAt) > copyGap
}

// ShortestRTO is the shortest time after which a timer sends a segment again: 200 ms
// on Linux (TCP_RTO_MIN), less what a path may take out of it. What comes sooner is
// another copy, or a fast retransmission.
const ShortestRTO = 150 * time.Millisecond

// Transmissions returns the indices of event i and its repetitions: what the same side
// sent again from the same number on, but for the network's own copies.
func (c *Conn) Transmissions(i int) []int {
	first := &c.Events[i]
	all := []int{i}
	for j := i + 1; j < len(c.Events); j++ {
		e := &c.Events[j]
		before := &c.Events[all[len(all)-1]]
		if e.From != first.From || e.Kind != first.Kind || e.Seq != first.Seq || !genuine(e) || Copied(before, e) || e.At.Sub(before.At) < ShortestRTO {
			continue
		}
		all = append(all, j)
	}
	return all
}
