package incident

import (
	"fmt"
	"time"

	"github.com/tcplife/tcplife/finding"
	"github.com/tcplife/tcplife/reassembly"
)

var _ = register(Rule{
	ID:        "health-checks",
	Catalogue: []string{"H13", "H28"},
	Title:     "Somebody checks at a steady pace whether a listener answers",
	Severity:  finding.Info,
	RFC:       "9293 3.5, 3.6",
	Folds:     []string{"no-data", "quick-reset", "reset-provenance", "handshake-given-up", "abort"},
	Explains:  []string{"reset-share", "short-connections"},
	Check:     checkHealthChecks,
	Meaning: `At one listener connection after connection was opened and ended at once by the side that
had opened it, without an octet, at a steady pace: a load balancer or a monitor that looks whether the
port answers. Nothing is wrong, and none of it is a user's connection that failed.

- H28: the handshake was completed, and RST or FIN followed.
- H13: the SYN-ACK was answered by RST, which spares the server's program the connection.`,
	Signature: `    balancer              B:80
    | SYN --------------> |
    | <---------- SYN-ACK |
    | RST --------------> |  and again, every two seconds`,
	Alternatives: `A client that gives up while it waits for a greeting: then it waits first. A scan asks
each port once or twice (port-scan).`,
	Advice: `Leave these connections out of error rates. A check that speaks the protocol notices more: a
program that hangs still has a kernel which answers SYNs.`,
	Settings: `None. The interval is set where the checks come from: HAProxy check inter (2 s), keepalived
TCP_CHECK, LVS, a cloud's target group.`,
})

const (
	// checksLeast in checksSpan or longer: fewer have no pace.
	checksLeast = 10
	checksSpan  = 5 * time.Second
	// checksPace: no part of that time has more than three times its share.
	checksPace = 3
)

// isCheck reports whether the client opened a connection and ended it at once, without a
// word on either side.
func (f *facts) isCheck() bool {
	c := f.c
	switch f.opening {
	case half:
		return c.Seen&reassembly.SeenRSTClient != 0
	case open:
		return has(f.signs, "H28") != nil && c.Close.HasCloser && c.Close.Closer == reassembly.Client && c.Close.At.Sub(c.Start) < time.Second
	}
	return false
}

// checks counts connections that only looked whether a listener answers.
type checks struct {
	n, reset  uint32 // reset: instead of the handshake's ACK
	when      pulse
	low, high key // clients
	some      examples
}

func (x *checks) add(f *facts) {
	client := clientKey(&f.c.Tuple)
	if x.n == 0 || client.compare(x.low) < 0 {
		x.low = client
	}
	if x.n == 0 || client.compare(x.high) > 0 {
		x.high = client
	}
	if x.n++; f.opening == half {
		x.reset++
	}
	x.when.add(f.c.Start)
	x.some.add(f.c.First, f)
}

func (x *checks) merge(o *checks) {
	if o.n == 0 {
		return
	}
	if x.n == 0 || o.low.compare(x.low) < 0 {
		x.low = o.low
	}
	if x.n == 0 || o.high.compare(x.high) > 0 {
		x.high = o.high
	}
	x.n, x.reset = x.n+o.n, x.reset+o.reset
	x.when.merge(&o.when)
	x.some.merge(&o.some)
}

func checkHealthChecks(s *Sums, report func(Incident)) {
	for _, i := range s.listeners.sorted() {
		k, x := s.listeners.keys[i], s.listeners.rec(i).checks
		if x == nil || x.n < checksLeast {
			continue
		}
		from, lasted := x.when.lasted()
		if lasted < checksSpan {
			continue
		}
		part, _, width := x.when.busiest(lasted / 16)
		if uint64(part)*uint64(lasted) > checksPace*uint64(x.n)*uint64(width)+uint64(lasted) {
			continue
		}
		in := Incident{
			key: k, Catalogue: "H28", Severity: finding.Info, Confidence: finding.Likely, Count: uint64(x.n), First: from, Last: from.Add(lasted),
			Falsify: "Data on these connections that the capture lacks.",
			Reason:  "they were opened and ended at once, at a steady pace; what for is not in the capture",
			tolds:   []*told{s.listeners.rec(i).told},
		}
		who := "Several hosts check"
		if x.low == x.high {
			who = x.low.clientAddr().String() + " checks"
			in.key[clientHigh], in.key[clientLow] = x.low[clientHigh], x.low[clientLow]
		}
		if x.reset*2 > x.n {
			in.Catalogue = "H13"
		}
		in.Message = fmt.Sprintf("%s at a steady pace whether %s answers, as a balancer's health checks do: %s in %s were opened and ended at once, without a word.",
			who, k.scope(), count(x.n, "connection"), span(lasted))
		in.Message += fmt.Sprintf(" %s reset the SYN-ACK, the others ended behind the handshake.", num(x.reset))
		in.show(&x.some)
		report(in)
	}
}
