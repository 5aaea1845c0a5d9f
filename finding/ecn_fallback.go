package finding

import (
	"fmt"

	"github.com/tcplife/tcplife/reassembly"
	"github.com/tcplife/tcplife/wire"
)

var _ = register(Rule{
	ID:        "ecn-fallback",
	Catalogue: []string{"H26"},
	Title:     "The SYN was repeated without ECN",
	Severity:  Info,
	RFC:       "3168 6.1.1.1; 9768 3.1",
	Triggers:  reassembly.SeenRepeatSYN,
	Check:     checkECNFallback,
	Meaning: `The client asked for explicit congestion notification, got no answer, and repeated its
SYN without: it supposes that something on the path drops such SYNs. If so, every connection on
that path starts a second late.`,
	Signature: `    SYN, ECE, CWR (with AE: accurate ECN)  ->   (nothing, or RST)
    SYN                                    ->   <-  SYN-ACK`,
	Alternatives: `A single SYN lost by chance gives the same two packets. Only the same on many
connections to one destination speaks for a device.`,
	Advice: `Look at other connections to that destination: if the first SYN always dies, find the
device that clears or drops the two bits (old firewalls take them for reserved). Until then
switch ECN off for that route: ip route change ... features, or tcp_ecn.`,
	Settings: `Linux: tcp_ecn (2: only when asked for; 1: ask; 3 to 5: accurate ECN), tcp_ecn_fallback
(1). FreeBSD: net.inet.tcp.ecn.enable (2), net.inet.tcp.ecn.maxretries (1). Windows:
Set-NetTCPSetting -EcnCapability.`,
})

func checkECNFallback(c *Case, report func(Finding)) {
	syn := firstOf(c, reassembly.Client, reassembly.KindSYN, 0)
	if syn < 0 || !c.Events[syn].Flags.Has(wire.ECE|wire.CWR) {
		return
	}
	plain := next(c, syn+1, func(e *reassembly.Event) bool {
		return e.From == reassembly.Client && e.Kind == reassembly.KindSYN && genuine(e) && e.Flags&(wire.ECE|wire.CWR) == 0
	})
	synack := firstOf(c, reassembly.Server, reassembly.KindSYNACK, syn)
	if plain < 0 || synack >= 0 && synack < plain {
		return
	}
	f := Finding{
		Catalogue: "H26", Severity: Info, Confidence: Possible, Endpoint: Both,
		Frames:  frames(c, syn, plain, synack),
		Message: fmt.Sprintf("The SYN that asks for ECN met no answer, and the client repeated it without %s later.", span(c.Events[plain].At.Sub(c.Events[syn].At))),
		Falsify: "Other connections to the same destination whose first SYN with ECN is answered.",
		Reason:  "one lost SYN looks the same",
	}
	report(f)
}
