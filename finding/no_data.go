package finding

import (
	"fmt"

	"github.com/tcplife/tcplife/reassembly"
)

var _ = register(Rule{
	ID:        "no-data",
	Catalogue: []string{"H28"},
	Title:     "Opened and closed without a word",
	Severity:  Info,
	RFC:       "9293 3.6",
	Triggers:  reassembly.SeenNoData,
	Check:     checkNoData,
	Meaning: `The handshake was completed, and the connection ended without an octet of data in either
direction: a health check of a load balancer, a port scan that connects, a pool that opens
connections in advance, or a client that changed its mind.`,
	Signature: `    SYN, SYN-ACK, ACK      and then FIN or RST at once`,
	Alternatives: `A capture that lost the data (then the acknowledgments tell, and nothing is
reported). A client that gave up waiting for a server's greeting.`,
	Advice: `Periodic and from few sources: a probe; leave it out of error rates, and rather let it
speak the protocol. From many sources or to many ports: a scan.`,
	Settings: `None. Health checks are set where they come from (HAProxy "check", nginx "health_check",
keepalived TCP_CHECK).`,
})

func checkNoData(c *Case, report func(Finding)) {
	if c.Handshake.Outcome != reassembly.HandshakeComplete || !c.Close.HasCloser || gaps(c) != "" {
		return
	}
	for s := range c.Ends {
		e := &c.Ends[s]
		if e.HasHole || e.Unacked() > 1 || e.UniqueBytes > 0 {
			return
		}
	}
	end := next(c, 0, func(e *reassembly.Event) bool {
		return genuine(e) && (e.Kind == reassembly.KindFIN || e.Kind == reassembly.KindRST)
	})
	rst := next(c, 0, func(e *reassembly.Event) bool { return genuine(e) && e.Kind == reassembly.KindRST })
	if end < 0 || rst < 0 && (firstFIN(c, reassembly.Client) < 0 || firstFIN(c, reassembly.Server) < 0) {
		return // data may still come
	}
	e := &c.Events[end]
	report(Finding{
		Catalogue: "H28", Severity: Info, Confidence: Certain, Endpoint: Both,
		Frames:  frames(c, end, rst),
		Message: fmt.Sprintf("The connection was opened and ended after %s by the %s's %s, without data.", since(c, e.At), e.From, map[bool]string{true: "FIN", false: "RST"}[e.Kind == reassembly.KindFIN]),
		Falsify: "Data in another capture of the connection.",
		Reason:  "sequence numbers and acknowledgments leave no room for data",
	})
}
