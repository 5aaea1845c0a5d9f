package finding

import (
	"fmt"

	"github.com/tcplife/tcplife/reassembly"
)

var _ = register(Rule{
	ID:        "reset-storm",
	Catalogue: []string{"R05"},
	Title:     "Many RSTs on one connection",
	Severity:  Warning,
	RFC:       "9293 3.5.2",
	Triggers:  reassembly.SeenRST,
	Check:     checkResetStorm,
	Meaning: `One side sent RST after RST. A host answers each segment for which it has no socket, so
its peer keeps sending to something closed: it does not get the RSTs, or does not believe them.`,
	Signature: `    A                     B
    | data -------------> |
    | <-------------- RST |
    | data -------------> |
    | <-------------- RST |  ten times or more`,
	Alternatives: `A window's worth of data that was under way when the socket closed gets one RST for
each segment within one round trip; that ends by itself. A capture that holds frames twice.`,
	Advice: `See whether the RSTs reach the sender: a firewall that drops RSTs leaves both in this
state. If they do, their number is not the one that the sender expects: something rewrites sequence
numbers.`,
	Settings: `Linux: RSTs of hosts without a socket are not limited. FreeBSD: net.inet.icmp.icmplim (200
per second) limits them. Windows: none.`,
})

// stormMin is how many RSTs are a storm: an initial window is ten segments (RFC
// 6928), and each may get its own.
const stormMin = 11

func checkResetStorm(c *reassembly.Conn, report func(Finding)) {
	for s := range c.Ends {
		var shown []int
		n := 0
		for i := range c.Events {
			if e := &c.Events[i]; e.From == reassembly.Side(s) && e.Kind == reassembly.KindRST {
				shown = append(shown, i)
				n += int(e.Count)
			}
		}
		if n < stormMin {
			continue
		}
		a, b := &c.Events[shown[0]], &c.Events[shown[len(shown)-1]]
		report(Finding{
			Catalogue: "R05", Severity: Warning, Confidence: Likely, Endpoint: Endpoint(s),
			Frames:  frames(c, first(shown, groupMax)...),
			Message: fmt.Sprintf("The %s sent RST %s in %s.", reassembly.Side(s), times(n), span(b.LastAt.Sub(a.At))),
			Falsify: "One RST captured several times.",
			Reason:  "RSTs that answer one window of data are many and harmless",
		})
	}
}
