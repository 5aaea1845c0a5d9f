package capture

import (
	"encoding/binary"
	"fmt"
	"math/bits"

	"github.com/tcplife/tcplife/wire"
)

const (
	pcapMagicMicro = 0xa1b2c3d4
	pcapMagicNano  = 0xa1b23c4d

	pcapHeaderLen = 24
	pcapRecordLen = 16 // a record without its frame
)

var _ = registerContainer(container{
	name:  "pcap",
	match: func(head []byte) bool { _, _, ok := pcapMagic(head); return ok },
	open:  openPcap,
})

// pcapMagic reads the magic number (draft-ietf-opsawg-pcap section 4): it tells
// the byte order and the unit of the time stamps.
func pcapMagic(head []byte) (big, nano, ok bool) {
	if len(head) < 4 {
		return false, false, false
	}
	m := binary.LittleEndian.Uint32(head)
	if m != pcapMagicMicro && m != pcapMagicNano {
		m = bits.ReverseBytes32(m)
		big = true
	}
	return big, m == pcapMagicNano, m == pcapMagicMicro || m == pcapMagicNano
}

// pcapReader reads pcap files (draft-ietf-opsawg-pcap).
type pcapReader struct {
	stream
	big  bool
	link wire.LinkType
	// bound is the longest frame believed in, unit the nanoseconds in a unit of
	// the time stamps' second field.
	bound uint32
	unit  int64
}

// openPcap reads the file header (draft-ietf-opsawg-pcap section 4).
func openPcap(in *input) (Source, error) {
	p := &pcapReader{stream: newStream(in, "pcap")}
	if !in.need(pcapHeaderLen) {
		defer in.Close()
		return nil, p.short(0, "file header", pcapHeaderLen)
	}
	h := in.rest()[:pcapHeaderLen]
	big, nano, _ := pcapMagic(h)
	order := byteOrder(big)
	if major, minor := order.Uint16(h[4:]), order.Uint16(h[6:]); major != 2 || minor != 4 {
		in.Close()
		remedy := convertFirst
		if major > 2 {
			remedy = "the header may be damaged"
		}
		return nil, fmt.Errorf("open %s: pcap of version %d.%d, and only 2.4 can be read (%s)", in.name, major, minor, remedy)
	}
	// The upper half of the field tells the length of the frame check sequence, or
	// is reserved.
	p.link = wire.LinkType(order.Uint32(h[20:]))
	p.big, p.bound, p.unit = big, frameBound(p.link), 1000
	i := Interface{Link: p.link, SnapLen: order.Uint32(h[16:]), Resolution: 1e6}
	if nano {
		p.unit, i.Resolution = 1, 1e9
	}
	p.addInterface(i)
	in.r += pcapHeaderLen
	return p, nil
}

// Next reads one record (draft-ietf-opsawg-pcap section 5). The header's snapshot
// length is no bound: some writers exceed what they declare (dpkt), and Wireshark
// reads them.
func (p *pcapReader) Next(f *wire.Frame) error {
	if p.over || p.in.closed.Load() {
		return p.ended()
	}
	in := p.in
	if in.w-in.r < pcapRecordLen && !in.fill(pcapRecordLen) {
		return p.short(in.offset(), "record header", pcapRecordLen)
	}
	h := in.buf[in.r : in.r+pcapRecordLen]
	sec, sub := binary.LittleEndian.Uint32(h), binary.LittleEndian.Uint32(h[4:])
	caplen, length := binary.LittleEndian.Uint32(h[8:]), binary.LittleEndian.Uint32(h[12:])
	if p.big {
		sec, sub = bits.ReverseBytes32(sec), bits.ReverseBytes32(sub)
		caplen, length = bits.ReverseBytes32(caplen), bits.ReverseBytes32(length)
	}
	if caplen > p.bound {
		return p.fatal(in.offset(), tooLong(caplen, p.bound), damagedLength)
	}
	n := pcapRecordLen + int(caplen)
	if in.w-in.r < n && !in.fill(n) {
		return p.short(in.offset(), "record", int64(n))
	}
	p.info.Frames++
	f.ID = wire.FrameID(p.info.Frames)
	// 32-bit seconds and a 32-bit fraction, even one above a second, always fit.
	f.At = wire.Time(int64(sec)*1e9 + int64(sub)*p.unit)
	f.Link = p.link
	f.Data = in.buf[in.r+pcapRecordLen : in.r+n : in.r+n]
	f.Length = wireLength(length, caplen)
	in.r += n
	return nil
}

// wireLength returns a frame's length on the wire. A record may claim that more
// was captured than there was (cards that count the frame check sequence on one
// side only): libpcap and Wireshark hand such frames out, and so does this package.
// The octets are there, so they count.
func wireLength(length, caplen uint32) uint32 { return max(length, caplen) }

const damagedLength = "the length is damaged; what follows cannot be found"

func tooLong(caplen, bound uint32) string {
	return fmt.Sprintf("record claims %d captured octets, and frames have at most %d", caplen, bound)
}

func byteOrder(big bool) binary.ByteOrder {
	if big {
		return binary.BigEndian
	}
	return binary.LittleEndian
}
