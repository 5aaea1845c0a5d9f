package finding

import (
	"fmt"
	"time"

	"github.com/tcplife/tcplife/reassembly"
)

var _ = register(Rule{
	ID:        "late-data-reset",
	Example:   "late-data-reset-data.pcap",
	Catalogue: []string{"C13", "C14"},
	Title:     "A side that had closed reset the connection",
	Severity:  Warning,
	RFC:       "9293 3.6.1, 3.10.7.4; 1122 4.2.2.13",
	Triggers:  reassembly.SeenRST,
	resets:    closedSelf,
	Check:     checkLateDataReset,
	Meaning: `A side sent its FIN and later a RST.

- C13: the peer still sent data after the FIN, and the data met a RST. The side had closed
  the socket altogether (close(), not shutdown()), so nobody could read the data: it is
  lost, and the peer's next write or read fails with EPIPE or ECONNRESET. RFC 9293 section
  3.6.1 calls this a half-duplex close and demands the RST, so that the sender learns of it.
- C14: a RST without late data: the application gave the connection up after its FIN
  (SO_LINGER with time 0, or the process ended), or its host dropped the half-closed
  socket. The peer cannot send what it still had to send.`,
	Signature: `    A                               B
    | FIN ------------------------> |  A: close()
    | <------------------------ ACK |  B: CLOSE_WAIT
    | <----------------------- data |  C13 only
    | RST, seq = B's ack ---------> |  no ACK flag: no socket left to ask`,
	Alternatives: `A half-close (shutdown(SHUT_WR)) would have acknowledged the data. Data that was
already under way when the FIN passed is met in the same way: compare the time between
the FIN and the data with the response times. After more than a minute the orphaned
FIN_WAIT_2 may simply have timed out on A.`,
	Advice: `C13: the protocol lacks an end mark, or A closes before it has read the answer. Let A
read to the end of file before close(), or shut down only its sending direction. If A is a
client or proxy that gave up, its own timeout is the cause; compare the time from the
request to the FIN with it. C14 with all bytes acknowledged costs nothing but may hide that
TIME_WAIT is being avoided on purpose.`,
	Settings: `Linux: tcp_fin_timeout (60 s) bounds FIN_WAIT_2 of a closed socket only, and does not
shorten TIME_WAIT; SO_LINGER with time 0 sends RST at close(); TCP_LINGER2 below 0 drops
FIN_WAIT_2 at once; tcp_max_orphans resets above its limit.`,
})

func checkLateDataReset(c *Case, report func(Finding)) {
	for s := range c.Ends {
		var late, plain group
		for i := range c.resets() {
			r := &c.rsts[i]
			side := reassembly.Side(s)
			fin := finBefore(c, side, r.at)
			if r.from != side || fin < 0 || !genuine(r.event) || r.origin == foreign || closedBefore(c, r.at) {
				continue
			}
			switch data := r.lateData(c, fin); {
			case data >= 0:
				late.add(r, fin, data)
			case (finBefore(c, side.Peer(), r.at) < 0 || unaware(r.event, c.Ends[side.Peer()].FIN)) && late.n == 0:
				plain.add(r, fin)
			}
		}
		if late.n > 0 {
			reportLateData(c, &late, report)
		} else if plain.n > 0 {
			reportFINThenReset(c, &plain, report)
		}
	}
}

// lateData returns the peer's new data after the FIN that the RST answers, or that
// was the last before it; -1 if there is none.
func (r *reset) lateData(c *Case, fin int) int {
	acked, known := ackedBefore(c, r.from, r.at)
	fresh := func(e *reassembly.Event) bool {
		return e.From != r.from && genuine(e) && e.Len > 0 && e.Kind != reassembly.KindRST && (!known || e.Seq.Add(e.Len).After(acked))
	}
	if r.origin == reply && r.trigger > fin {
		if fresh(&c.Events[r.trigger]) {
			return r.trigger
		}
		// The FIN behind the data is what the RST answers, and the data went before.
		if c.Events[r.trigger].Kind == reassembly.KindFIN {
			if i := last(c, r.trigger, fresh); i > fin {
				return i
			}
		}
	}
	if r.origin != abort {
		return -1
	}
	// A socket that is still there acknowledges what it throws away, or not; what
	// counts is that it came just before.
	if i := last(c, r.at, fresh); i > fin && r.event.At.Sub(c.Events[i].LastAt) <= jitter(c.Ends[r.from].Response) {
		return i
	}
	return -1
}

func reportLateData(c *Case, g *group, report func(Finding)) {
	r := g.first
	by, to := r.from, r.from.Peer()
	fin := finBefore(c, by, r.at)
	data := r.lateData(c, fin)
	f := Finding{
		Catalogue: "C13", Severity: Warning, Confidence: Certain, Endpoint: Both,
		Frames: frames(c, g.events()...),
		Reason: "the RST takes its number from the data's acknowledgment, and the data was never acknowledged",
	}
	if c.Words() {
		lost, _ := unacked(c, to, r.at)
		after, known := "after", ""
		if !acknowledges(&c.Events[data], c.Ends[by].FIN) {
			after, known = "behind", ", which it had not received yet"
		}
		f.Message = fmt.Sprintf("The %s sent data %s %s the %s's FIN%s, and the %s answered with RST after %s: it had closed fully. Lost with the data: %s.",
			to, span(c.Events[data].At.Sub(c.Events[fin].At)), after, by, known, by, span(r.event.At.Sub(c.Events[data].LastAt)), plural(int(lost), "octet"))
		f.Falsify = fmt.Sprintf("An acknowledgment of the data by the %s: then it was read, and the RST has another cause.", by)
	}
	switch {
	case c.Farewell(r.at):
		f.Severity = Info
		f.Message += farewell
	case by == reassembly.Client:
		if waited, usual, ok := didNotWait(c, fin, data); ok {
			f.Severity = Info
			if c.Words() {
				f.Message += fmt.Sprintf(" The client had closed %s after its last word, sooner than an answer %s: it did not wait for one.", span(waited), usual)
			}
		}
	}
	if r.origin != reply {
		f.Confidence, f.Reason = Likely, "the RST has the form of a socket's abort; that the late data caused it is read from the time between them"
	}
	report(f)
}

// farewell is said where a RST cost nobody more than a word of goodbye.
const farewell = " No more than a word of goodbye, such as TLS's close_notify: the last answer had been received."

// shortestTimeout is less than any time limit that a client's user sets for an answer:
// limits are given in seconds, or in some hundreds of milliseconds.
const shortestTimeout = 200 * time.Millisecond

// didNotWait reports whether the client closed so soon that no time limit of its own
// can have run out, while an answer was under way or when it had asked nothing: its user
// ended it, and what came then was not late. usual says in words what the time that it
// waited is compared with.
func didNotWait(c *Case, fin, data int) (waited time.Duration, usual string, ok bool) {
	asked, spoke, open := c.Start, false, false
	var slowest, pending time.Duration
	for i := range c.Events[:fin+1] {
		e := &c.Events[i]
		switch {
		case !genuine(e) || e.Len == 0 || e.Kind != reassembly.KindData && i != fin:
		case e.From == reassembly.Client:
			asked, spoke, open = e.LastAt, true, true
			slowest = max(slowest, pending)
		case open && e.LastAt > asked:
			pending, open = max(e.At, asked).Sub(asked), false
		}
	}
	waited = c.Events[fin].At.Sub(asked)
	if spoke && (waited >= c.Ends[reassembly.Server].Response || asked == c.Events[fin].At) && acknowledges(&c.Events[data], c.Ends[reassembly.Client].FIN) {
		// The server knew of the FIN and answered: to it, that was a half-close. Sooner
		// than any answer could come, nobody waited for one.
		return 0, "", false
	}
	if slowest > 0 {
		if c.Words() {
			usual = fmt.Sprintf("has to come (the slowest before took %s)", span(slowest))
		}
		return waited, usual, waited <= jitter(slowest)
	}
	return waited, "can be late", waited < shortestTimeout
}

func reportFINThenReset(c *Case, g *group, report func(Finding)) {
	r := g.first
	by, to := r.from, r.from.Peer()
	fin := finBefore(c, by, r.at)
	mine, knownMine := unacked(c, by, r.at)
	yours, knownYours := unacked(c, to, r.at)
	f := Finding{
		Catalogue: "C14", Severity: Info, Confidence: Certain, Endpoint: Endpoint(by),
		Frames: frames(c, append(g.events(), ackOf(c, to, fin, c.Ends[by].FIN))...),
		Reason: "both segments are in the capture, and the peer sent neither data nor FIN between them",
	}
	if c.Words() {
		f.Message = fmt.Sprintf("The %s sent a RST %s after its own FIN, before the %s had closed", by, span(r.event.At.Sub(c.Events[fin].At)), to)
		f.Falsify = fmt.Sprintf("A FIN or data of the %s that the capture lacks and that the RST answers.", to)
	}
	switch {
	case mine+yours > 0:
		f.Severity = Warning
		if c.Words() {
			f.Message += fmt.Sprintf("; unacknowledged were %s of the %s's and %s of the %s's.", plural(int(mine), "octet"), by, plural(int(yours), "octet"), to)
		}
		if c.Farewell(r.at) {
			f.Severity = Info
			f.Message += farewell
		}
	case knownMine && knownYours:
		f.Message += "; all data had been acknowledged."
	default:
		f.Message += "."
	}
	switch why := gaps(c); {
	case inside(c):
		f.Confidence, f.Reason = Possible, "the capture begins inside the connection: the peer's FIN may have passed before"
	case why != "":
		f.Confidence, f.Reason = Likely, why
	case r.doubt != 0:
		f.Confidence, f.Reason = Likely, r.why(c)
	}
	report(f)
}
