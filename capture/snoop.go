package capture

import (
	"encoding/binary"
	"fmt"

	"github.com/tcplife/tcplife/wire"
)

const (
	snoopMagic     = "snoop\x00\x00\x00"
	snoopHeaderLen = 16
	snoopRecordLen = 24 // a record without its frame and padding
	// snoopPadMax is the most padding believed in. RFC 1761 rounds up to four
	// octets; Surveyor puts 16 octets of its own there, others up to six.
	snoopPadMax = 64
)

var _ = registerContainer(container{
	name:  "snoop",
	match: func(head []byte) bool { return len(head) >= 8 && string(head[:8]) == snoopMagic },
	open:  openSnoop,
})

// snoopReader reads snoop files (RFC 1761), as Solaris and illumos write them.
type snoopReader struct {
	stream
	link wire.LinkType
	sec  uint32
}

// snoopLinks maps data link types (RFC 1761, and later ones that IANA lists) to link
// types of pcap whose frames are the same.
var snoopLinks = map[uint32]wire.LinkType{
	0:          wire.LinkEthernet, // IEEE 802.3
	2:          linkTokenRing,
	4:          wire.LinkEthernet,
	8:          linkFDDI,
	9:          wire.LinkNull, // "other": the loopback interface of UNICOS
	14:         wire.LinkNull,
	18:         linkSunATM,
	0x80000005: linkIPNet, // illumos' loopback and zones
}

// surveyorLinks are the ones that Shomiti's and Finisar's Surveyor means by numbers
// that elsewhere have another meaning: Ethernet at other speeds.
var surveyorLinks = map[uint32]wire.LinkType{
	10: wire.LinkEthernet,
	12: wire.LinkEthernet,
	19: wire.LinkEthernet,
}

const (
	linkSunATM wire.LinkType = 123
	linkIPNet  wire.LinkType = 226
)

// openSnoop reads the file header (RFC 1761, "File Format").
func openSnoop(in *input) (Source, error) {
	s := &snoopReader{stream: newStream(in, "snoop")}
	if !in.need(snoopHeaderLen) {
		defer in.Close()
		return nil, s.short(0, "file header", snoopHeaderLen)
	}
	h := in.rest()
	version, datalink := binary.BigEndian.Uint32(h[8:]), binary.BigEndian.Uint32(h[12:])
	// 3 to 5 are Surveyor's, by the hardware that it captured with.
	if version < 2 || version > 5 {
		in.Close()
		return nil, fmt.Errorf("open %s: snoop of version %d, and only 2 to 5 can be read (the header may be damaged)", in.name, version)
	}
	link, known := snoopLinks[datalink]
	if !known {
		link, known = surveyorLinks[datalink]
		known = known && s.surveyor()
	}
	if !known {
		in.Close()
		return nil, fmt.Errorf("open %s: snoop of data link type %d, which tcplife does not know (if Wireshark opens it, %s)", in.name, datalink, convertFirst)
	}
	s.link = link
	s.addInterface(Interface{Link: link, Resolution: 1e6})
	in.r += snoopHeaderLen
	return s, nil
}

// surveyor reports whether Surveyor wrote the capture: the first record then has 16
// octets or more behind the frame.
func (s *snoopReader) surveyor() bool {
	in := s.in
	if !in.need(snoopHeaderLen + snoopRecordLen) {
		return false
	}
	h := s.readHead(in.rest()[snoopHeaderLen:])
	return h.size >= snoopRecordLen+int(min(h.caplen, maxFrame))+16
}

// Next reads one record (RFC 1761, "Packet Record Format").
func (s *snoopReader) Next(f *wire.Frame) error {
	if s.over || s.in.closed.Load() {
		return s.ended()
	}
	in := s.in
	if in.w-in.r < snoopRecordLen && !in.fill(snoopRecordLen) {
		return s.short(in.offset(), "record header", snoopRecordLen)
	}
	h := s.readHead(in.buf[in.r:in.w])
	if h.caplen > maxFrame {
		return s.resync(in.offset(), tooLong(h.caplen, maxFrame), s)
	}
	if pad := h.size - snoopRecordLen - int(h.caplen); pad < 0 || pad > snoopPadMax {
		return s.resync(in.offset(), fmt.Sprintf("record of %d octets, of which the frame has %d", h.size, h.caplen), s)
	}
	drops := binary.BigEndian.Uint32(in.buf[in.r+12:])
	if in.w-in.r < h.size && !in.fill(h.size) {
		return s.short(in.offset(), "record", int64(h.size))
	}
	s.info.Frames++
	s.sec = h.sec
	f.ID = wire.FrameID(s.info.Frames)
	f.At = wire.Time(int64(h.sec)*1e9 + int64(h.sub)*1e3)
	f.Link = s.link
	from := in.r + snoopRecordLen
	to := from + int(h.caplen)
	f.Data = in.buf[from:to:to]
	f.Length = wireLength(h.length, h.caplen)
	in.r += h.size
	if i := &s.info.Interfaces[0]; drops > 0 {
		// A count of all that were lost up to this record.
		i.Received, i.Dropped, i.Counted = s.info.Frames+uint64(drops), uint64(drops), true
	}
	return nil
}

func (s *snoopReader) headLen() int { return snoopRecordLen }

func (s *snoopReader) lengths() (at int, big bool) { return 0, true }

// readHead reads the record header that b begins with; size is what the record says
// of itself.
func (s *snoopReader) readHead(b []byte) recordHead {
	b = b[:snoopRecordLen]
	return recordHead{
		length: binary.BigEndian.Uint32(b), caplen: binary.BigEndian.Uint32(b[4:]),
		size: int(min(binary.BigEndian.Uint32(b[8:]), 2*maxFrame)),
		sec:  binary.BigEndian.Uint32(b[16:]), sub: binary.BigEndian.Uint32(b[20:]),
	}
}

// sound reports whether a header found among damaged octets can be one.
func (s *snoopReader) sound(h recordHead) bool {
	pad := h.size - snoopRecordLen - int(min(h.caplen, maxFrame))
	return soundLengths(h) && pad >= 0 && pad <= snoopPadMax && h.sub < 1e6
}

func (s *snoopReader) lastSecond() uint32 { return s.sec }
