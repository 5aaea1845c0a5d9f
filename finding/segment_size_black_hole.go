package finding

import (
	"fmt"

	"github.com/tcplife/tcplife/reassembly"
	"github.com/tcplife/tcplife/wire"
)

var _ = register(Rule{
	ID:        "segment-size-black-hole",
	Catalogue: []string{"H23"},
	Title:     "Large segments do not get through, small ones do",
	Severity:  Error,
	RFC:       "1191; 8201; 2923 2.1; 4821; 8899",
	Triggers:  reassembly.SeenRepeatData,
	Check:     checkSizeBlackHole,
	Meaning: `Handshake and small segments passed, the first segment of full size was sent again and
again and never acknowledged. Somewhere on the path the largest packet is smaller than the ends
believe, and the ICMP message that should say so is dropped. Typical: the login works, the first
page or file hangs.`,
	Signature: `    A                        B
    | small data ----------> |  acknowledged
    | full-size data --> x   |
    | the same again --> x   |  after 0.2, 0.6, 1.4, 3 s ...
    | smaller pieces ------> |  acknowledged, if A probes for the size`,
	Alternatives: `Plain loss that hit one segment several times; a peer or path that died just then.
That nothing large was ever acknowledged, and that smaller pieces get through afterwards, speaks
for the size.`,
	Advice: `Let ICMP type 3 code 4 and ICMPv6 type 2 through every firewall. Clamp the MSS where a
tunnel begins (nft: tcp option maxseg size set rt mtu; iptables: TCPMSS --clamp-mss-to-pmtu), or
set the right MTU on the tunnel's interface. Test: ping -M do -s 1472 HOST.`,
	Settings: `Linux: tcp_mtu_probing (0; 1 probes after a black hole), tcp_base_mss (1024),
ip_no_pmtu_disc (0). FreeBSD: net.inet.tcp.pmtud_blackhole_detection (0). Windows:
black hole detection is on by default since Vista.`,
})

// fullShare is how much of the agreed segment size counts as full: time stamps and
// other options take up to 40 octets of it.
const fullShare = 40

func checkSizeBlackHole(c *Case, report func(Finding)) {
	for s := range c.Ends {
		side := reassembly.Side(s)
		mss := min(offeredMSS(&c.Ends[0]), offeredMSS(&c.Ends[1]))
		if mss < 2*fullShare {
			continue
		}
		// The log joins a side's segments to runs; repetitions stand for themselves.
		again := next(c, 0, func(e *reassembly.Event) bool {
			return e.From == side && genuine(e) && e.Kind == reassembly.KindData && e.Marks.Has(reassembly.MarkRepeat) && e.Count == 1 && e.Len+fullShare >= mss
		})
		if again < 0 {
			continue
		}
		e := &c.Events[again]
		large := next(c, 0, func(x *reassembly.Event) bool {
			return x.From == side && genuine(x) && x.Kind == reassembly.KindData && x.Len > 0 && !x.Seq.After(e.Seq) && x.End.After(e.Seq)
		})
		// What was sent before it must have been small.
		if sent := next(c, 0, func(x *reassembly.Event) bool {
			n := x.Len
			if x.End.After(e.Seq) {
				n = uint32(max(e.Seq.Sub(x.Seq), 0))
			}
			return x.From == side && x.Kind == reassembly.KindData && n+fullShare >= mss
		}); sent >= 0 && sent <= large {
			continue
		}
		all := append([]int{large}, c.Transmissions(again)...)
		acked := progress(c, side.Peer(), large, e.Seq)
		// Three transmissions: one loss is ordinary, two of the same segment are rare.
		if len(all) < 3 || acked >= 0 && acked < all[2] {
			continue
		}
		small := next(c, 0, func(x *reassembly.Event) bool {
			return x.From == side && genuine(x) && x.Len > 0 && x.Kind == reassembly.KindData && x.Seq.Before(e.Seq)
		})
		pieces := next(c, all[2]+1, func(x *reassembly.Event) bool {
			return x.From == side && genuine(x) && x.Seq == e.Seq && x.Len > 0 && x.Count == 1 && x.Len < mss*3/4
		})
		f := Finding{
			Catalogue: "H23", Severity: Error, Confidence: Possible, Endpoint: Endpoint(side),
			Frames: frames(c, append(first(all, groupMax), pieces)...),
			Message: fmt.Sprintf("The %s's first full-size segment (%s) was sent %s and not acknowledged, while smaller ones got through.",
				side, plural(int(e.Len), "octet"), times(len(all))),
			Falsify: "A segment of that size that the peer acknowledged.",
			Reason:  "a path that died at that moment looks the same",
		}
		if c.Handshake.Outcome != reassembly.HandshakeComplete || acked >= 0 && pieces < 0 {
			continue
		}
		switch {
		case pieces >= 0 && ackOf(c, side.Peer(), pieces, c.Events[pieces].End) >= 0:
			f.Confidence, f.Reason = Likely, "the same octets got through at once when they were sent in smaller pieces"
		case small < 0 && acked < 0:
			continue // nothing of this side ever got through but the handshake
		}
		report(f)
	}
}

// offeredMSS is the segment size of a side's SYN, the default without the option (RFC
// 9293 section 3.7.1), 0 if the SYN was not seen.
func offeredMSS(e *reassembly.Endpoint) uint32 {
	switch {
	case !e.HasSYN:
		return 0
	case !e.SYN.Set.Has(wire.OptMSS):
		return 536
	}
	return uint32(e.SYN.MSS)
}
