package bpf

import (
	"encoding/binary"
	"fmt"

	"github.com/tcplife/tcplife/wire"
)

// Ethernet types, and protocols of IP.
const (
	typeIP, typeARP, typeRARP, typeIP6 = 0x0800, 0x0806, 0x8035, 0x86dd

	protoFragment = 44
)

// Offsets with a meaning of their own, linux/filter.h: a load from ancillary + x asks for
// what the kernel knows of the frame, from network + x for octet x behind the link layer.
const (
	ancillary         = 0xfffff000
	ancillaryProtocol = ancillary + 0
	ancillaryTag      = ancillary + 44
	ancillaryTagged   = ancillary + 48
	network           = 0xfff00000
)

// Compile makes the program for a target. Its errors are of type *Error: what the
// target's link layer does not have.
func (f *Filter) Compile(t Target, keep uint32) (Program, error) {
	c, err := newCompiler(f, t)
	if err != nil {
		return nil, err
	}
	accept, reject := code{op: opReturn, k: keep}, code{op: opReturn}
	if f.root == nil {
		return assemble([]code{accept})
	}
	// A live frame's outer tag is beside it, or in it where a driver has left it there.
	// What follows lies elsewhere then, so there is a program for either.
	if t.Kernel && !t.Cooked && f.tags() {
		tagged, plain := c.newLabel(), c.newLabel()
		c.add(code{op: opLoad, k: ancillaryTagged, size: 4}, code{op: opEqual, k: 1, yes: tagged, no: plain})
		c.label(tagged)
		c.beside = true
		if err := c.whole(f.root, accept, reject); err != nil {
			return nil, err
		}
		c.label(plain)
		c.beside = false
	}
	if err := c.whole(f.root, accept, reject); err != nil {
		return nil, err
	}
	return assemble(c.code)
}

// tags reports whether the filter asks for a VLAN.
func (f *Filter) tags() bool {
	var in func(n node) bool
	in = func(n node) bool {
		switch n := n.(type) {
		case conjunction:
			return in(n.a) || in(n.b)
		case disjunction:
			return in(n.a) || in(n.b)
		case negation:
			return in(n.a)
		case vlanTag:
			return true
		}
		return false
	}
	return in(f.root)
}

// compiler writes the program of one filter for one target. As in libpcap a primitive is
// compiled where it stands, and vlan moves where all that follows it looks, whether or
// not it is what makes the frame be selected.
type compiler struct {
	f *Filter
	t Target
	// typeAt is where the frame's type is, payload where what it speaks of begins.
	typeAt, payload uint32
	// beside: the outer tag is beside the frame, and was not asked for yet.
	beside bool
	code   []code
	labels int32
	// scratch is the number of memory words in use.
	scratch uint32
}

func newCompiler(f *Filter, t Target) (*compiler, error) {
	c := &compiler{f: f, t: t}
	if err := c.start(); err != nil {
		return nil, err
	}
	return c, nil
}

// start sets where the type and the payload are at the beginning of a frame.
func (c *compiler) start() error {
	switch {
	case c.t.Cooked:
		c.typeAt, c.payload = ancillaryProtocol, network
		return nil
	}
	switch c.t.Link {
	case wire.LinkEthernet:
		c.typeAt, c.payload = 12, 14
	case wire.LinkLinuxSLL:
		c.typeAt, c.payload = 14, 16
	case wire.LinkLinuxSLL2:
		c.typeAt, c.payload = 0, 20
	case wire.LinkRaw, wire.LinkRaw12, wire.LinkRaw14, wire.LinkIPv4, wire.LinkIPv6:
		c.typeAt, c.payload = 0, 0
	default:
		return &Error{c.f.text, 0, fmt.Sprintf("frames of link type %v are not looked into", c.t.Link), "Ethernet, Linux cooked and raw IP are; for others: --bpf \"$(tcpdump -ddd -r FILE '" + c.f.text + "')\""}
	}
	return nil
}

func (c *compiler) fail(at int, what, remedy string) error {
	return &Error{c.f.text, at, what, remedy}
}

// whole compiles the filter from the beginning of a frame on.
func (c *compiler) whole(n node, accept, reject code) error {
	if err := c.start(); err != nil {
		return err
	}
	yes, no := c.newLabel(), c.newLabel()
	if err := c.node(n, yes, no); err != nil {
		return err
	}
	c.label(yes)
	c.add(accept)
	c.label(no)
	c.add(reject)
	return nil
}

// node compiles what goes on at yes or at no.
func (c *compiler) node(n node, yes, no int32) error {
	switch n := n.(type) {
	case conjunction:
		next := c.newLabel()
		if err := c.node(n.a, next, no); err != nil {
			return err
		}
		c.label(next)
		return c.node(n.b, yes, no)
	case disjunction:
		next := c.newLabel()
		if err := c.node(n.a, yes, next); err != nil {
			return err
		}
		c.label(next)
		return c.node(n.b, yes, no)
	case negation:
		return c.node(n.a, no, yes)
	case protocol:
		return c.protocol(n, yes, no)
	case protocolNumber:
		return c.protocolNumber(n, yes, no)
	case address4:
		return c.address4(n, yes, no)
	case address6:
		return c.address6(n, yes, no)
	case addressMAC:
		return c.addressMAC(n, yes, no)
	case portRange:
		c.ports(n, yes, no)
		return nil
	case cast:
		return c.cast(n, yes, no)
	case vlanTag:
		return c.vlan(n, yes, no)
	case relation:
		return c.relation(n, yes, no)
	}
	panic(fmt.Sprintf("node %T", n)) // the parser makes no other
}

// equal compares octets of the frame; of those that are masked out nothing is asked.
func (c *compiler) equal(at uint32, size int, value, mask uint32, yes, no int32) {
	c.add(code{op: opLoad, k: at, size: size})
	if whole := uint32(all) >> (32 - 8*size); mask&whole != whole {
		c.add(code{op: opAnd, k: mask})
	}
	c.add(code{op: opEqual, k: value, yes: yes, no: no})
}

// then calls f for what follows when its condition holds.
func (c *compiler) then(f func(next int32)) {
	next := c.newLabel()
	f(next)
	c.label(next)
}

const all = 0xffffffff

// isType asks whether the frame has a protocol, given by its Ethernet type.
func (c *compiler) isType(ethertype uint32, yes, no int32) {
	if c.t.Cooked {
		c.equal(c.typeAt, 4, ethertype, all, yes, no)
		return
	}
	version := map[uint32]uint32{typeIP: 0x40, typeIP6: 0x60}[ethertype]
	switch c.t.Link {
	case wire.LinkEthernet, wire.LinkLinuxSLL, wire.LinkLinuxSLL2:
		c.equal(c.typeAt, 2, ethertype, all, yes, no)
	case wire.LinkIPv4, wire.LinkIPv6:
		if c.t.Link == wire.LinkIPv4 && ethertype == typeIP || c.t.Link == wire.LinkIPv6 && ethertype == typeIP6 {
			c.jump(yes)
		} else {
			c.jump(no)
		}
	default:
		if version == 0 {
			c.jump(no)
			return
		}
		c.equal(c.payload, 1, version, 0xf0, yes, no)
	}
}

var ethertypes = map[string]uint32{"ip": typeIP, "ip6": typeIP6, "arp": typeARP, "rarp": typeRARP}

func (c *compiler) protocol(n protocol, yes, no int32) error {
	if t, ok := ethertypes[n.name]; ok {
		c.isType(t, yes, no)
		return nil
	}
	of := protocolNumber{at: n.at, n: ipProtocols[n.name]}
	switch n.name {
	case "icmp", "igmp", "vrrp":
		of.proto = "ip"
	case "icmp6":
		of.proto, of.n = "ip6", ipProtocols["ipv6-icmp"]
	}
	return c.protocolNumber(of, yes, no)
}

func (c *compiler) protocolNumber(n protocolNumber, yes, no int32) error {
	switch n.proto {
	case "ether":
		c.isType(n.n, yes, no)
	case "ip":
		c.then(func(next int32) { c.isType(typeIP, next, no) })
		c.equal(c.payload+9, 1, n.n, all, yes, no)
	case "ip6":
		c.then(func(next int32) { c.isType(typeIP6, next, no) })
		c.then(func(next int32) { c.equal(c.payload+6, 1, n.n, all, yes, next) })
		// Behind a fragment header, which is looked past as the only one.
		c.then(func(next int32) { c.equal(c.payload+6, 1, protoFragment, all, next, no) })
		c.equal(c.payload+40, 1, n.n, all, yes, no)
	default:
		other := c.newLabel()
		n.proto = "ip"
		c.protocolNumber(n, yes, other)
		c.label(other)
		n.proto = "ip6"
		c.protocolNumber(n, yes, no)
	}
	return nil
}

// either asks for the source, the destination, or both, as the direction says.
func (c *compiler) either(dir direction, yes, no int32, ask func(destination bool, yes, no int32)) {
	switch dir {
	case srcOnly, dstOnly:
		ask(dir == dstOnly, yes, no)
	case srcAndDst:
		c.then(func(next int32) { ask(false, next, no) })
		ask(true, yes, no)
	default:
		c.then(func(next int32) { ask(false, yes, next) })
		ask(true, yes, no)
	}
}

func (c *compiler) address4(n address4, yes, no int32) error {
	of := func(t, src, dst uint32, yes, no int32) {
		c.then(func(next int32) { c.isType(t, next, no) })
		c.either(n.dir, yes, no, func(destination bool, yes, no int32) {
			at := src
			if destination {
				at = dst
			}
			c.equal(c.payload+at, 4, n.bits, n.all, yes, no)
		})
	}
	switch n.proto {
	case "ip":
		of(typeIP, 12, 16, yes, no)
	case "arp":
		of(typeARP, 14, 24, yes, no)
	case "rarp":
		of(typeRARP, 14, 24, yes, no)
	default:
		c.then(func(next int32) { of(typeIP, 12, 16, yes, next) })
		c.then(func(next int32) { of(typeARP, 14, 24, yes, next) })
		of(typeRARP, 14, 24, yes, no)
	}
	return nil
}

func (c *compiler) address6(n address6, yes, no int32) error {
	octets := n.net.Addr().As16()
	c.then(func(next int32) { c.isType(typeIP6, next, no) })
	c.either(n.dir, yes, no, func(destination bool, yes, no int32) {
		at := c.payload + 8
		if destination {
			at = c.payload + 24
		}
		for i, mask := range n.mask {
			if mask != 0 {
				c.then(func(next int32) {
					c.equal(at+uint32(4*i), 4, binary.BigEndian.Uint32(octets[4*i:]), mask, next, no)
				})
			}
		}
		c.jump(yes)
	})
	return nil
}

// onlyEthernet refuses what only Ethernet has.
func (c *compiler) onlyEthernet(at int, what string) error {
	if c.t.Cooked || c.t.Link != wire.LinkEthernet {
		return c.fail(at, what+" are of Ethernet alone", "name interfaces, or files, of Ethernet")
	}
	return nil
}

func (c *compiler) addressMAC(n addressMAC, yes, no int32) error {
	if err := c.onlyEthernet(n.at, "Ethernet addresses"); err != nil {
		return err
	}
	c.either(n.dir, yes, no, func(destination bool, yes, no int32) { c.isMAC(n.mac, destination, yes, no) })
	return nil
}

func (c *compiler) isMAC(m [6]byte, destination bool, yes, no int32) {
	at := uint32(6)
	if destination {
		at = 0
	}
	c.then(func(next int32) { c.equal(at+2, 4, binary.BigEndian.Uint32(m[2:]), all, next, no) })
	c.equal(at, 2, uint32(binary.BigEndian.Uint16(m[:])), all, yes, no)
}

func (c *compiler) cast(n cast, yes, no int32) error {
	switch n.proto {
	case "ip":
		c.then(func(next int32) { c.isType(typeIP, next, no) })
		c.add(code{op: opLoad, k: c.payload + 16, size: 1}, code{op: opGreaterEqual, k: 224, yes: yes, no: no})
	case "ip6":
		c.then(func(next int32) { c.isType(typeIP6, next, no) })
		c.equal(c.payload+24, 1, 255, all, yes, no)
	default:
		if err := c.onlyEthernet(n.at, "broadcast and multicast"); err != nil {
			return err
		}
		if n.broadcast {
			c.isMAC([6]byte{255, 255, 255, 255, 255, 255}, true, yes, no)
			return nil
		}
		c.add(code{op: opLoad, k: 0, size: 1}, code{op: opAnySet, k: 1, yes: yes, no: no})
	}
	return nil
}

// ports asks for ports: of IPv6 first, as libpcap does, behind no other header; then of
// IPv4, of what is not a later fragment.
func (c *compiler) ports(n portRange, yes, no int32) {
	port := func(op opcode, k uint32, size int, yes, no int32) {
		c.add(code{op: op, k: k, size: size})
		switch {
		case n.lo == n.hi:
			c.add(code{op: opEqual, k: n.lo, yes: yes, no: no})
		default:
			c.then(func(next int32) { c.add(code{op: opGreaterEqual, k: n.lo, yes: next, no: no}) })
			c.add(code{op: opGreater, k: n.hi, yes: no, no: yes})
		}
	}
	isProto := func(at uint32, yes, no int32) {
		for i, proto := range n.protos {
			if i == len(n.protos)-1 {
				c.equal(at, 1, proto, all, yes, no)
				return
			}
			c.then(func(next int32) { c.equal(at, 1, proto, all, yes, next) })
		}
	}
	four := c.newLabel()
	c.then(func(next int32) { c.isType(typeIP6, next, four) })
	c.then(func(next int32) { isProto(c.payload+6, next, no) })
	c.either(n.dir, yes, no, func(destination bool, yes, no int32) {
		at := c.payload + 40
		if destination {
			at += 2
		}
		port(opLoad, at, 2, yes, no)
	})
	c.label(four)
	c.then(func(next int32) { c.isType(typeIP, next, no) })
	c.then(func(next int32) { isProto(c.payload+9, next, no) })
	c.then(func(next int32) { c.firstFragment(next, no) })
	c.add(code{op: opHeaderLen, k: c.payload})
	c.either(n.dir, yes, no, func(destination bool, yes, no int32) {
		at := c.payload
		if destination {
			at += 2
		}
		port(opLoadX, at, 2, yes, no)
	})
}

// firstFragment asks whether an IPv4 packet holds what begins its payload.
func (c *compiler) firstFragment(yes, no int32) {
	c.add(code{op: opLoad, k: c.payload + 6, size: 2}, code{op: opAnySet, k: 0x1fff, yes: no, no: yes})
}

func (c *compiler) vlan(n vlanTag, yes, no int32) error {
	if c.t.Cooked || c.t.Link != wire.LinkEthernet {
		return c.fail(n.at, "VLAN tags are of Ethernet alone", "name interfaces, or files, of Ethernet")
	}
	if c.beside {
		c.beside = false
		if !n.has {
			c.jump(yes)
			return nil
		}
		c.equal(ancillaryTag, 4, n.id, 0xfff, yes, no)
		return nil
	}
	tagged := yes
	if n.has {
		tagged = c.newLabel()
	}
	for _, tpid := range []uint32{0x8100, 0x88a8} {
		c.then(func(next int32) { c.isType(tpid, tagged, next) })
	}
	c.isType(0x9100, tagged, no)
	if n.has {
		c.label(tagged)
		c.equal(c.payload, 2, n.id, 0xfff, yes, no)
	}
	c.typeAt += 4
	c.payload += 4
	return nil
}
