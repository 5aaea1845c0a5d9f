package finding

import (
	"fmt"

	"github.com/tcplife/tcplife/reassembly"
)

var _ = register(Rule{
	ID:        "hop-limit-changed",
	Catalogue: []string{"D17"},
	Title:     "The path to a side changed its length",
	Severity:  Info,
	RFC:       "791 3.2; 8200 3",
	Triggers:  reassembly.SeenHops,
	Check:     checkHopLimitChanged,
	Meaning: `A side's segments began to arrive with another hop limit (TTL) than before: they take
another way, come from another host behind the same address, or a device in between answers in the
side's name for part of the connection.`,
	Signature: `    SYN-ACK, TTL 64    a proxy or SYN protection near the tap
    data, TTL 57       the server behind it
    data, TTL 55       the route changed`,
	Alternatives: `Load sharing over ways of different length changes it back and forth; that is said. A
single forged segment changes it once and back: see the findings about resets.`,
	Advice: `Compare the time with route changes, failovers and deployments. Where the SYN-ACK alone
differs, a device completes handshakes in the server's name: its round trip is not the server's.`,
	Settings: `Linux: net.ipv4.ip_default_ttl (64), net.ipv6.conf.all.hop_limit (64). FreeBSD:
net.inet.ip.ttl (64). Windows: DefaultTTL (registry, 128).`,
})

func checkHopLimitChanged(c *Case, report func(Finding)) {
	for s := range c.Ends {
		side := reassembly.Side(s)
		var shown []int
		before := -1
		for i := range c.Events {
			e := &c.Events[i]
			if e.From != side || !genuine(e) || e.Kind == reassembly.KindRST {
				continue
			}
			if e.Marks.Has(reassembly.MarkHops) && before >= 0 && c.Events[before].TTL != e.TTL {
				shown = append(shown, before, i)
			}
			before = i
		}
		if len(shown) == 0 {
			continue
		}
		was, is := &c.Events[shown[0]], &c.Events[shown[1]]
		f := Finding{
			Catalogue: "D17", Severity: Info, Confidence: Likely, Endpoint: Endpoint(side),
			Frames:  frames(c, first(shown, groupMax)...),
			Message: fmt.Sprintf("The %s's hop limit changed from %d to %d at %s.", side, was.TTL, is.TTL, since(c, is.At)),
			Falsify: "Frames of another connection with the same addresses and ports.",
			Reason:  "a route, a failover and a device that answers for the host look the same",
		}
		if len(shown) > 2 {
			f.Confidence = Possible
			f.Message = fmt.Sprintf("The %s's hop limit changed %s, first from %d to %d at %s.", side, times(len(shown)/2), was.TTL, is.TTL, since(c, is.At))
			f.Reason = "it changes more than once, as with load sharing or single forged segments"
		}
		report(f)
	}
}
