package finding

import (
	"fmt"

	"github.com/tcplife/tcplife/reassembly"
	"github.com/tcplife/tcplife/wire"
)

var _ = register(Rule{
	ID:        "user-timeout",
	Catalogue: []string{"D16"},
	Title:     "A side announced its user timeout",
	Severity:  Info,
	RFC:       "5482 3",
	Triggers:  reassembly.SeenUserTimeout,
	Check:     checkUserTimeout,
	Meaning: `The SYN carries the user timeout option: for so long the side lets data stay without
acknowledgment before it gives the connection up, and it advises the peer to do the same.`,
	Signature: `    SYN <..., uto 5 minutes>`,
	Alternatives: `None for the option. A program's own timeout that ends connections after a constant
time sends nothing of the kind and cannot be told from other reasons to close.`,
	Advice: `Nothing to do. Compare the time with how long the path's failovers take: a shorter one
gives connections up that would have survived.`,
	Settings: `Linux: the socket option TCP_USER_TIMEOUT (ms) sets the timer but sends no option; tcp_
retries2 (15) holds without it. FreeBSD: TCP_MAXUNACKTIME (socket option). Windows:
TCP_MAXRT (socket option).`,
})

func checkUserTimeout(c *Case, report func(Finding)) {
	for s := range c.Ends {
		side := reassembly.Side(s)
		e := &c.Ends[s]
		syn := next(c, 0, func(x *reassembly.Event) bool {
			return x.From == side && genuine(x) && (x.Kind == reassembly.KindSYN || x.Kind == reassembly.KindSYNACK)
		})
		if syn < 0 || !e.HasSYN || !e.SYN.Set.Has(wire.OptUserTimeout) {
			continue
		}
		// RFC 5482 section 3.1: the top bit is the granularity.
		n, unit := int(e.SYN.UserTimeout&0x7fff), "second"
		if e.SYN.UserTimeout&0x8000 != 0 {
			unit = "minute"
		}
		report(Finding{
			Catalogue: "D16", Severity: Info, Confidence: Certain, Endpoint: Endpoint(side),
			Frames:  frames(c, syn),
			Message: fmt.Sprintf("The %s announced a user timeout of %s.", side, plural(n, unit)),
			Falsify: "Another meaning of option 28 on this network.",
			Reason:  "the option is in the SYN",
		})
	}
}
