package finding

import (
	"fmt"
	"time"

	"github.com/tcplife/tcplife/reassembly"
	"github.com/tcplife/tcplife/wire"
)

var _ = register(Rule{
	ID:        "zero-window",
	Catalogue: []string{"D02", "D03", "D04"},
	Title:     "The receiver closed its window",
	Severity:  Error,
	RFC:       "9293 3.8.6.1; 6429",
	Triggers:  reassembly.SeenZeroWindow,
	Check:     checkZeroWindow,
	Meaning: `A receiver advertised a window of 0: its buffer was full, because its application did not
read. The sender may only probe until the window opens.

- D02: the window opened again; the sender stood still for the time named (warning from one second
  on).
- D03: it did not open before the connection ended: the receiver hung, and what the sender held is
  lost.
- D04: the window opened, and the sender went on probing: the update was lost on its way to it.`,
	Signature: `    A                          B
    | data ------------------> |
    | <--------- ACK, window 0 |  B's buffer is full
    | probe -----------------> |  after 0.2, 0.4, 0.8 s ... 120 s
    | <--------- ACK, window 0 |
    | <--------- ACK, window n |  B's application has read again`,
	Alternatives: `A device that slows senders down by rewriting the window (traffic shapers do). Where
the SYN is missing from the capture the scale of the window is unknown, but 0 is 0.`,
	Advice: `Look at the receiver's application, not at the network: what does it do in that time
(garbage collection, disk, locks, a downstream that is slow)? ss -tm on its host shows Recv-Q and
the buffer. Larger buffers only put it off. A sender that must not wait for ever sets
TCP_USER_TIMEOUT or a deadline of its own.`,
	Settings: `Linux: tcp_rmem (4096 131072 6291456), tcp_moderate_rcvbuf (1), SO_RCVBUF; probes go on for
tcp_retries2 (15), of a closed socket for tcp_orphan_retries (8). FreeBSD: net.inet.tcp.persmax
(60 s), net.inet.tcp.recvbuf_max. Windows: Set-NetTCPSetting -AutoTuningLevelLocal (normal).`,
})

// stallWarning is from when on a stall costs somebody something: a second is what
// people notice, and most programs' shortest timeout.
const stallWarning = time.Second

func checkZeroWindow(c *Case, report func(Finding)) {
	for s := range c.Ends {
		side := reassembly.Side(s)
		var total, longest time.Duration
		var shown []int
		stalls := 0
		for i := 0; i >= 0 && i < len(c.Events); {
			zero := next(c, i, func(e *reassembly.Event) bool {
				return e.From == side && genuine(e) && e.Marks.Has(reassembly.MarkZeroWindow) && e.Kind != reassembly.KindRST
			})
			if zero < 0 {
				break
			}
			open := next(c, zero+1, func(e *reassembly.Event) bool {
				return e.From == side && genuine(e) && e.Kind != reassembly.KindRST && !e.Marks.Has(reassembly.MarkZeroWindow) && e.Flags&wire.SYN == 0
			})
			if open < 0 {
				neverOpened(c, side, zero, report)
				break
			}
			d := c.Events[open].At.Sub(c.Events[zero].At)
			total, longest, stalls = total+d, max(longest, d), stalls+1
			if len(shown) < groupMax {
				shown = append(shown, zero, open)
			}
			lostUpdate(c, side, open, report)
			i = open + 1
		}
		if stalls == 0 {
			continue
		}
		f := Finding{
			Catalogue: "D02", Severity: Info, Confidence: Certain, Endpoint: Endpoint(side),
			Frames:  frames(c, shown...),
			Message: fmt.Sprintf("The %s closed its window %s, for %s in all: its application did not read.", side, times(stalls), span(total)),
			Falsify: "A device on the path that rewrites the window.",
			Reason:  "both the window of 0 and its opening are in the capture",
		}
		if longest >= stallWarning {
			f.Severity = Warning
		}
		report(f)
	}
}

// neverOpened looks for D03: the connection ended while the window was closed.
func neverOpened(c *Case, side reassembly.Side, zero int, report func(Finding)) {
	end := next(c, zero+1, func(e *reassembly.Event) bool {
		return genuine(e) && (e.Kind == reassembly.KindRST || e.Kind == reassembly.KindFIN && e.From != side)
	})
	var probes []int
	for i := zero + 1; i < len(c.Events); i++ {
		if e := &c.Events[i]; e.From != side && genuine(e) && (e.Marks.Has(reassembly.MarkKeepalive) || e.Len == 1) {
			probes = append(probes, i)
		}
	}
	left, _ := unacked(c, side.Peer(), len(c.Events))
	f := Finding{
		Catalogue: "D03", Severity: Error, Confidence: Likely, Endpoint: Endpoint(side),
		Frames:  frames(c, append(first(probes, groupMax), zero, end)...),
		Message: fmt.Sprintf("The %s closed its window at %s and never opened it again", side, since(c, c.Events[zero].At)),
		Falsify: "A window update that the capture lacks.",
		Reason:  "a sender that had nothing more to send, and gave up for another reason, looks the same",
	}
	switch {
	case end >= 0 && c.Events[end].Kind == reassembly.KindRST && (len(probes) > 0 || left > 0):
		f.Message += fmt.Sprintf("; after %s the %s ended the connection with RST.", span(c.Events[end].At.Sub(c.Events[zero].At)), c.Events[end].From)
	case end < 0 && len(probes) >= reassembly.DeathCopies:
		f.Confidence, f.Reason = Possible, "the window may open after the end of what was watched"
		f.Message += fmt.Sprintf("; the %s probed it %s.", side.Peer(), times(len(probes)))
	default:
		return
	}
	report(f)
}

// lostUpdate looks for D04: a probe that was sent long after the window had opened.
func lostUpdate(c *Case, side reassembly.Side, open int, report func(Finding)) {
	sender := side.Peer()
	then := next(c, open+1, func(e *reassembly.Event) bool { return e.From == sender && genuine(e) })
	if then < 0 {
		return
	}
	e := &c.Events[then]
	late := e.At.Sub(c.Events[open].At)
	if !e.Marks.Has(reassembly.MarkKeepalive) || late < max(jitter(c.Ends[sender].Response), reassembly.ShortestRTO) {
		return
	}
	report(Finding{
		Catalogue: "D04", Severity: Warning, Confidence: Likely, Endpoint: Endpoint(sender),
		Frames:  frames(c, open, then),
		Message: fmt.Sprintf("The %s opened its window at %s, and the %s still probed it %s later: the update did not arrive.", side, since(c, c.Events[open].At), sender, span(late)),
		Falsify: fmt.Sprintf("A capture at the %s that shows the update arriving before the probe.", sender),
		Reason:  "a keepalive probe of a sender that has nothing to send looks the same",
	})
}
