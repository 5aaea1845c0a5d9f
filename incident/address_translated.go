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

// translated is what is known of a pair of initial sequence numbers: the connections
// that began with it, the two earliest if there are more.
type translated struct {
	// first is the earliest, second the next one: nil for nearly all.
	first  view
	second *view
}

// view is one of the connections that have both initial sequence numbers in common.
type view struct {
	tuple wire.Tuple
	// shown is its first frame and its uid, by which views are in order.
	shown       example
	start, last wire.Time
	// octets are the payload of each side without repetitions, missing those that the
	// capture lacks; ttl the hop limits.
	octets, missing [2]uint64
	ttl             [2]uint8
}

func (t *translated) insert(v *view) {
	switch {
	case !t.first.some():
		t.first = *v
	case t.first.compare(v) <= 0:
		if t.second == nil || t.second.compare(v) > 0 {
			second := *v
			t.second = &second
		}
	default:
		second := t.first
		t.first, t.second = *v, &second
	}
}

func (t *translated) merge(o *translated) {
	if o.first.some() {
		t.insert(&o.first)
	}
	if o.second != nil {
		t.insert(o.second)
	}
}

// some reports whether the view is of a connection: its first frame has a number.
func (v *view) some() bool { return v.shown.frame != 0 }

// numbersKey names a connection by its initial sequence numbers.
func numbersKey(c *reassembly.Conn) key {
	return key{uint64(c.Ends[reassembly.Client].ISN)<<32 | uint64(c.Ends[reassembly.Server].ISN)}
}

// numbered counts an established connection by its initial sequence numbers.
func (s *Sums) numbered(f *facts) {
	c := f.c
	k := numbersKey(c)
	// Programs that make packets up begin at 0 or 1; hosts by chance once in 2^64.
	if !c.Ends[0].HasISN || !c.Ends[1].HasISN || c.Ends[0].ISN <= 1 || c.Ends[1].ISN <= 1 {
		return
	}
	i := s.numbers.at(&k)
	if i < 0 {
		return
	}
	v := view{tuple: c.Tuple, shown: example{c.First, f.uid()}, start: c.Start, last: c.End}
	for side := range c.Ends {
		e := &c.Ends[side]
		v.octets[side], v.missing[side], v.ttl[side] = e.UniqueBytes, e.MissingBytes, e.TTL
	}
	s.numbers.recs[i].insert(&v)
}

// inDevice is the longest that a SYN stays in a device that translates addresses, and
// more than the clocks of two taps of one machine differ.
const inDevice = time.Second

// compare orders views: by their first frame, and else somehow, so that no two which
// differ are equal.
func (v *view) compare(o *view) int {
	return cmp.Or(v.shown.compare(&o.shown), pairKey(&v.tuple).compare(pairKey(&o.tuple)), cmp.Compare(v.tuple.SrcPort, o.tuple.SrcPort),
		cmp.Compare(v.start, o.start), cmp.Compare(v.last, o.last), slices.Compare(v.octets[:], o.octets[:]),
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
		example     *translated
		shown       examples
	}
	by := map[key]*pairs{}
	for _, i := range s.seenTwice {
		t := &s.numbers.recs[i]
		a, b := &t.first, t.second
		k := a.device(b)
		g := by[k]
		if g == nil {
			g = &pairs{first: a.start, last: a.last, example: t, routed: true}
			by[k] = g
		}
		if a.compare(&g.example.first) < 0 {
			g.example = t
		}
		g.n++
		g.first, g.last = min(g.first, a.start), max(g.last, a.last, b.last)
		// A router takes one from the hop limit on the way, in both directions.
		g.routed = g.routed && a.ttl[reassembly.Client] > b.ttl[reassembly.Client] && a.ttl[reassembly.Server] < b.ttl[reassembly.Server]
		g.shown.insert(a.shown)
		g.shown.insert(b.shown)
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
				count(g.n, "connection"), what, &g.example.first, g.example.second),
			Falsify: "Two hosts that really made both connections, by their own lists of sockets.",
			Reason:  "both initial sequence numbers and the amounts of data are the same; the hop limits do not show a router between the two",
		}
		if of := of(&s.numbers); of > 1 {
			in.Message += fmt.Sprintf(" One connection of %d was looked at.", of)
		}
		if g.routed {
			in.Confidence, in.Reason = finding.Certain, "both initial sequence numbers and the amounts of data are the same, and the hop limits are one less behind the device in both directions"
		}
		in.show(&g.shown)
		report(in)
	}
}
