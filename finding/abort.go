package finding

import (
	"fmt"

	"github.com/tcplife/tcplife/reassembly"
	"github.com/tcplife/tcplife/wire"
)

var _ = register(Rule{
	ID:        "abort",
	Catalogue: []string{"C11", "C12"},
	Title:     "A socket was aborted",
	Severity:  Warning,
	RFC:       "9293 3.6.1 SHLD-3, 3.10.5; 2525 2.17",
	Triggers:  reassembly.SeenRST,
	resets:    aborts,
	Check:     checkAbort,
	Meaning: `A side ended the connection by RST and ACK, without a FIN: its socket was aborted.

- C11: no data had just arrived. The application asked for it (SO_LINGER with time 0), as
  health checks and load balancers do, or its process was killed while data was unsent.
- C12: data of the peer had just been delivered or was on its way. A close() with unread data
  in the receive buffer sends RST, so does the end of a process that had not read everything;
  on many systems the peer loses what it had received and not yet read, too.

Info if everything had been acknowledged, warning if data was under way.`,
	Signature: `    A                               B
    |  established                  |
    | <----------------------- data |  C12 only
    | RST, ACK, seq = next -------> |  window and time stamps like before`,
	Alternatives: `C11 and C12 are the same packet; only the data before it tells them apart. A device
that ends a connection sends RST and ACK too: look at the hop limit, the window and the
time stamps (rule reset-provenance), and whether both sides got one.`,
	Advice: `Ask the application of the side that sent it. C12: it closes before it has read the
request or answer to the end; let it read until end of file, or find out why it gives up
(limits on body size, authentication failure, timeouts). C11 at the end of each connection
with everything acknowledged: a deliberate way around TIME_WAIT. After long idle times: an
idle timeout of a proxy.`,
	Settings: `Linux: SO_LINGER with time 0; tcp_abort_on_overflow (0); tcp_max_orphans. The counters
TcpExtTCPAbortOnData (linger or data after close) and TcpExtTCPAbortOnClose (unread data)
in nstat tell the causes apart on the host.`,
})

// opened reports whether the connection came about; an attempt that is given up with
// a RST aborts nothing.
func opened(c *Case) bool {
	return c.Handshake.Outcome == reassembly.HandshakeComplete || c.Handshake.Outcome == reassembly.HandshakeUnseen || c.Seen&reassembly.SeenData != 0
}

func checkAbort(c *Case, report func(Finding)) {
	for s := range c.Ends {
		side := reassembly.Side(s)
		var g group
		for i := range c.resets() {
			r := &c.rsts[i]
			if r.from == side && r.origin == abort && g.n == 0 && opened(c) && finBefore(c, side, r.at) < 0 && !r.gone(c) && !r.gaveUp(c) {
				g.add(r)
			}
		}
		if g.n > 0 {
			reportAbort(c, g.first, report)
		}
	}
}

// gaveUp reports whether the RST ends a series of keepalive probes without answer:
// then the kernel sent it, because the peer was dead.
func (r *reset) gaveUp(c *Case) bool {
	i := last(c, r.at, func(e *reassembly.Event) bool { return genuine(e) && e.Kind != reassembly.KindRST })
	return i >= 0 && c.Events[i].From == r.from && c.Events[i].Marks.Has(reassembly.MarkKeepalive)
}

// satisfied reports whether a client that resets had the answer to its last question,
// as far as the server had sent it: then the RST costs nobody anything, whether or not
// the client read the answer.
func satisfied(c *Case, r *reset) bool {
	if r.from != reassembly.Client || r.event.Flags&wire.ACK == 0 {
		return false
	}
	var asked, answered wire.Time
	for i := range c.Events {
		e := &c.Events[i]
		switch {
		case !genuine(e) || e.Len == 0 || e.Kind == reassembly.KindRST:
		case e.From == r.from:
			asked = e.LastAt
		case e.End.After(r.event.Ack):
			return false
		default:
			answered = e.LastAt
		}
	}
	return asked > 0 && answered > asked
}

func reportAbort(c *Case, r *reset, report func(Finding)) {
	side, you := r.from, r.from.Peer()
	unread, data := c.Unread(r.at)
	unsent, known := unacked(c, side, r.at)
	f := Finding{Catalogue: "C11", Severity: Info, Confidence: Likely, Endpoint: Endpoint(side)}
	if unread > 0 {
		f.Catalogue = "C12"
		f.Frames = frames(c, data, r.at)
	} else {
		f.Frames = frames(c, r.at)
	}
	then := ""
	switch {
	case unread > 0 && unsent == 0 && satisfied(c, r):
		then = "; it had its answer, and its RST acknowledges all of it."
	case unread+unsent > 0 && unread <= reassembly.FarewellMax && c.Farewell(r.at):
		then = "." + farewell
	case unread+unsent > 0:
		f.Severity = Warning
		then = "."
	case known:
		then = ", when all data had been acknowledged."
	default:
		then = "."
	}
	if r.doubt != 0 {
		f.Confidence = Possible
	}
	if c.Words() {
		f.Message = "The " + side.String() + " aborted the connection by RST at " + since(c, r.event.At)
		if unread > 0 {
			f.Message += fmt.Sprintf(", %s after %s from the %s had passed that it probably never read", span(r.event.At.Sub(c.Events[data].LastAt)), plural(int(unread), "octet"), you)
		}
		if unsent > 0 {
			f.Message += ", with " + plural(int(unsent), "octet") + " of its own not acknowledged"
		}
		f.Message += then
		f.Falsify = "The " + side.String() + "'s application still holding the connection (a RST in its name), or its record of an orderly close."
		if f.Reason = r.why(c); f.Reason == "" {
			f.Reason = "an abort on purpose, one because of unread data and the end of a process look the same"
		}
	}
	report(f)
}
