package capture

import "github.com/tcplife/tcplife/wire"

// Variants of pcap whose records have more fields than the format's, and which the
// file header does not tell apart. The names are those of the patches to libpcap.
type pcapVariant struct {
	name string
	// head is the length of a record's header: the usual 16 octets come first.
	head int
	// fields reports whether the octets behind those can be what the variant has
	// there.
	fields func(p *pcapReader, b []byte) bool
}

var (
	pcapPlain = pcapVariant{"pcap", pcapRecordLen, func(*pcapReader, []byte) bool { return true }}
	// Red Hat 6.1: the number of the interface, the protocol and the kind of packet.
	pcapSS990417 = pcapVariant{"ss990417", 24, (*pcapReader).linuxFields}
	pcapNokia    = pcapVariant{"Nokia", 20, (*pcapReader).nokiaField}
	// The same fields as in ss990417, under the modified magic.
	pcapSS991029 = pcapVariant{"ss991029", 24, (*pcapReader).linuxFields}
	// SuSE 6.3: four octets more, of no use.
	pcapSS990915 = pcapVariant{"ss990915", 28, (*pcapReader).linuxFields}
)

// linuxFields looks at an interface number, a protocol and a kind of packet, as
// Linux had them in 1999: few interfaces; an Ethertype or one of the values of
// if_ether.h below them; and kinds from "to us" to "outgoing".
func (p *pcapReader) linuxFields(b []byte) bool {
	order := byteOrder(p.big)
	ifindex, protocol, kind := order.Uint32(b), order.Uint16(b[4:]), b[6]
	known := protocol >= 0x0600 || protocol <= 0x17 || protocol == 0x60 || protocol == 0x200 || protocol == 0x400
	return ifindex <= 10000 && known && kind <= 4
}

// nokiaField looks at a field that nobody has explained, for the values that it was
// seen to have, and for the zero that Wireshark writes.
func (p *pcapReader) nokiaField(b []byte) bool {
	v := byteOrder(p.big).Uint32(b)
	in := func(mask, one, other uint32) bool { return v&mask == one || v&mask == other }
	return v == 0 || v&0x0fff00f0 == 0x0fbf0000 && in(0xf0000000, 0x90000000, 0xb0000000) && in(0xf000, 0xb000, 0xd000) && in(0xf00, 0x600, 0x900) && in(0xf, 1, 2)
}

// variantRecords is how many records are read each way to tell variants apart, as
// many as Wireshark reads. The first header is the same in all of them; the second
// one stands elsewhere.
const variantRecords = 3

// recogniseVariant chooses the way to read the records in which nothing is wrong, the
// plain one before the others, and the plain one if something is wrong in all: a
// damaged capture is likelier than one from the last century. On a pipe it would have
// to wait for the records, and hold back a frame of every capture for the sake of
// those few: there only the modified magic, which has no plain form, is worth it.
func (p *pcapReader) recogniseVariant(magic uint32, current bool) {
	var variants []pcapVariant
	switch {
	case magic == pcapMagicModified:
		variants = []pcapVariant{pcapSS991029, pcapSS990915}
	case magic == pcapMagicMicro && current && !p.in.waits:
		variants = []pcapVariant{pcapPlain, pcapSS990417, pcapNokia}
	default:
		return
	}
	p.head = variants[0].head
	for _, v := range variants {
		if p.faultless(v) {
			p.head = v.head
			return
		}
	}
}

// faultless reports whether nothing is wrong in the first records when they are read
// as v's. Where the input is cut off nothing is known; that is wrong for all but the
// plain form.
func (p *pcapReader) faultless(v pcapVariant) bool {
	in := p.in
	head := p.head
	defer func() { p.head = head }()
	p.head = v.head
	snaplen := p.info.Interfaces[0].SnapLen
	var before recordHead
	at := 0
	for i := range variantRecords {
		if !in.need(at + v.head) {
			return in.w-in.r == at || v.head == pcapRecordLen
		}
		b := in.rest()[at:]
		h := p.readHead(b)
		if h.sub >= p.second || h.caplen > p.bound || h.caplen > h.length || h.length > maxHugeFrame ||
			snaplen != 0 && h.caplen > snaplen || i > 0 && !near(h.sec, before.sec) || !v.fields(p, b[pcapRecordLen:v.head]) {
			return false
		}
		if h.caplen > maxFrame {
			return true // a message so long that the next one is too far away to be looked at
		}
		at += h.size
		before = h
	}
	return true
}

// aixLink maps the interface types (RFC 1573's ifType) that AIX writes into the
// header of a file of version 2.2, and reports whether field is one of those. That
// they are no link types of their own time is all that tells AIX from an old
// libpcap: 9 is taken for a token ring and not for PPP, as in Wireshark.
func aixLink(field uint32) (link uint32, aix bool) {
	switch field {
	case 6:
		return uint32(wire.LinkEthernet), true
	case 9:
		return linkTokenRing, true
	case 15:
		return linkFDDI, true
	case 24:
		return uint32(wire.LinkNull), true
	}
	return field, false
}

// Link types that package wire has no decoder for; their frames are counted as
// skipped.
const (
	linkTokenRing = 6
	linkFDDI      = 10
)
