package incident

import (
	"fmt"
	"time"

	"github.com/tcplife/tcplife/finding"
	"github.com/tcplife/tcplife/reassembly"
)

var _ = register(Rule{
	ID:        "keepalive-race",
	Example:   "incidents/keepalive-race.pcap",
	Catalogue: []string{"C13", "D09"},
	Title:     "Requests run into the other side's idle timeout",
	Severity:  finding.Error,
	RFC:       "9293 3.6.1; 9112 9.3.1, 9.6",
	Folds:     []string{"request-crossed-close", "late-data-reset", "reset-provenance", "unacknowledged-tail", "retransmission-death", "fin-answered-by-reset", "lost-final-ack", "half-closed-for-long", "no-socket-reset"},
	Explains:  []string{"reset-share", "stuck-closes/C07", "idle-timeout", "slow-to-close"},
	Check:     checkKeepaliveRace,
	Meaning: `At one listener connections that are kept alive were closed by one side while the other used
them again: the request met a closed socket and was answered by RST, or was taken in and thrown away.
The client sees a connection reset (ECONNRESET, "socket hang up", 502 of a proxy) for a request that
nobody has read. The message gives the idle limit of the side that closes, as its closes show it, and
how long the other side leaves connections idle and still uses them: the second must be the shorter
one.

- C13: the FIN had been there for long, and the client sent its request all the same. It looks at a
  connection only when it wants to use it, and not even then whether it was closed.
- D09: request and FIN crossed: neither side could know of the other's.`,
	Signature: `    client                    server
    | request, answer         |
    |   (5.0 s idle)          |
    | request ----.   .-- FIN |  the server's limit is 5 s
    |        <----'   '-----> |  the client's is longer
    | <------------------ RST |`,
	Alternatives: `A server that restarts closes all its connections (closed-all-at-once), some of which cross
a request too; then they have been idle for different times.`,
	Advice: `Make the idle limit of the side that sends requests shorter than that of the other, by a
second or more: the client's below the proxy's below the server's. Or raise the server's. Let clients
repeat requests that may be repeated. A proxy that retries on another connection hides it. C13: the
pool must test a connection before it uses it (a read that would block), or watch it for closes.`,
	Settings: `No sysctl: the limits are the programs'. nginx keepalive_timeout (75 s; upstream keepalive_timeout
60 s), Apache KeepAliveTimeout (5 s), Node.js server.keepAliveTimeout (5 s), gunicorn keepalive (2 s),
uvicorn timeout_keep_alive (5 s), AWS ALB idle timeout (60 s), HAProxy timeout http-keep-alive, Go
http.Transport.IdleConnTimeout (90 s), Java HttpClient jdk.httpclient.keepalive.timeout (30 s).`,
})

const (
	// raceLeast: one is told on its connection.
	raceLeast = 2
	// staleLeast: a client may come late once; three do not look.
	staleLeast = 3
)

func checkKeepaliveRace(s *Sums, report func(Incident)) {
	for _, i := range s.listeners.sorted() {
		k, l := s.listeners.keys[i], s.listeners.rec(i)
		for side := range l.races {
			races, stales := l.races[side], l.stales[side]
			if (races == nil || races.count < raceLeast) && (stales == nil || stales.count < staleLeast) {
				continue
			}
			closer := reassembly.Side(side)
			in := Incident{
				key: k, Catalogue: "D09", Severity: finding.Error, Confidence: finding.Likely, First: l.firstOK, Last: l.heard,
				Falsify: fmt.Sprintf("A capture at the %s that shows the FINs arriving before it sent.", closer.Peer()),
				Reason:  "the requests do not acknowledge the FIN and passed within a response time of it",
				tolds:   []*told{l.told},
			}
			in.show(l.raced)
			var both spread
			if races != nil {
				both.merge(races)
			}
			if stales != nil {
				both.merge(stales)
			}
			in.Count = uint64(both.count)
			limit := idleLimit(&both)
			if own := l.idle[closer]; own != nil {
				limit = idleLimit(own)
			}
			in.Message = fmt.Sprintf("%s closes idle connections after %s while its clients use them again: ", k.scope(), limit)
			if closer == reassembly.Client {
				in.Message = fmt.Sprintf("The clients of %s close idle connections after %s while it uses them again: ", k.scope(), limit)
			}
			if races != nil {
				in.Message += fmt.Sprintf("%s crossed the close and %s lost, unread.", count(races.count, "request"), are(races.count, "was", "were"))
			}
			switch {
			case stales != nil && races != nil:
				in.Message += fmt.Sprintf(" %s more came %s after the close, to which the client paid no heed.", num(stales.count), idleLimit(l.late))
			case stales != nil:
				in.Catalogue = "C13"
				in.Message += fmt.Sprintf("%s came %s after the close, on connections whose FIN the client had acknowledged, and %s lost.",
					count(stales.count, "request"), idleLimit(l.late), are(stales.count, "was", "were"))
				in.Falsify = "Answers to these requests."
				in.Reason = "the FIN was there long before the request, so it is not the network: the client does not look before it writes"
			}
			switch other := l.idle[closer.Peer()]; {
			case other != nil && other.count >= downLeast:
				in.Message += fmt.Sprintf(" The other side's own limit is %s, as its closes show: it must be the shorter one.", idleLimit(other))
			case in.Catalogue == "D09":
				in.Message += fmt.Sprintf(" The other side closed none of them for idleness: it leaves them idle for %s and longer, and must not.", span(both.max))
			}
			if own := l.idle[closer]; own != nil {
				by := l.closed[softServer] + l.closed[hardServer]
				if closer == reassembly.Client {
					by = l.closed[softClient] + l.closed[hardClient]
				}
				in.Message += fmt.Sprintf(" %s of %s closes by the %s came after an idle time of a second or more.", num(own.count), num(by), closer)
			}
			report(in)
		}
	}
}

// idleLimit says after how long idle connections were closed: one time if nearly all
// were closed after the same, otherwise from when to when. The tap sees less than the
// limit rather than more: what went before took its way to it.
func idleLimit(x *spread) string {
	lo, hi := x.percentile(10), x.percentile(90)
	if x.max-x.min < x.min/10+50*time.Millisecond {
		return span(x.max)
	}
	if hi < lo*5/4 {
		return "about " + span(lo)
	}
	return fmt.Sprintf("%s to %s", span(x.min), span(x.max))
}
