package bpf

import "fmt"

// relation asks for the protocols whose headers the two values are in, and compares.
func (c *compiler) relation(n relation, yes, no int32) error {
	if err := c.guards(n.a, no); err != nil {
		return err
	}
	if err := c.guards(n.b, no); err != nil {
		return err
	}
	if n.not {
		yes, no = no, yes
	}
	op := map[string]opcode{">": opGreater, ">=": opGreaterEqual, "=": opEqual}[n.op]
	if err := c.value(n.a); err != nil {
		return err
	}
	if b, ok := n.b.(constant); ok {
		c.add(code{op: op, k: uint32(b), yes: yes, no: no})
		return nil
	}
	if err := c.second(n.b); err != nil {
		return err
	}
	c.add(code{op: op, x: true, yes: yes, no: no})
	return nil
}

// second computes another value while one is in A: then A has the first, and X the
// second.
func (c *compiler) second(v value) error {
	at, err := c.save()
	if err != nil {
		return err
	}
	if err := c.value(v); err != nil {
		return err
	}
	c.add(code{op: opToX}, code{op: opRecall, k: at})
	c.scratch--
	return nil
}

// save puts A into a word of memory.
func (c *compiler) save() (at uint32, err error) {
	if c.scratch == memoryWords {
		return 0, fmt.Errorf("filter %q: an expression of it needs more than %d results at once", c.f.text, memoryWords)
	}
	at = c.scratch
	c.scratch++
	c.add(code{op: opStore, k: at})
	return at, nil
}

// guards asks for the protocols that a value is read from: of another frame it has none,
// and a comparison with it is false, turned round or not.
func (c *compiler) guards(v value, no int32) error {
	switch v := v.(type) {
	case arithmetic:
		// Of an operation libpcap only asks for the left one's, and so do we: a filter
		// must not select another frame here than there.
		return c.guards(v.a, no)
	case negative:
		return c.guards(v.a, no)
	case load:
		if err := c.guards(v.index, no); err != nil {
			return err
		}
		switch v.proto {
		case "ether":
			if c.t.Cooked {
				return c.onlyEthernet(v.at, "octets of the link layer")
			}
			return nil
		case "ip", "ip6", "arp", "rarp":
			c.then(func(next int32) { c.isType(ethertypes[v.proto], next, no) })
		case "icmp6":
			c.then(func(next int32) { c.isType(typeIP6, next, no) })
			c.then(func(next int32) { c.equal(c.payload+6, 1, ipProtocols["ipv6-icmp"], all, next, no) })
		case "tcp", "udp", "icmp", "sctp", "igmp", "pim", "vrrp":
			c.then(func(next int32) { c.isType(typeIP, next, no) })
			c.then(func(next int32) { c.equal(c.payload+9, 1, ipProtocols[v.proto], all, next, no) })
			c.then(func(next int32) { c.firstFragment(next, no) })
		default:
			return c.fail(v.at, v.proto+" has no octets to look at", "")
		}
	}
	return nil
}

// value computes a number into A.
func (c *compiler) value(v value) error {
	switch v := v.(type) {
	case constant:
		c.add(code{op: opConstant, k: uint32(v)})
	case length:
		c.add(code{op: opLength})
	case load:
		return c.load(v)
	case negative:
		if err := c.value(v.a); err != nil {
			return err
		}
		c.add(code{op: opNegate})
	case arithmetic:
		if err := c.value(v.a); err != nil {
			return err
		}
		op := opArithmetic[v.op]
		if b, ok := v.b.(constant); ok {
			c.add(code{op: op, k: uint32(b)})
			return nil
		}
		if err := c.second(v.b); err != nil {
			return err
		}
		c.add(code{op: op, x: true})
	}
	return nil
}

func (c *compiler) load(v load) error {
	index, fixed := v.index.(constant)
	base := c.payload
	transport := false
	switch v.proto {
	case "ether":
		base = 0
	case "icmp6":
		base += 40
	case "ip", "ip6", "arp", "rarp":
	default:
		transport = true
	}
	switch {
	case fixed && transport:
		c.add(code{op: opHeaderLen, k: base}, code{op: opLoadX, k: base + uint32(index), size: v.size})
	case fixed:
		c.add(code{op: opLoad, k: base + uint32(index), size: v.size})
	default:
		if err := c.value(v.index); err != nil {
			return err
		}
		if transport {
			c.add(code{op: opHeaderLen, k: base}, code{op: opArithmetic["+"], x: true})
		}
		c.add(code{op: opToX}, code{op: opLoadX, k: base, size: v.size})
	}
	return nil
}
