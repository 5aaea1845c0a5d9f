package finding

import (
	"github.com/tcplife/tcplife/reassembly"
)

var _ = register(Rule{
	ID:        "self-connect",
	Example:   NoExample,
	Catalogue: []string{"H16"},
	Title:     "A socket connected to itself",
	Severity:  Warning,
	RFC:       "9293 3.5 figure 7",
	Triggers:  reassembly.SeenSelf,
	Check:     checkSelfConnect,
	Meaning: `Source and destination are the same address and port: the connection's only end is one
socket, which reads what it writes. It happens when a client keeps trying a local port on which
nothing listens, and the kernel one day chooses that very port as the source: a simultaneous
open with itself succeeds.`,
	Signature: `    127.0.0.1:40000 -> 127.0.0.1:40000   SYN
    127.0.0.1:40000 -> 127.0.0.1:40000   SYN, ACK
    and then every octet comes back`,
	Alternatives: `A forged packet with equal ends ("LAND") looks like its first segment; nothing answers
that from outside.`,
	Advice: `Move the service's port out of the ephemeral range, or reserve it. While the socket
holds the port the service itself cannot start ("address already in use"): end the client
first. Clients can compare getsockname with getpeername.`,
	Settings: `Linux: ip_local_port_range (32768 60999), ip_local_reserved_ports (empty). FreeBSD:
net.inet.ip.portrange.first and last (10000 to 65535 by default on current releases). Windows:
netsh int ipv4 set dynamicport (49152, 16384 ports), excludedportrange.`,
})

func checkSelfConnect(c *Case, report func(Finding)) {
	syn := next(c, 0, func(e *reassembly.Event) bool { return e.Kind == reassembly.KindSYN })
	if syn < 0 {
		return
	}
	answer := next(c, syn, func(e *reassembly.Event) bool { return e.Kind == reassembly.KindSYNACK })
	f := Finding{
		Catalogue: "H16", Severity: Warning, Confidence: Certain, Endpoint: Both,
		Frames:  frames(c, syn, answer),
		Message: "The socket opened a connection to its own address and port, and is both its ends.",
		Falsify: "Different addresses or ports in the frames: the capture tool translated them.",
		Reason:  "both ends are the same, and the SYN was answered",
	}
	if answer < 0 {
		f.Confidence, f.Reason = Possible, "the SYN was not answered, so it may be forged"
	}
	report(f)
}
