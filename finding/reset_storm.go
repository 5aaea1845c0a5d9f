package finding

import (
	"fmt"
	"time"

	"github.com/tcplife/tcplife/reassembly"
)

var _ = register(Rule{
	ID:        "reset-storm",
	Catalogue: []string{"R05"},
	Title:     "Many RSTs on one connection",
	Severity:  Warning,
	RFC:       "9293 3.5.2",
	Triggers:  reassembly.SeenRST,
	resets:    several,
	Check:     checkResetStorm,
	Meaning: `One side sent RST after RST. A host answers each segment for which it has no socket, so
its peer keeps sending to something closed: it does not get the RSTs, or does not believe them. Info
where all of them passed within about a round trip: then they answer one window of data that was
under way when the socket closed, and that ends by itself.`,
	Signature: `    A                     B
    | data -------------> |
    | <-------------- RST |
    | data -------------> |
    | <-------------- RST |  ten times or more`,
	Alternatives: `A capture that holds frames twice.`,
	Advice: `See whether the RSTs reach the sender: a firewall that drops RSTs leaves both in this
state. If they do, their number is not the one that the sender expects: something rewrites sequence
numbers.`,
	Settings: `Linux: RSTs of hosts without a socket are not limited. FreeBSD: net.inet.icmp.icmplim (200
per second) limits them. Windows: none.`,
})

// stormMin is how many RSTs are a storm: an initial window is ten segments (RFC
// 6928), and each may get its own. What is under way when the first RST is sent goes on
// for a round trip, which full queues make longer than its best by some 20 ms each way.
const (
	stormMin   = 11
	stormQueue = 40 * time.Millisecond
)

func checkResetStorm(c *Case, report func(Finding)) {
	for s := range c.Ends {
		n := 0
		for _, r := range c.resets() {
			if r.from == reassembly.Side(s) {
				n += int(r.event.Count)
			}
		}
		if n < stormMin {
			continue
		}
		var shown []int
		for _, r := range c.resets() {
			if r.from == reassembly.Side(s) {
				shown = append(shown, r.at)
			}
		}
		a, b := &c.Events[shown[0]], &c.Events[shown[len(shown)-1]]
		f := Finding{
			Catalogue: "R05", Severity: Warning, Confidence: Likely, Endpoint: Endpoint(s),
			Frames:  frames(c, first(shown, groupMax)...),
			Message: fmt.Sprintf("The %s sent RST %s in %s.", reassembly.Side(s), times(n), span(b.LastAt.Sub(a.At))),
			Falsify: "One RST captured several times.",
			Reason:  "they go on for longer than it takes to answer what was under way",
		}
		if flight := 2*(c.Ends[0].Response+c.Ends[1].Response) + stormQueue; b.LastAt.Sub(a.At) <= flight {
			f.Severity, f.Confidence = Info, Certain
			f.Message = f.Message[:len(f.Message)-1] + ": one for each segment that was under way."
			f.Reason = "all of them passed within the time that the first one takes to arrive, and what was sent before that to be answered"
		}
		report(f)
	}
}
