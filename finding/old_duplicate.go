package finding

import (
	"fmt"

	"github.com/tcplife/tcplife/reassembly"
)

var _ = register(Rule{
	ID:        "old-duplicate",
	Catalogue: []string{"W05"},
	Title:     "A segment of an earlier time arrived",
	Severity:  Warning,
	RFC:       "9293 3.4.1; 7323 5 and appendix B; 1337",
	Triggers:  reassembly.SeenOther | reassembly.SeenRepeatData | reassembly.SeenRepeatFIN,
	Check:     checkOldDuplicate,
	Meaning: `Data or a FIN passed that belongs to the past: its numbers are those of an earlier
connection on the same addresses and ports while a new one was open (warning), or it repeats
what its sender knew to be acknowledged after both sides had closed (info). No host sends
that; the network held a copy back. TIME_WAIT exists to keep such segments away from a new
connection; with time stamps PAWS sorts them out.`,
	Signature: `    old connection closes
    | SYN, SYN-ACK, ACK: the same ports once more, new numbers
    | data with the old numbers ---> |  an old duplicate
    | <--- ACK at the new numbers -- |  thrown away, the new numbers are repeated`,
	Alternatives: `A retransmission of a connection that its sender had not finished when the ports
were opened anew (a FIN in LAST_ACK) has old numbers too, and is not the network's fault. A
device may replay segments. Captures merged from several places show copies at once.`,
	Advice: `Look for a path that holds packets back for long or duplicates them (tunnels,
wireless links, failover of redundant links), and for ports that are reused within seconds.
If the data was accepted by the new connection the stream is damaged: compare the ACK that
follows with the new connection's numbers.`,
	Settings: `Linux: tcp_timestamps (1) gives PAWS; tcp_tw_reuse (2) with tcp_tw_reuse_delay (1 s)
and ip_local_port_range (32768 to 60999) decide how soon ports come back. TIME_WAIT (60 s)
cannot be shortened by tcp_fin_timeout; tcp_tw_recycle is gone since 4.12.`,
})

func checkOldDuplicate(c *Case, report func(Finding)) {
	var earlier, closed []int
	for i := range c.Events {
		switch e := &c.Events[i]; {
		case e.Kind != reassembly.KindData && e.Kind != reassembly.KindFIN:
		case e.Marks.Has(reassembly.MarkOther):
			earlier = append(earlier, i)
		case stray(c, i):
			closed = append(closed, i)
		}
	}
	if len(earlier) > 0 {
		reportDuplicate(c, earlier, Finding{Severity: Warning, Confidence: Certain, Reason: "the numbers lie in the earlier connection's range and outside of the new one's"},
			"belongs to an earlier connection on the same ports and passed while a new one was open", report)
	}
	if len(closed) > 0 {
		reportDuplicate(c, closed, Finding{Severity: Info, Confidence: Likely, Reason: "the sender knew these numbers to be acknowledged; a broken host might repeat them all the same"},
			"repeats, after the close, what had been acknowledged long before", report)
	}
}

// stray reports whether event i repeats, after both sides had closed, what its
// sender had no reason to send again.
func stray(c *Case, i int) bool {
	e := &c.Events[i]
	if !e.Marks.Has(reassembly.MarkRepeat) || !genuine(e) || !closedBefore(c, i) {
		return false
	}
	again := last(c, i, func(x *reassembly.Event) bool {
		return x.From == e.From && genuine(x) && consumes(x) && !x.End.Before(e.End) && !x.Seq.After(e.Seq)
	})
	ack := ackOf(c, e.From.Peer(), max(again, 0), e.End)
	if again < 0 || ack < 0 || ack > i || e.At.Sub(c.Events[again].LastAt) < reassembly.Overtaking {
		return false
	}
	reset := last(c, i, func(x *reassembly.Event) bool { return x.From == e.From && x.Kind == reassembly.KindRST }) >= 0
	return reset || knewAcked(c, e.From, i, e.End) || e.At.Sub(c.Events[again].LastAt) > staleFIN
}

func reportDuplicate(c *Case, found []int, f Finding, what string, report func(Finding)) {
	shown := found[:min(len(found), groupMax)]
	var all []int
	for _, i := range shown {
		from := c.Events[i].From
		answer := next(c, i+1, func(e *reassembly.Event) bool { return e.From != from })
		if answer >= 0 && c.Events[answer].At.Sub(c.Events[i].LastAt) > jitter(c.Ends[from.Peer()].Response) {
			answer = -1
		}
		all = append(all, i, answer)
	}
	first := &c.Events[found[0]]
	f.Catalogue, f.Endpoint = "W05", Both
	f.Frames = frames(c, all...)
	count := ""
	if len(found) > 1 {
		count = fmt.Sprintf(", the first of %d,", len(found))
	}
	f.Message = fmt.Sprintf("The %s's %s at %s%s %s.", first.From, name(first), since(c, first.At), count, what)
	f.Falsify = fmt.Sprintf("A capture at the %s that shows its host sending the segment at that time.", first.From)
	report(f)
}
