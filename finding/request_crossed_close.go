package finding

import (
	"fmt"
	"time"

	"github.com/tcplife/tcplife/reassembly"
)

var _ = register(Rule{
	ID:        "request-crossed-close",
	Catalogue: []string{"D09"},
	Title:     "A request crossed the peer's close",
	Severity:  Error,
	RFC:       "9293 3.6.1; 9112 9.6",
	Triggers:  reassembly.SeenRST,
	resets:    closedSelf,
	Check:     checkRequestCrossedClose,
	Meaning: `One side closed an idle connection, and at that moment the other sent a request: the two
crossed. The request met a closed socket and was answered with RST; no octet of an answer came. It
is the well-known race of kept-alive connections: the server's idle timeout ran out just when the
client used the connection again.`,
	Signature: `    client                     server
    |      (idle)                |
    | request ----.   .------ FIN|  neither knows of the other
    |        <----'   '----->    |
    | <---------------------- RST|  nobody reads the request`,
	Alternatives: `A request that was sent long after the FIN had arrived is a client that does not look
(late-data-reset tells). Here its acknowledgment shows that it did not know of the FIN yet.`,
	Advice: `Make the client's idle limit shorter than the server's, by more than a round trip; let
it repeat requests that are safe to repeat. On the server raise the keep-alive timeout above that
of the proxy or load balancer in front of it.`,
	Settings: `No sysctl: the limits are the programs'. nginx keepalive_timeout (75 s), Apache
KeepAliveTimeout (5 s), Node.js server.keepAliveTimeout (5 s), AWS ALB idle timeout (60 s), Go
http.Transport.IdleConnTimeout (90 s in DefaultTransport).`,
})

// keptAlive is how long the connection must have been idle: servers' keep-alive
// timeouts are set in seconds. A close sooner than that is no idle timeout's.
const keptAlive = time.Second

func checkRequestCrossedClose(c *Case, report func(Finding)) {
	for s := range c.Ends {
		side := reassembly.Side(s) // the closer
		you := side.Peer()
		fin := firstFIN(c, side)
		if fin < 0 || c.Seen&(reassembly.SeenRSTClient<<side) == 0 {
			continue
		}
		request := next(c, 0, func(e *reassembly.Event) bool {
			return e.From == you && genuine(e) && e.Len > 0 && e.Kind == reassembly.KindData && e.Marks&reassembly.MarkRepeat == 0 &&
				!acknowledges(e, c.Ends[side].FIN) && e.LastAt.Sub(c.Events[fin].At) > -jitter(c.Ends[side].Response)
		})
		if request < 0 || silence(c, min(fin, request)) < keptAlive || c.Events[request].At.Sub(c.Events[fin].At) > jitter(c.Ends[you].Response) {
			continue
		}
		e := &c.Events[request]
		// The closer knew nothing of it, and never read it.
		if acknowledges(&c.Events[fin], e.End) || progress(c, side, request, e.Seq) >= 0 {
			continue
		}
		rst := next(c, max(request, fin), func(x *reassembly.Event) bool {
			return x.From == side && x.Kind == reassembly.KindRST && genuine(x)
		})
		if rst < 0 || c.Events[rst].At.Sub(e.LastAt) > unknownResponse+jitter(c.Ends[side].Response) {
			continue
		}
		report(Finding{
			Catalogue: "D09", Severity: Error, Confidence: Likely, Endpoint: Both,
			Frames: frames(c, fin, request, rst),
			Message: fmt.Sprintf("The %s closed at %s, after %s of silence, while the %s was sending %s: the two crossed, and RST came back.",
				side, since(c, c.Events[fin].At), span(silence(c, min(fin, request))), you, plural(int(e.Len), "octet")),
			Falsify: fmt.Sprintf("A capture at the %s that shows the FIN arriving before it sent.", you),
			Reason:  "the request does not acknowledge the FIN and passed within a response time of it",
		})
	}
}
