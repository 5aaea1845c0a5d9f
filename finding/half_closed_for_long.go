package finding

import (
	"fmt"
	"time"

	"github.com/tcplife/tcplife/reassembly"
)

var _ = register(Rule{
	ID:        "half-closed-for-long",
	Catalogue: []string{"C07", "C08"},
	Title:     "One side closed, the other does not",
	Severity:  Warning,
	RFC:       "9293 3.6, 3.6.1; 1122 4.2.2.13",
	Triggers:  reassembly.SeenOneFIN | reassembly.SeenRST,
	resets:    closedAny,
	Check:     checkHalfClosedForLong,
	Meaning: `A side's FIN was acknowledged, and the other side neither sent anything more nor closed.

- C08: it stands in CLOSE_WAIT: the kernel has told its application of the end of file, and the
  application does not close the socket. No timer ends that. Many of them are a leak of
  descriptors; warning from a minute on, info before, because it may still be at work.
- C07: the first side in FIN_WAIT_2 was gone when the other spoke at last: its socket had been
  closed and timed out, so late data and FIN met a RST. Data that comes within a minute may have
  found it still there, and meets a RST all the same: possible only.`,
	Signature: `    A                          B
    | FIN -------------------> |
    | <------------------- ACK |  A: FIN_WAIT_2   B: CLOSE_WAIT
    |   (seconds, minutes)     |
    | <------------ data, FIN  |  late
    | RST -------------------> |  C07: A's FIN_WAIT_2 is over`,
	Alternatives: `A half-close on purpose (shutdown): B still works on the answer. If it sends data, the
rule half-close reports that instead. The capture ended before B closed.`,
	Advice: `Look at B: lsof or ss -tanp state close-wait name the process. The usual cause is a path of
the program that does not close on end of file or on error, or a pool that keeps dead connections.
Let readers close when read returns 0. Shortening A's timers only moves the trouble.`,
	Settings: `Linux: CLOSE_WAIT has no timeout; tcp_fin_timeout (60 s) bounds FIN_WAIT_2 of closed
sockets only and does not touch TIME_WAIT. nf_conntrack_tcp_timeout_close_wait (60 s) on devices.
FreeBSD: net.inet.tcp.finwait2_timeout (60000 ms), fast_finwait2_recycle (0). Windows:
TcpFinWait2Delay (registry).`,
})

// The times for CLOSE_WAIT. Within a second a program that reads the end of file in
// the ordinary way has closed; after the minute that Linux keeps an orphan in
// FIN_WAIT_2 the other end is gone.
const (
	closeWaitNoticed = time.Second
	closeWaitLong    = time.Minute
)

// corked is how long Linux at least holds an ACK back (TCP_DELACK_MIN) in the hope that
// the program has something to send with it, its FIN for instance.
const corked = 40 * time.Millisecond

// least is how long after the FIN the capture must go on for a CLOSE_WAIT to be told of
// that its end cuts off: three times what the host takes to answer, and so long that its
// kernel no longer waits for the program. A close that is merely under way is no news.
func least(c *Case, side reassembly.Side) time.Duration {
	return min(closeWaitNoticed, max(corked, 3*c.Ends[side].Response))
}

func checkHalfClosedForLong(c *Case, report func(Finding)) {
	for s := range c.Ends {
		side := reassembly.Side(s) // closed first
		you := side.Peer()
		fin := firstFIN(c, side)
		if fin < 0 {
			continue
		}
		ack := ackOf(c, you, fin, c.Ends[side].FIN)
		if ack < 0 || c.Events[ack].Kind == reassembly.KindFIN {
			continue
		}
		late := next(c, ack+1, func(e *reassembly.Event) bool {
			return e.From == you && genuine(e) && consumes(e) && e.Kind != reassembly.KindRST
		})
		at := c.Events[ack].At
		if late >= 0 {
			orphaned(c, side, fin, ack, late, report)
			continue
		}
		end := next(c, ack+1, func(e *reassembly.Event) bool { return e.Kind == reassembly.KindRST && genuine(e) })
		until := c.Until
		if end >= 0 {
			until = c.Events[end].At
		}
		if c.Next.Frame != 0 {
			until = min(until, c.Next.Key.Start)
		}
		if stateAt(c, you, until) != reassembly.CloseWait {
			continue // it closed in a segment that the capture lacks
		}
		open := end < 0 && c.Ended.Early()
		if c.Events[ack].Kind == reassembly.KindData || until.Sub(at) < closeWaitNoticed && (!open || until.Sub(c.Events[fin].At) < least(c, you)) {
			continue
		}
		f := Finding{
			Catalogue: "C08", Severity: Info, Confidence: Possible, Endpoint: Endpoint(you),
			Frames: frames(c, fin, ack, end),
			Message: fmt.Sprintf("The %s has known since %s that the %s closed, and in %s neither sent anything nor closed: it stands in CLOSE_WAIT.",
				you, since(c, at), side, span(until.Sub(at))),
			Falsify: fmt.Sprintf("Data or a FIN of the %s that the capture lacks.", you),
			Reason:  "it may still be at work on an answer",
		}
		if open {
			f.Message = fmt.Sprintf("When the capture ends the %s has known for %s that the %s closed, and has neither sent anything nor closed: it stands in CLOSE_WAIT.",
				you, span(until.Sub(at)), side)
		}
		if until.Sub(at) >= closeWaitLong {
			f.Severity, f.Confidence = Warning, Likely
			f.Reason = "a program may mean to wait for so long"
		}
		if why := gaps(c); why != "" {
			doubted(&f, Possible, why)
		}
		report(f)
	}
}

// orphaned looks for C07: what the second side sent late met no socket.
func orphaned(c *Case, side reassembly.Side, fin, ack, late int, report func(Finding)) {
	waited := c.Events[late].At.Sub(c.Events[ack].At)
	if waited < closeWaitNoticed {
		return
	}
	done := false
	for i := range c.resets() {
		r := &c.rsts[i]
		if done || r.from != side || r.origin != reply || r.trigger < late {
			continue
		}
		done = true
		f := Finding{
			Catalogue: "C07", Severity: Warning, Confidence: Likely, Endpoint: Endpoint(side),
			Frames: frames(c, fin, late, r.trigger, r.at),
			Message: fmt.Sprintf("The %s closed, the %s said nothing for %s, and what it sent then met a RST: the %s's FIN_WAIT_2 was over.",
				side, side.Peer(), span(waited), side),
			Falsify: fmt.Sprintf("A RST of the %s in between that the capture lacks.", side),
			Reason:  "a socket that was closed altogether from the start answers late data in the same way",
		}
		// A FIN would have been taken in FIN_WAIT_2; data meets a RST there too, since nobody
		// is left to read it.
		if c.Events[late].Len > 0 && waited < closeWaitLong {
			f.Confidence = Possible
			f.Message = fmt.Sprintf("The %s closed, the %s said nothing for %s, and the data that it sent then met a RST: no program of the %s's holds the socket; its FIN_WAIT_2 may have been over.",
				side, side.Peer(), span(waited), side)
			f.Reason = "data meets a RST also where the closed socket still stands in FIN_WAIT_2"
		}
		report(f)
	}
}
