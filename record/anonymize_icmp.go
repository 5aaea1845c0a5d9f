package record

import (
	"encoding/binary"

	"github.com/tcplife/tcplife/wire"
)

// icmp copies an ICMP message: its type and code, and of an error the headers that it
// quotes (RFC 792, RFC 4443). It returns how many octets are needed.
func (a *Anonymizer) icmp(h *wire.Header, in, out []byte) int {
	const header = 8
	copy(out, in[:min(2, len(in))])
	if len(in) < header {
		return len(in)
	}
	kind, code := in[0], in[1]
	const unreachable, sourceQuench, timeExceeded, parameter = 3, 4, 11, 12
	const unreachable6, tooBig6, timeExceeded6, parameter6 = 1, 2, 3, 4
	// The second word is the length of the quote, where there are extensions behind it
	// (RFC 4884), or the MTU, or the place of an error.
	var keep []int
	switch {
	case h.V6 && (kind == unreachable6 || kind == timeExceeded6):
		keep = []int{4}
	case h.V6 && (kind == tooBig6 || kind == parameter6):
		keep = []int{4, 5, 6, 7}
	case h.V6:
		return header
	case kind == unreachable:
		keep = []int{5}
		if code == 4 {
			keep = []int{5, 6, 7}
		}
	case kind == timeExceeded:
		keep = []int{5}
	case kind == parameter:
		keep = []int{4, 5}
	case kind == sourceQuench:
	default:
		return header
	}
	for _, at := range keep {
		out[at] = in[at]
	}
	return header + a.quote(in[header:], out[header:])
}

// quote copies the headers of a quoted packet, and returns how many octets they take.
func (a *Anonymizer) quote(in, out []byte) int {
	if len(in) == 0 {
		return 0
	}
	size, next := 0, byte(0)
	switch in[0] >> 4 {
	case 4:
		size = min(max(int(in[0]&0xf)*4, 20), len(in))
		a.ipv4(in[:size], out[:size])
		if size < 20 || binary.BigEndian.Uint16(in[6:])&0x1fff != 0 {
			return size
		}
		next = in[9]
		fill(in[:size], out[:size], 10, 0, 0, size)
	case 6:
		if size = min(40, len(in)); size < 40 {
			a.ipv6(in[:size], out[:size])
			return size
		}
		next = in[6]
		for size+8 <= len(in) && next != protoTCP {
			n := int(in[size+1])*8 + 8
			if next == protoFragment {
				n = 8
			} else if next == protoAH {
				n = int(in[size+1])*4 + 8
			} else if next != protoHopByHop && next != protoRouting && next != protoDestination && next != protoMobility && next != protoHIP && next != protoShim6 {
				break
			}
			next, size = in[size], min(size+n, len(in))
		}
		a.ipv6(in[:size], out[:size])
	default:
		return 0
	}
	i, o := in[size:], out[size:]
	switch next {
	case protoTCP:
		// Its sum cannot be told right from wrong, nor need it be: it is left out.
		const all = 1 << 16 // what was quoted of it says nothing of its length
		return size + tcp(i, o, all)
	case protoUDP:
		return size + copy(o, i[:min(4, len(i))])
	}
	return size
}
