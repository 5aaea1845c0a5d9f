package incident

import (
	"fmt"
	"time"

	"github.com/tcplife/tcplife/finding"
	"github.com/tcplife/tcplife/reassembly"
)

var _ = register(Rule{
	ID:        "keepalive-race",
	Catalogue: []string{"D09"},
	Title:     "Requests run into the other side's idle timeout",
	Severity:  finding.Error,
	RFC:       "9293 3.6.1; 9112 9.3.1, 9.6",
	Folds:     []string{"request-crossed-close", "late-data-reset", "reset-provenance", "unacknowledged-tail"},
	Explains:  []string{"reset-share"},
	Check:     checkKeepaliveRace,
	Meaning: `At one listener connections that are kept alive were closed by one side in the very moment in
which the other used them again: the request met a closed socket and was answered by RST. The
client sees a connection reset (ECONNRESET, "socket hang up", 502 of a proxy) for a request that
nobody has read. The message gives the idle limit of the side that closes, as its closes show it, and
how long the other side leaves connections idle and still uses them: the second must be the shorter
one.`,
	Signature: `    client                     server
    | request, answer          |
    |   (5.0 s idle)           |
    | request ----.   .----- FIN|  the server's limit is 5 s
    |        <----'   '----->   |  the client's is longer
    | <-------------------- RST |`,
	Alternatives: `A server that restarts closes all its connections (closed-all-at-once), some of which cross
a request too; then they have been idle for different times.`,
	Advice: `Make the idle limit of the side that sends requests shorter than that of the other, by a
second or more: the client's below the proxy's below the server's. Or raise the server's. Let clients
repeat requests that may be repeated. A proxy that retries on another connection hides it.`,
	Settings: `No sysctl: the limits are the programs'. nginx keepalive_timeout (75 s; upstream keepalive_timeout
60 s), Apache KeepAliveTimeout (5 s), Node.js server.keepAliveTimeout (5 s), gunicorn keepalive (2 s),
uvicorn timeout_keep_alive (5 s), AWS ALB idle timeout (60 s), HAProxy timeout http-keep-alive, Go
http.Transport.IdleConnTimeout (90 s), Java HttpClient jdk.httpclient.keepalive.timeout (30 s).`,
})

func checkKeepaliveRace(s *Sums, report func(Incident)) {
	for _, i := range s.listeners.sorted() {
		k, l := s.listeners.keys[i], &s.listeners.recs[i]
		for side, races := range l.races {
			if races == nil {
				continue
			}
			closer := reassembly.Side(side)
			in := Incident{
				key: k, Catalogue: "D09", Severity: finding.Error, Confidence: finding.Likely, Count: uint64(races.count), First: l.firstOK, Last: l.heard,
				Falsify: fmt.Sprintf("A capture at the %s that shows the FINs arriving before it sent.", closer.Peer()),
				Reason:  "the requests do not acknowledge the FIN and passed within a response time of it",
				tolds:   []*told{l.told},
			}
			in.show(l.raced)
			limit := idleLimit(races)
			if own := l.idle[closer]; own != nil {
				limit = idleLimit(own)
			}
			who := fmt.Sprintf("%s closes idle connections after %s while its clients use them again", k.scope(), limit)
			if closer == reassembly.Client {
				who = fmt.Sprintf("The clients of %s close idle connections after %s while it uses them again", k.scope(), limit)
			}
			in.Message = fmt.Sprintf("%s: %s crossed the close and %s answered by RST, unread.", who, count(races.count, "request"), are(races.count, "was", "were"))
			other := l.idle[closer.Peer()]
			switch {
			case other != nil && other.count >= downLeast:
				in.Message += fmt.Sprintf(" The other side's own limit is %s, as its closes show: it must be the shorter one.", idleLimit(other))
			default:
				in.Message += fmt.Sprintf(" The other side closed none of them for idleness: it leaves them idle for %s and longer, and must not.", span(races.max))
			}
			if n := l.closed[softServer]; closer == reassembly.Server && l.idle[closer] != nil {
				in.Message += fmt.Sprintf(" %s of %s closes by this side came after an idle time of a second or more.", num(l.idle[closer].count), num(n+l.closed[hardServer]))
			}
			report(in)
		}
	}
}

// idleLimit says after how long idle connections were closed: one time if nearly all
// were closed after the same, otherwise from when to when.
func idleLimit(x *spread) string {
	lo, hi := x.percentile(10), x.percentile(90)
	if x.max-x.min < x.min/10+50*time.Millisecond {
		return span(x.min)
	}
	if hi < lo*5/4 {
		return "about " + span(lo)
	}
	return fmt.Sprintf("%s to %s", span(x.min), span(x.max))
}
