package capture

import (
	"encoding/binary"
	"fmt"
	"io"
	"math/bits"

	"github.com/tcplife/tcplife/wire"
)

// Magic numbers (draft-ietf-opsawg-pcap section 4 has the first two; the others are
// in files alone, and libpcap and Wireshark read them).
const (
	pcapMagicMicro = 0xa1b2c3d4
	pcapMagicNano  = 0xa1b23c4d
	// Records of more than the usual fields: Alexey Kuznetsov's patches of 1999.
	pcapMagicModified = 0xa1b2cd34
	// Ixia's hardware and software captures: nano- and microseconds, and a file
	// header of four more octets.
	pcapMagicIxiaHW = 0x1c0001ac
	pcapMagicIxiaSW = 0x1c0001ab
)

const (
	pcapHeaderLen = 24
	pcapIxiaExtra = 4  // the length of all records, at the end of Ixia's file header
	pcapRecordLen = 16 // a record without its frame
)

var _ = registerContainer(container{
	name:  "pcap",
	match: func(head []byte) bool { _, _, ok := pcapMagic(head); return ok },
	open:  openPcap,
})

// pcapMagic reads the magic number, in the byte order that it tells.
func pcapMagic(head []byte) (magic uint32, big, ok bool) {
	if len(head) < 4 {
		return 0, false, false
	}
	m := binary.LittleEndian.Uint32(head)
	for range 2 {
		switch m {
		case pcapMagicMicro, pcapMagicNano, pcapMagicModified, pcapMagicIxiaHW, pcapMagicIxiaSW:
			return m, big, true
		}
		m = bits.ReverseBytes32(m)
		big = true
	}
	return 0, false, false
}

// pcapReader reads pcap files (draft-ietf-opsawg-pcap) and their variants.
type pcapReader struct {
	stream
	big bool
	// exchanged tells whether the two lengths stand the other way round.
	exchanged exchange
	link      wire.LinkType
	// head is the length of a record's header.
	head int
	// bound is the longest frame believed in, unit the nanoseconds in a unit of
	// the time stamps' second field, and second how many of them make a second.
	bound, second uint32
	unit          int64
	// at is the time of the frame before, sec the same in whole seconds.
	at  wire.Time
	sec uint32
	// stray: the record at the input's head has a time that is none.
	stray bool
}

// exchange is about the order of the captured length and the length on the wire,
// which version 2.3 turned round: some writers of that version did not.
type exchange uint8

const (
	never exchange = iota
	whenCapturedIsLonger
	always
)

// openPcap reads the file header (draft-ietf-opsawg-pcap section 4).
func openPcap(in *input) (Source, error) {
	p := &pcapReader{stream: newStream(in, "pcap"), head: pcapRecordLen}
	if !in.need(pcapHeaderLen) {
		defer in.Close()
		return nil, p.short(0, "file header", pcapHeaderLen)
	}
	h := in.rest()[:pcapHeaderLen]
	magic, big, _ := pcapMagic(h)
	order := byteOrder(big)
	major, minor := order.Uint16(h[4:]), order.Uint16(h[6:])
	switch {
	case major == 2 && minor == 4:
	case major == 2 && minor == 3:
		p.exchanged = whenCapturedIsLonger
	case major == 2 && minor < 3, major == 543 && minor == 0: // the latter is DG/UX's
		p.exchanged = always
	default:
		in.Close()
		return nil, fmt.Errorf("open %s: pcap of version %d.%d, and only up to 2.4 can be read (the header may be damaged)", in.name, major, minor)
	}
	nano := magic == pcapMagicNano || magic == pcapMagicIxiaHW
	field := order.Uint32(h[20:])
	if magic == pcapMagicMicro && major == 2 && minor == 2 {
		if link, aix := aixLink(field); aix {
			field, nano = link, true
		}
	}
	// The upper half of the field tells the length of the frame check sequence, or
	// is reserved. That sequence stands behind what the packet's own lengths cover.
	p.link = wire.LinkType(field)
	p.big, p.bound, p.unit, p.second = big, frameBound(p.link), 1000, 1e6
	if nano {
		p.unit, p.second = 1, 1e9
	}
	p.addInterface(Interface{Link: p.link, SnapLen: order.Uint32(h[16:]), Resolution: uint64(p.second)})
	skip := pcapHeaderLen
	if magic == pcapMagicIxiaHW || magic == pcapMagicIxiaSW {
		skip += pcapIxiaExtra
		if !in.need(skip) {
			defer in.Close()
			return nil, p.short(0, "file header", int64(skip))
		}
	}
	in.r += skip
	p.recogniseVariant(magic, major == 2 && minor == 4)
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
	if in.w-in.r < p.head && !in.fill(p.head) {
		return p.short(in.offset(), "record header", int64(p.head))
	}
	h := in.buf[in.r : in.r+pcapRecordLen]
	sec, sub := binary.LittleEndian.Uint32(h), binary.LittleEndian.Uint32(h[4:])
	caplen, length := binary.LittleEndian.Uint32(h[8:]), binary.LittleEndian.Uint32(h[12:])
	if p.big {
		sec, sub = bits.ReverseBytes32(sec), bits.ReverseBytes32(sub)
		caplen, length = bits.ReverseBytes32(caplen), bits.ReverseBytes32(length)
	}
	if p.exchanged != never && (p.exchanged == always || caplen > length) {
		caplen, length = length, caplen
	}
	// What is ordinary passes with one look. The differences wrap: an empty
	// frame is as good as one too long, a time before as one far behind.
	if caplen-1 >= p.bound || caplen > length || sub >= p.second || sec-p.sec+neighbourhood > 2*neighbourhood {
		if err := p.doubt(recordHead{sec, sub, caplen, length, p.head + int(min(caplen, p.bound+1))}); err != nil {
			return err
		}
	}
	n := p.head + int(caplen)
	if in.w-in.r < n && !in.fill(n) {
		return p.cut(n, caplen > length)
	}
	p.info.Frames++
	f.ID = wire.FrameID(p.info.Frames)
	if p.stray {
		p.countStray(f.ID)
		p.stray = false
	} else {
		// 32-bit seconds and a 32-bit fraction, even one above a second, always fit.
		p.sec, p.at = sec, wire.Time(int64(sec)*1e9+int64(sub)*p.unit)
	}
	f.At = p.at
	f.Link = p.link
	f.Data = in.buf[in.r+p.head : in.r+n : in.r+n]
	f.Length = wireLength(length, caplen)
	in.r += n
	return nil
}

// doubt judges a record whose header is unusual, which is no error by itself:
// Wireshark and libpcap read times out of order and beyond a second, and frames of
// which more was captured than there was. It returns nil where the record is to be
// taken as it is, otherwise the damage, with the input at the next record.
func (p *pcapReader) doubt(h recordHead) error {
	in := p.in
	at := in.offset()
	switch {
	case h.caplen > p.bound:
		return p.resync(at, tooLong(h.caplen, p.bound), p)
	case h == recordHead{size: p.head}:
		// Zeros: a hole in the file, or an empty frame at the epoch. The hole goes on.
		if !in.need(2*p.head) || !allZero(in.rest()[p.head:2*p.head]) {
			return nil
		}
		return p.resync(at, "zeros, where a record should be", p)
	case in.waits:
		// What follows would have to come first, and the frame may be a good one.
		return nil
	case p.info.Frames == 0 && h.caplen > 0 && h.caplen <= h.length && h.sub < p.second:
		return nil // nothing but a time, and none before
	}
	if !in.need(h.size + p.head) {
		return nil
	}
	next := p.readHead(in.rest()[h.size:])
	broken := next.caplen > p.bound || next == recordHead{size: p.head}
	if !broken && (near(next.sec, h.sec) || near(next.sec, p.sec)) {
		p.stray = p.info.Frames > 0 && p.possible(h) && p.possible(next) && !near(next.sec, h.sec) && !near(p.sec, h.sec) && yetToCome(wire.Time(int64(h.sec)*1e9))
		return nil
	}
	if p.goesOn(h) {
		return nil // a long pause, a time astray, or a frame of nothing
	}
	// Neither this record nor the next is as it should be. If others begin inside of
	// it, it is none; otherwise it may be, unless nothing can follow it.
	if skip := p.recordWithin(p, h.size); skip > 0 {
		in.r += skip
		return p.passedOver(at, "record header that cannot be: "+p.why(h)+", and others begin inside the record", true, "record")
	}
	if broken {
		return p.resync(at, "record header that cannot be: "+p.why(h)+", and no record follows", p)
	}
	return nil
}

// goesOn reports whether the record at the input's head and as many behind it as make
// a find contradict themselves nowhere, or so many as there are.
func (p *pcapReader) goesOn(h recordHead) bool {
	at := 0
	for range chainLen {
		if !p.possible(h) {
			return false
		}
		at += h.size
		if !p.in.need(at + p.head) {
			break
		}
		h = p.readHead(p.in.rest()[at:])
	}
	return h != recordHead{size: p.head} // a hole follows
}

// cut is called when the input ends inside the record at its head. If its header
// contradicts itself the length may be damaged, and other records follow.
func (p *pcapReader) cut(n int, odd bool) error {
	at := p.in.offset()
	if odd && p.in.err == io.EOF && !p.in.closed.Load() && p.findRecord(p) {
		return p.passedOver(at, fmt.Sprintf("record claims %d octets, and the input has only %d more", n, p.in.end()-at), true, "record")
	}
	return p.short(at, "record", int64(n))
}

// why says what is unusual in a header.
func (p *pcapReader) why(h recordHead) string {
	switch {
	case h.sub >= p.second:
		return fmt.Sprintf("%d units of %d in a second", h.sub, p.second)
	case h.caplen > h.length:
		return fmt.Sprintf("%d octets captured of %d", h.caplen, h.length)
	case h.caplen == 0:
		return "nothing captured"
	}
	return fmt.Sprintf("a time of %d s, and %d s before", h.sec, p.sec)
}

func allZero(b []byte) bool {
	for _, c := range b {
		if c != 0 {
			return false
		}
	}
	return true
}

// readHead reads the record header that b begins with.
func (p *pcapReader) readHead(b []byte) recordHead {
	b = b[:pcapRecordLen]
	h := recordHead{
		sec: binary.LittleEndian.Uint32(b), sub: binary.LittleEndian.Uint32(b[4:]),
		caplen: binary.LittleEndian.Uint32(b[8:]), length: binary.LittleEndian.Uint32(b[12:]),
	}
	if p.big {
		h.sec, h.sub = bits.ReverseBytes32(h.sec), bits.ReverseBytes32(h.sub)
		h.caplen, h.length = bits.ReverseBytes32(h.caplen), bits.ReverseBytes32(h.length)
	}
	if p.exchanged == always || p.exchanged == whenCapturedIsLonger && h.caplen > h.length {
		h.caplen, h.length = h.length, h.caplen
	}
	h.size = p.head + int(min(h.caplen, p.bound+1))
	return h
}

func (p *pcapReader) headLen() int { return p.head }

func (p *pcapReader) lengths() (at int, big bool) { return 8, p.big }

// sound reports whether a header found among damaged octets can be one.
func (p *pcapReader) sound(h recordHead) bool {
	return h.sub < p.second && soundLengths(h)
}

// possible reports whether nothing in a header contradicts itself.
func (p *pcapReader) possible(h recordHead) bool {
	return h.sub < p.second && h.caplen <= h.length && h.length <= maxFrame
}

// lastSecond returns the time of the frame before the damage.
func (p *pcapReader) lastSecond() uint32 { return p.sec }

// wireLength returns a frame's length on the wire. A record may claim that more
// was captured than there was (cards that count the frame check sequence on one
// side only): libpcap and Wireshark hand such frames out, and so does this package.
// The octets are there, so they count.
func wireLength(length, caplen uint32) uint32 { return max(length, caplen) }

func tooLong(caplen, bound uint32) string {
	return fmt.Sprintf("record claims %d captured octets, and frames have at most %d", caplen, bound)
}

func byteOrder(big bool) binary.ByteOrder {
	if big {
		return binary.BigEndian
	}
	return binary.LittleEndian
}
