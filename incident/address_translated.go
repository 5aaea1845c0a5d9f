package incident

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"github.com/tcplife/tcplife/finding"
	"github.com/tcplife/tcplife/reassembly"
	"github.com/tcplife/tcplife/wire"
)

var _ = register(Rule{
	ID:        "address-translated",
	Catalogue: []string{"K10"},
	Title:     "Connections stand in the capture twice, before and behind an address translator",
	Severity:  finding.Info,
	RFC:       "2663 2; 5382; 6528",
	Check:     checkAddressTranslated,
	Meaning: `The capture holds both sides of a NAT or of a load balancer that rewrites addresses: the
same connection with other addresses or ports, and with the same initial sequence numbers and
amounts of data. Every such connection is counted twice, in the summary, in the census and in
other incidents; each of the two is right for its own side of the device.`,
	Signature: `    A                    NAT                   B
    | SYN a:p, seq x ---> | SYN n:q, seq x ---> |  as good as no time later
    | <---- SYN-ACK seq y | <---- SYN-ACK seq y |`,
	Alternatives: `Two connections have both initial sequence numbers in common by chance once in
2^64. A device that makes up sequence numbers of its own (some firewalls do) hides that they
belong together.`,
	Advice: `Look at one side only: capture on one interface, or filter by the addresses of one side.
What passed on one side and not on the other died in the device: compare the two timelines.`,
	Settings: `Linux: conntrack -L shows the pairs as the device has them; nft list ruleset names the
rule (masquerade, snat, dnat). FreeBSD: pfctl -s state. Windows: Get-NetNatSession.`,
})

// numbersOf returns both initial sequence numbers of an established connection, the client's
// first; 0 if they say nothing.
func numbersOf(c *reassembly.Conn) uint64 {
	cl, sv := &c.Ends[reassembly.Client], &c.Ends[reassembly.Server]
	// Programs that make packets up begin at 0 or 1; hosts by chance once in 2^64.
	if !cl.HasISN || !sv.HasISN || cl.ISN <= 1 || sv.ISN <= 1 {
		return 0
	}
	return uint64(cl.ISN)<<32 | uint64(sv.ISN)
}

// add counts an established connection by its initial sequence numbers.
func (x *sample) add(c *reassembly.Conn) {
	numbers := numbersOf(c)
	if numbers == 0 {
		return
	}
	v := x.next(numbers)
	if v == nil {
		return
	}
	cl, sv := &c.Ends[reassembly.Client], &c.Ends[reassembly.Server]
	*v = view{
		numbers: numbers, tuple: c.Tuple, frame: c.First, start: c.Start, last: c.End,
		octets: [2]uint64{cl.UniqueBytes, sv.UniqueBytes}, missing: [2]uint64{cl.MissingBytes, sv.MissingBytes}, ttl: [2]uint8{cl.TTL, sv.TTL},
		turned: c.Key.Tuple != c.Tuple, isn: c.Key.ISN, began: c.Key.Start,
	}
}

// inDevice is the longest that a SYN stays in a device that translates addresses, and
// more than the clocks of two taps of one machine differ.
const inDevice = time.Second

// compare orders views: by their first frame, and else somehow, so that no two which
// differ are equal.
func (v *view) compare(o *view) int {
	return cmp.Or(cmp.Compare(v.frame, o.frame), pairKey(&v.tuple).compare(pairKey(&o.tuple)), cmp.Compare(v.tuple.SrcPort, o.tuple.SrcPort),
		cmp.Compare(v.start, o.start), cmp.Compare(v.last, o.last), cmp.Compare(v.began, o.began), cmp.Compare(v.isn, o.isn), slices.Compare(v.octets[:], o.octets[:]),
		slices.Compare(v.missing[:], o.missing[:]), slices.Compare(v.ttl[:], o.ttl[:]))
}

// same reports whether two connections are one with other addresses.
func (v *view) same(o *view) bool {
	a, b := v.tuple, o.tuple
	if a.V6 == b.V6 && a.Src == b.Src && a.Dst == b.Dst {
		return false // the same frames once more, in a tunnel, or a program that counts for itself
	}
	if o.start.Sub(v.start).Abs() > inDevice {
		return false // replayed with other addresses
	}
	for side := range v.octets {
		if d := int64(v.octets[side]) - int64(o.octets[side]); uint64(max(d, -d)) > v.missing[side]+o.missing[side] {
			return false
		}
	}
	return true
}

// device names what was rewritten: the client's address as the server sees it, the
// server's as the client does.
func (v *view) device(o *view) key {
	if v.tuple.Dst != o.tuple.Dst || v.tuple.DstPort != o.tuple.DstPort {
		return listenerKey(&v.tuple)
	}
	return clientKey(&o.tuple)
}

func (v *view) String() string {
	end := func(a wire.Addr, port uint16) string {
		return netip.AddrPortFrom(a.Netip(v.tuple.V6), port).String()
	}
	return end(v.tuple.Src, v.tuple.SrcPort) + " > " + end(v.tuple.Dst, v.tuple.DstPort)
}

func checkAddressTranslated(s *Sums, report func(Incident)) {
	type pairs struct {
		n           uint64
		routed      bool
		first, last wire.Time
		example     *view
		shown       examples
	}
	by := map[key]*pairs{}
	for _, i := range s.seenTwice {
		a := s.numbers.all.at(i)
		b := s.numbers.all.at(a.second - 1)
		k := a.device(b)
		g := by[k]
		if g == nil {
			g = &pairs{first: a.start, last: a.last, example: a, routed: true}
			by[k] = g
		}
		if a.compare(g.example) < 0 {
			g.example = a
		}
		g.n++
		g.first, g.last = min(g.first, a.start), max(g.last, a.last, b.last)
		// A router takes one from the hop limit on the way, in both directions.
		g.routed = g.routed && a.ttl[reassembly.Client] > b.ttl[reassembly.Client] && a.ttl[reassembly.Server] < b.ttl[reassembly.Server]
		g.shown.insert(example{a.frame, a.uid(s.layers)})
		g.shown.insert(example{b.frame, b.uid(s.layers)})
	}
	for _, k := range sortedKeys(by) {
		g := by[k]
		what := "stand"
		if g.n == 1 {
			what = "stands"
		}
		in := Incident{
			key: k, Catalogue: "K10", Severity: finding.Info, Confidence: finding.Likely, Count: g.n, First: g.first, Last: g.last,
			Message: fmt.Sprintf("%s %s in the capture twice, before and behind a device that rewrites addresses, as %s and as %s. They are counted twice.",
				count(g.n, "connection"), what, g.example, s.numbers.all.at(g.example.second-1)),
			Falsify: "Two hosts that really made both connections, by their own lists of sockets.",
			Reason:  "both initial sequence numbers and the amounts of data are the same; the hop limits do not show a router between the two",
		}
		if s.numbers.share > 0 {
			in.Message += fmt.Sprintf(" One connection of %d was looked at.", uint64(1)<<min(s.numbers.share, 63))
		}
		if g.routed {
			in.Confidence, in.Reason = finding.Certain, "both initial sequence numbers and the amounts of data are the same, and the hop limits are one less behind the device in both directions"
		}
		in.show(&g.shown)
		report(in)
	}
}
