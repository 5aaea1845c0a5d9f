package incident

import (
	"fmt"

	"github.com/tcplife/tcplife/finding"
	"github.com/tcplife/tcplife/reassembly"
)

var _ = register(Rule{
	ID:        "size-black-hole",
	Example:   "incidents/small-mtu-without-icmp.pcap",
	Catalogue: []string{"H23"},
	Title:     "Large segments do not get through on a path",
	Severity:  finding.Error,
	RFC:       "1191; 8201; 2923 2.1; 4821; 8899",
	Folds:     []string{"segment-size-black-hole", "retransmission-death", "unacknowledged-tail"},
	Explains:  []string{"host-silent", "idle-timeout", "close-wait-leak", "slow-to-close"},
	Check:     checkSizeBlackHole,
	Meaning: `On several connections between two hosts the small segments got through and the first of
full size did not, in one direction: somewhere on that path the largest packet is smaller than the
ends believe, and the ICMP message that should say so is dropped. Captured before that place, the
large segment is seen again and again; behind it, it is never seen, and the sender's numbers jump over
it when it says something small.`,
	Signature: `    A                        B
    | small data ----------> |  acknowledged
    | 1460 octets ---> x     |  again and again, on each connection`,
	Alternatives: `A path that died in that moment: not on several connections one after the other.`,
	Advice: `Try from the sender: ping -M do -s 1472 (Linux), ping -D -s 1472 (BSD), ping -f -l 1472
(Windows), and smaller, until it gets through. Let ICMP type 3 code 4, or ICMPv6 type 2, pass; or
lower the MSS where the tunnel is (nft: tcp option maxseg size set rt mtu), or the interface's MTU.`,
	Settings: `Linux: tcp_mtu_probing (0; 1 finds the size when it gets stuck), tcp_base_mss (1024),
ip_no_pmtu_disc (0). FreeBSD: net.inet.tcp.pmtud_blackhole_detection (0), net.inet.tcp.path_mtu_discovery
(1). Windows: EnablePMTUBHDetect (registry), netsh interface ipv4 show subinterfaces.`,
})

// holesLeast: one is told on its connection.
const holesLeast = 2

func checkSizeBlackHole(s *Sums, report func(Incident)) {
	for _, i := range s.paths.sorted() {
		k, p := s.paths.keys[i], s.paths.rec(i)
		for side := range p.holes {
			seen, unseen := p.holes[side], p.gone[side]
			n := seen + unseen
			if n < holesLeast {
				continue
			}
			sender := reassembly.Side(side)
			in := Incident{
				key: k, Catalogue: "H23", Severity: finding.Error, Confidence: finding.Likely, Count: uint64(n),
				Message: fmt.Sprintf("Large segments from the %s do not get through between %s and %s, and small ones do: ", sender, k.clientAddr(), k.serverAddr()),
				Falsify: "A segment of that size that the other side acknowledged.",
				Reason:  "several connections stopped at the same place, and nothing says at which size",
				tolds:   []*told{p.told},
			}
			switch {
			case seen >= unseen:
				in.Message += fmt.Sprintf("on %s the first of full size was repeated in vain; the path's MTU is smaller than the ends believe.", count(n, "connection"))
			default:
				in.Message += fmt.Sprintf("on %s the %s's numbers jump over up to %s octets that neither passed here nor were acknowledged; the path's MTU is smaller than the ends believe.",
					count(n, "connection"), sender, num(p.most[side]))
				in.Confidence, in.Reason = finding.Possible, "the large segments were lost before the tap, so their size is not known"
			}
			in.First, in.Last = s.spanOf(k)
			in.show(p.hole)
			report(in)
		}
	}
}
