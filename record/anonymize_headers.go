package record

import "encoding/binary"

// This file copies headers, each field by its own name: what stands here is kept, and
// nothing else. in is a header as it was captured, possibly cut; out is as long, and zero.

// Numbers of options (IANA: ip-parameters, ipv6-parameters, tcp-parameters).
const (
	optionEnd = 0
	optionNop = 1

	ipRecordRoute = 7
	ipLooseRoute  = 131
	ipStrictRoute = 137

	ip6Jumbo       = 0xc2
	ip6HomeAddress = 201

	tcpMSS, tcpWindowScale, tcpSACKPermitted, tcpSACK, tcpTimestamps = 2, 3, 4, 5, 8
	tcpUserTimeout, tcpMPTCP                                         = 28, 30
	tcpExperiment1, tcpExperiment2                                   = 253, 254
)

// Numbers of the protocol and next-header fields.
const (
	protoHopByHop, protoRouting, protoFragment, protoAH, protoDestination = 0, 43, 44, 51, 60
	protoMobility, protoHIP, protoShim6                                   = 135, 139, 140
	protoTCP, protoUDP, protoICMP6                                        = 6, 17, 58
)

// ipv4 copies an IPv4 header with its options (RFC 791), but for the sum.
func (a *Anonymizer) ipv4(in, out []byte) {
	copy(out, in[:min(10, len(in))])
	for at := 12; at+4 <= min(20, len(in)); at += 4 {
		copy(out[at:], in[at:at+4])
		a.addr(out[at : at+4])
	}
	if len(in) < 20 {
		return
	}
	for i, o := in[20:], out[20:]; len(i) > 0; {
		kind := i[0]
		o[0] = kind
		if kind == optionEnd {
			return
		}
		if kind == optionNop {
			i, o = i[1:], o[1:]
			continue
		}
		if len(i) < 2 {
			return
		}
		n := int(i[1])
		o[1] = i[1]
		if n < 2 || n > len(i) {
			return
		}
		switch kind {
		case ipLooseRoute, ipStrictRoute, ipRecordRoute:
			if n >= 3 {
				o[2] = i[2]
			}
			for at := 3; at+4 <= n && kind != ipRecordRoute; at += 4 {
				copy(o[at:], i[at:at+4])
				a.addr(o[at : at+4])
			}
		}
		i, o = i[n:], o[n:]
	}
}

// ipv6 copies an IPv6 header with its extension headers (RFC 8200). The flow label goes:
// it is a hash over addresses and ports.
func (a *Anonymizer) ipv6(in, out []byte) {
	copy(out, in[:min(8, len(in))])
	if len(in) >= 4 {
		out[1] &= 0xf0
		out[2], out[3] = 0, 0
	}
	for at := 8; at+16 <= min(40, len(in)); at += 16 {
		copy(out[at:], in[at:at+16])
		a.addr(out[at : at+16])
	}
	if len(in) < 40 {
		return
	}
	next := in[6]
	for i, o := in[40:], out[40:]; len(i) >= 2; {
		copy(o, i[:2])
		size := int(i[1])*8 + 8
		switch next {
		case protoAH:
			size = int(i[1])*4 + 8
		case protoFragment:
			size = 8
		case protoHopByHop, protoRouting, protoDestination, protoMobility, protoHIP, protoShim6:
		default:
			clear(o[:2]) // no extension header: it was only looked at
			return
		}
		end := min(size, len(i))
		switch next {
		case protoFragment:
			copy(o, i[:end])
		case protoHopByHop, protoDestination:
			a.options6(i[2:end], o[2:end])
		case protoRouting:
			a.route6(i[:end], o[:end])
		}
		next = i[0]
		i, o = i[end:], o[end:]
	}
}

func (a *Anonymizer) options6(in, out []byte) {
	for len(in) >= 2 {
		out[0] = in[0]
		if in[0] == 0 { // one octet of padding
			in, out = in[1:], out[1:]
			continue
		}
		out[1] = in[1]
		n := int(in[1]) + 2
		if n > len(in) {
			return
		}
		switch {
		case in[0] == ip6Jumbo && n == 6:
			copy(out[2:], in[2:6])
		case in[0] == ip6HomeAddress && n == 18:
			copy(out[2:], in[2:18])
			a.addr(out[2:18])
		}
		in, out = in[n:], out[n:]
	}
}

// route6 copies a routing header: its type, how many stops are left, and the stops.
func (a *Anonymizer) route6(in, out []byte) {
	copy(out, in[:min(5, len(in))])
	if len(in) < 8 {
		return
	}
	const source, mobile, segments = 0, 2, 4
	stops := len(in)/16 + 1
	switch in[2] {
	case source, mobile:
		out[4] = 0 // reserved
	case segments: // its options follow the list
		stops = int(in[4]) + 1
	default:
		out[4] = 0
		return
	}
	for at := 8; at+16 <= len(in) && stops > 0; at += 16 {
		copy(out[at:], in[at:at+16])
		a.addr(out[at : at+16])
		stops--
	}
}

// tcp copies a TCP header (RFC 9293) of a packet of length octets, but for the sum, and
// returns how many octets there are of it.
func tcp(in, out []byte, length int) int {
	const fixed = 20
	copy(out, in[:min(16, len(in))])
	if len(in) < fixed {
		return len(in) // without the urgent pointer, of which only half may be there
	}
	copy(out[18:], in[18:fixed])
	header := int(in[12]>>4) * 4
	if header <= fixed || header > length {
		return fixed
	}
	header = min(header, len(in))
	tcpOptions(in[fixed:header], out[fixed:header])
	return header
}

// tcpOptions copies what options say of a connection's course. Cookies, keys, tokens,
// signatures and whatever is not known become zeros of the same length.
func tcpOptions(in, out []byte) {
	for len(in) > 0 {
		kind := in[0]
		out[0] = kind
		if kind == optionEnd {
			return
		}
		if kind == optionNop {
			in, out = in[1:], out[1:]
			continue
		}
		if len(in) < 2 {
			return
		}
		n := int(in[1])
		out[1] = in[1]
		if n < 2 || n > len(in) {
			return
		}
		i, o := in[2:n], out[2:n]
		switch {
		case kind == tcpMSS && len(i) == 2, kind == tcpWindowScale && len(i) == 1, kind == tcpUserTimeout && len(i) == 2,
			kind == tcpSACKPermitted && len(i) == 0, kind == tcpSACK && len(i)%8 == 0, kind == tcpTimestamps && len(i) == 8:
			copy(o, i)
		case kind == tcpMPTCP && len(i) >= 1:
			o[0] = i[0] & 0xf0 // the subtype (RFC 8684 section 3)
		case (kind == tcpExperiment1 || kind == tcpExperiment2) && len(i) >= 2:
			if binary.BigEndian.Uint16(i) == 0xf989 { // Fast Open's (RFC 7413 section 4.1.1)
				copy(o, i[:2])
			}
		}
		in, out = in[n:], out[n:]
	}
}
