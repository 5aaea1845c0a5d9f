package bpf

import (
	"context"
	"encoding/binary"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"
)

// id reads one address, network, port or protocol number.
func (p *parser) id(q qualifier) (node, qualifier, error) {
	t := p.peek()
	if t.kind == end || t.kind == word || t.kind == unknown {
		return nil, q, p.unexpected("an address, a port or a number")
	}
	p.i++
	var n node
	var err error
	switch q.typ {
	case "port":
		n, err = p.port(q, t)
	case "portrange":
		n, err = p.portRange(q, t)
	case "proto":
		n, err = p.proto(q, t)
	default:
		n, err = p.address(q, t)
	}
	return n, q, err
}

// address reads a host or a network.
func (p *parser) address(q qualifier, t *token) (node, error) {
	switch t.kind {
	case mac:
		if q.proto != "ether" || q.typ == "net" {
			return nil, p.fail(t.at, "an Ethernet address needs ether", "ether host "+t.text)
		}
		return addressMAC{t.at, q.dir, t.mac}, nil
	case name:
		return nil, p.fail(t.at, "names of hosts and networks are not looked up", "give the address: getent ahosts "+t.text)
	}
	switch q.proto {
	case "", "ip", "arp", "rarp", "ip6":
	case "ether":
		return nil, p.fail(t.at, "ether needs an Ethernet address", "")
	default:
		return nil, p.fail(t.at, "addresses are of ip, ip6, arp and rarp and not of %s", "say "+q.proto+" and host", q.proto)
	}
	if t.kind == ip6 {
		return p.address6(q, t)
	}
	a := address4{at: t.at, proto: q.proto, dir: q.dir, net: q.typ == "net", bits: t.n, all: 0xffffffff}
	if q.proto == "ip6" {
		return nil, p.fail(t.at, "ip6 needs an IPv6 address", "")
	}
	bits := t.bits
	if t.kind == number {
		bits = 32
		if q.typ == "net" && !p.is("/") {
			// One number is the beginning of the address.
			for a.bits != 0 && a.bits&0xff000000 == 0 {
				a.bits, a.all = a.bits<<8, a.all<<8
			}
			return a, nil
		}
	}
	switch {
	case p.is("/"):
		p.i++
		length := p.peek()
		if length.kind != number || length.n > 32 {
			return nil, p.unexpected("a prefix length up to 32")
		}
		p.i++
		if t.kind == number {
			return nil, p.fail(t.at, "a network with a prefix length is written with dots", "net "+t.text+".0.0.0/8")
		}
		a.bits <<= 32 - bits
		a.all = uint32(uint64(0xffffffff) << (32 - length.n))
	case p.is("mask"):
		p.i++
		m := p.peek()
		if m.kind != dotted {
			return nil, p.unexpected("a mask, such as 255.255.0.0")
		}
		p.i++
		a.bits <<= 32 - bits
		a.all = m.n << (32 - m.bits)
	default:
		a.bits <<= 32 - bits
		a.all <<= 32 - bits
		return a, nil
	}
	if q.typ != "net" {
		return nil, p.fail(t.at, "only a network has a mask", "net "+t.text)
	}
	if a.bits&^a.all != 0 {
		return nil, p.fail(t.at, "the address has bits outside the mask", "the network is "+v4(a.bits&a.all))
	}
	return a, nil
}

func v4(n uint32) string {
	return netip.AddrFrom4([4]byte(binary.BigEndian.AppendUint32(nil, n))).String()
}

func (p *parser) address6(q qualifier, t *token) (node, error) {
	if q.proto != "" && q.proto != "ip6" {
		return nil, p.fail(t.at, "an IPv6 address is of ip6 and not of %s", "", q.proto)
	}
	bits := 128
	if p.take("/") {
		n := p.peek()
		if n.kind != number || n.n > 128 {
			return nil, p.unexpected("a prefix length up to 128")
		}
		p.i++
		bits = int(n.n)
		if q.typ != "net" && bits != 128 {
			return nil, p.fail(t.at, "only a network has a mask", "net "+t.text)
		}
	}
	a := address6{at: t.at, dir: q.dir, net: netip.PrefixFrom(t.addr, bits)}
	if a.net.Masked() != a.net {
		return nil, p.fail(t.at, "the address has bits outside the mask", "the network is "+a.net.Masked().String())
	}
	for i := range a.mask {
		if n := min(max(bits-32*i, 0), 32); n > 0 {
			a.mask[i] = ^uint32(0) << (32 - n)
		}
	}
	return a, nil
}

// transports are the protocols that have ports, in the order in which libpcap asks.
var transports = map[string][]uint32{"": {6, 17, 132}, "tcp": {6}, "udp": {17}, "sctp": {132}}

func (p *parser) port(q qualifier, t *token) (node, error) {
	protos, ok := transports[q.proto]
	if !ok {
		return nil, p.fail(t.at, "%s has no ports", "tcp, udp and sctp have", q.proto)
	}
	r := portRange{dir: q.dir, protos: protos}
	switch t.kind {
	case number:
		if t.n > 65535 {
			return nil, p.fail(t.at, "a port is at most 65535", "")
		}
		r.lo, r.hi = t.n, t.n
		return r, nil
	case name:
		n, of, ok := service(t.text)
		if !ok {
			return nil, p.fail(t.at, "no service has that name", "give the number of the port")
		}
		switch {
		case q.proto == "" && len(of) == 1:
			r.protos = of
		case q.proto != "" && q.proto != "sctp" && !slices.Contains(of, protos[0]):
			return nil, p.fail(t.at, "the service does not use %s", "give the number of the port", q.proto)
		}
		r.lo, r.hi = n, n
		return r, nil
	}
	return nil, p.fail(t.at, "expected a port", "")
}

// service looks up a port by its name, and the protocols that it is known with.
func service(name string) (port uint32, protos []uint32, ok bool) {
	// What /etc/services says; nothing is asked over the network.
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	var r net.Resolver
	for _, x := range []struct {
		network string
		proto   uint32
	}{{"tcp", 6}, {"udp", 17}} {
		n, err := r.LookupPort(ctx, x.network, name)
		if err == nil && (len(protos) == 0 || uint32(n) == port) {
			port, protos = uint32(n), append(protos, x.proto)
		}
	}
	return port, protos, len(protos) > 0
}

func (p *parser) portRange(q qualifier, t *token) (node, error) {
	protos, ok := transports[q.proto]
	if !ok {
		return nil, p.fail(t.at, "%s has no ports", "tcp, udp and sctp have", q.proto)
	}
	r := portRange{dir: q.dir, protos: protos}
	lo, hi, two := strings.Cut(t.text, "-")
	if !two {
		hi = lo
	}
	a, err1 := strconv.ParseUint(lo, 10, 16)
	b, err2 := strconv.ParseUint(hi, 10, 16)
	if err1 != nil || err2 != nil {
		return nil, p.fail(t.at, "expected two ports up to 65535 with a hyphen between them", "portrange 8000-8080")
	}
	r.lo, r.hi = uint32(min(a, b)), uint32(max(a, b))
	return r, nil
}

// ipProtocols are the names that "proto" may be followed by, behind a backslash if they
// are keywords.
var ipProtocols = map[string]uint32{
	"icmp": 1, "igmp": 2, "ipencap": 4, "tcp": 6, "egp": 8, "igp": 9, "udp": 17, "rdp": 27, "dccp": 33, "ipv6": 41, "rsvp": 46, "gre": 47,
	"esp": 50, "ah": 51, "ipv6-icmp": 58, "eigrp": 88, "ospf": 89, "ipip": 94, "pim": 103, "vrrp": 112, "l2tp": 115, "sctp": 132, "udplite": 136,
}

// etherProtocols are those of ether proto.
var etherProtocols = map[string]uint32{"ip": 0x0800, "arp": 0x0806, "rarp": 0x8035, "ip6": 0x86dd, "aarp": 0x80f3, "atalk": 0x809b, "loopback": 0x9000}

func (p *parser) proto(q qualifier, t *token) (node, error) {
	if q.dired {
		return nil, p.fail(t.at, "a protocol has no direction", "")
	}
	names := ipProtocols
	switch q.proto {
	case "", "ip", "ip6":
	case "ether":
		names = etherProtocols
	default:
		return nil, p.fail(t.at, "proto is of ip, ip6 and ether, and not of %s", "", q.proto)
	}
	n := protocolNumber{at: t.at, proto: q.proto}
	switch t.kind {
	case number:
		n.n = t.n
	case name:
		var ok bool
		if n.n, ok = names[t.text]; !ok {
			return nil, p.fail(t.at, "no protocol is known by that name", "give its number")
		}
	default:
		return nil, p.fail(t.at, "expected a protocol's number or name", "")
	}
	switch {
	case q.proto != "ether" && n.n > 255:
		return nil, p.fail(t.at, "a protocol's number is at most 255", "")
	case q.proto == "ether" && n.n > 0xffff:
		return nil, p.fail(t.at, "an Ethernet type is at most 0xffff", "")
	case q.proto == "ether" && n.n < 0x600:
		return nil, p.fail(t.at, "an Ethernet type below 0x600 is a length, and LLC is not supported", wayOut(p.text))
	}
	return n, nil
}
