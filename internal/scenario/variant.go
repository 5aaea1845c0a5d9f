package scenario

import (
	"fmt"

	"github.com/tcplife/tcplife/wire"
)

// Format is a capture file's container.
type Format uint8

// The formats.
const (
	PcapNanos Format = iota
	PcapMicros
	PcapNG
)

var formatNames = [...]string{"pcap-ns", "pcap-us", "pcapng"}

// String returns the format's name.
func (f Format) String() string { return formatNames[f] }

// ISNs chooses where sequence numbers begin.
type ISNs uint8

// The choices. Below means that the first host's SYN is the last number before the
// limit and the other hosts' limits lie inside their data.
const (
	ISNPlain ISNs = iota
	ISNZero
	ISNBelow31
	ISNBelow32
)

var isnNames = [...]string{"plain", "0", "2^31", "2^32"}

// of returns the ISN of a host's first life.
func (n ISNs) of(host int) uint32 {
	switch n {
	case ISNZero:
		return 0
	case ISNBelow31:
		return 1<<31 - 1 - 99*uint32(host)
	case ISNBelow32:
		return 1<<32 - 1 - 99*uint32(host)
	}
	return 0x1234_5678 + 0x4000_0000*uint32(host)
}

// Variant is one way to compile a script. States and findings must be the same in
// every one. The zero value is the plain one: Ethernet, IPv4, pcap in nanoseconds.
type Variant struct {
	ISN ISNs
	// Mirror gives the first host the address and port class of the last one and so
	// on: the order of a tuple's ends turns around.
	Mirror bool
	V6     bool
	// Link is a name of Links; empty is ethernet.
	Link   string
	Format Format
	// Snap is the snap length in octets, 0 for none.
	Snap int
	// Double captures every frame twice.
	Double bool
	// Batch tells the tracker the time only through segments: no Advance.
	Batch bool
}

// snapHeaders is a snap length that holds all headers and little payload.
const snapHeaders = 128

// String names what differs from the plain variant.
func (v Variant) String() string {
	s := ""
	add := func(set bool, format string, args ...any) {
		if set {
			s += "," + fmt.Sprintf(format, args...)
		}
	}
	add(v.ISN != ISNPlain, "isn=%s", isnNames[v.ISN])
	add(v.Mirror, "mirror")
	add(v.V6, "ipv6")
	add(v.Link != "" && v.Link != "ethernet", "%s", v.Link)
	add(v.Format != PcapNanos, "%s", v.Format)
	add(v.Snap != 0, "snap=%d", v.Snap)
	add(v.Double, "doubled")
	add(v.Batch, "batch")
	if s == "" {
		return "plain"
	}
	return s[1:]
}

// Matrix returns the variants that every script is run in: all combinations of
// what the tracker could confuse (numbers, addresses, copies, lengths), and beside
// them each link type, each tunnel and each container.
func Matrix() []Variant {
	var all []Variant
	no := []bool{false, true}
	for isn := range ISNs(len(isnNames)) {
		for _, mirror := range no {
			for _, v6 := range no {
				for _, double := range no {
					for _, snap := range []int{0, snapHeaders} {
						all = append(all, Variant{ISN: isn, Mirror: mirror, V6: v6, Double: double, Snap: snap})
					}
				}
			}
		}
	}
	all = append(all, Variant{Batch: true})
	for _, l := range Links() {
		for format := range Format(len(formatNames)) {
			// What a container does with a link type is to write its number down: one
			// small and one large number are enough.
			if format != PcapNanos && l.Type != wire.LinkEthernet && l.Type != wire.LinkLinuxSLL2 || format != PcapNanos && l.Tunnel() {
				continue
			}
			for _, v6 := range no {
				if v6 && !l.V6 || !v6 && !l.V4 || l.Name == "ethernet" && format == PcapNanos {
					continue
				}
				all = append(all, Variant{V6: v6, Link: l.Name, Format: format})
			}
		}
	}
	return all
}

// linkTypesWithout returns the link types that wire decodes and Links lacks.
func linkTypesWithout() []wire.LinkType {
	var missing []wire.LinkType
next:
	for _, t := range wire.LinkTypes() {
		for _, l := range Links() {
			if l.Type == t {
				continue next
			}
		}
		missing = append(missing, t)
	}
	return missing
}
