package finding

import (
	"fmt"
	"strings"

	"github.com/tcplife/tcplife/reassembly"
	"github.com/tcplife/tcplife/wire"
)

var _ = register(Rule{
	ID:        "option-lost",
	Catalogue: []string{"H25", "H27"},
	Title:     "The SYN-ACK leaves out options that the SYN offered",
	Severity:  Warning,
	RFC:       "7323 2.2, 3.2; 2018 2; 8684 3.1, 3.7",
	Triggers:  reassembly.SeenLessOptions | reassembly.SeenRST,
	Check:     checkOptionLost,
	Meaning: `What only the SYN has is not used on the connection.

- H25: window scale or selective acknowledgment (time stamps alone do not count: half of all
  servers do without). Without window scale no more than 65535 octets can be under way, whatever
  the path could carry; without SACK every loss costs more.
- H27: Multipath TCP: the connection falls back to plain TCP, or (warning) a further subflow was
  refused by a RST.`,
	Signature: `    SYN <mss, sackOK, TS, wscale>  ->
                                    <-  SYN-ACK <mss>`,
	Alternatives: `The server does not support the option or has it switched off, which is its right. It
answered from a SYN cookie that could not keep them. Or a device on the path removes them:
compare with what other clients get from that server.`,
	Advice: `Compare SYN-ACKs of the same server on another path. If only this one lacks options, find
the device: "strict" TCP normalisation in firewalls, WAN optimisers, old load balancers. If all
lack them, switch them on at the server.`,
	Settings: `Linux: tcp_window_scaling, tcp_sack, tcp_timestamps (all 1), net.mptcp.enabled (1).
FreeBSD: net.inet.tcp.rfc1323 (1), net.inet.tcp.sack.enable (1). Windows: Set-NetTCPSetting
-Timestamps (disabled by default), -AutoTuningLevelLocal (restricted levels drop window scale).`,
})

func checkOptionLost(c *Case, report func(Finding)) {
	syn := firstOf(c, reassembly.Client, reassembly.KindSYN, 0)
	if syn < 0 || !c.Ends[reassembly.Client].HasSYN {
		return
	}
	client, server := &c.Ends[reassembly.Client].SYN, &c.Ends[reassembly.Server].SYN
	const join = 1 // the MPTCP subtype MP_JOIN, RFC 8684 section 3.2
	if client.Set.Has(wire.OptMPTCP) && client.MPTCPSubtype == join {
		if rst := firstOf(c, reassembly.Server, reassembly.KindRST, syn); rst >= 0 && c.Handshake.Outcome != reassembly.HandshakeComplete {
			report(Finding{
				Catalogue: "H27", Severity: Warning, Confidence: Likely, Endpoint: Both,
				Frames:  frames(c, syn, rst),
				Message: fmt.Sprintf("The server refused a further Multipath TCP subflow by RST, %s after its SYN.", span(c.Events[rst].At.Sub(c.Events[syn].At))),
				Falsify: "A plain SYN to the same port that is refused too: then nothing listens there.",
				Reason:  "a closed port refuses in the same way",
			})
			return
		}
	}
	if client.Set&^server.Set&(wire.OptWindowScale|wire.OptSACKPerm|wire.OptMPTCP) == 0 {
		return
	}
	synack := firstOf(c, reassembly.Server, reassembly.KindSYNACK, syn)
	if synack < 0 || !c.Ends[reassembly.Server].HasSYN || server.Set.Has(wire.OptCut) || !opened(c) {
		return
	}
	var lost []string
	for _, o := range []struct {
		bit  wire.OptionSet
		name string
	}{{wire.OptWindowScale, "window scale"}, {wire.OptSACKPerm, "selective acknowledgment"}, {wire.OptTimestamps, "time stamps"}} {
		if client.Set.Has(o.bit) && !server.Set.Has(o.bit) {
			lost = append(lost, o.name)
		}
	}
	f := Finding{
		Catalogue: "H25", Severity: Info, Confidence: Possible, Endpoint: Server,
		Frames:  frames(c, syn, synack),
		Falsify: "The same server leaving them out towards clients on other paths too.",
		Reason:  "a server may leave out what it does not want; one connection cannot tell that from a device's doing",
	}
	// Half of all servers do without time stamps, and it costs nothing.
	if client.Set&^server.Set&(wire.OptWindowScale|wire.OptSACKPerm) != 0 {
		f.Message = "The client offered " + strings.Join(lost, ", ") + ", and the SYN-ACK does not take it: the connection goes without."
		report(f)
	}
	if client.Set.Has(wire.OptMPTCP) && !server.Set.Has(wire.OptMPTCP) {
		f.Catalogue, f.Confidence = "H27", Likely
		f.Message = "The client offered Multipath TCP, and the SYN-ACK does not take it: the connection is plain TCP."
		f.Reason = "most servers do not speak it; a device that removes the option looks the same"
		report(f)
	}
}
