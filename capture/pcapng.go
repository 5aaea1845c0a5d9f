package capture

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/bits"
	"time"

	"github.com/tcplife/tcplife/wire"
)

// Block types (draft-ietf-opsawg-pcapng section 11.1). Those that hold no packet and say
// nothing of interfaces are passed over, as all others.
const (
	blockInterface  = 1
	blockPacket     = 2 // obsolete
	blockSimple     = 3
	blockNames      = 4
	blockStatistics = 5
	blockEnhanced   = 6
	blockJournal    = 9 // of systemd
	blockSecrets    = 10
	blockSection    = 0x0a0d0d0a // the same in both byte orders
	// A custom block, and one that programs which change the file must drop.
	blockCustom       = 0xbad
	blockCustomNoCopy = 0x40000bad
)

// Lengths of blocks without frame and options, in octets; blockMin is that of any.
const (
	blockMin      = 12
	sectionMin    = 28
	interfaceMin  = 20
	simpleMin     = 16
	statisticsMin = 24
	enhancedMin   = 32
	packetFixed   = 28 // of an enhanced or obsolete packet block, before the frame
)

const (
	byteOrderMagic = 0x1a2b3c4d

	// maxSectionInterfaces bounds one section's table; the obsolete packet block's
	// field has the same bound.
	maxSectionInterfaces = 1 << 16
	// maxOptions is the most octets of options that are looked at, as in libpcap
	// and Wireshark. Longer blocks are passed over.
	maxOptions = 16 << 20
)

var _ = registerContainer(container{
	name: "pcapng",
	match: func(head []byte) bool {
		return len(head) >= 4 && binary.BigEndian.Uint32(head) == blockSection
	},
	open: openPcapng,
})

// pcapngReader reads pcapng files (draft-ietf-opsawg-pcapng). It walks the blocks
// by their own lengths; a section's length field is not needed, and often unknown.
//
// A block is handed out or passed over only when both its lengths agree: the
// second one is what tells a block of wrong content, behind which reading goes on,
// from lengths that lead nowhere, behind which the next block is looked for.
type pcapngReader struct {
	stream
	big bool
	// ifaces are the interfaces of this section.
	ifaces []ngInterface
	// version is the section's. In a section of an unknown one unreadable is set:
	// the draft (section 4.1) has its blocks passed over.
	version    string
	unreadable bool
	// opened is set behind the first section's header.
	opened bool
	// unnumbered is set behind damage in which the section may have described
	// interfaces: later descriptions get a number, but not a certain one.
	unnumbered bool
	// last is the time of the frame before, which an untimed frame inherits.
	last wire.Time
}

// ngInterface is what packet blocks need of an interface. It holds no pointers and
// little else, since a section may claim many.
type ngInterface struct {
	clock   clock
	link    wire.LinkType
	snaplen uint32
	bound   uint32
	// listed is the interface's place in Info, or -1.
	listed int32
	// broken stands for a description that could not be read, so that the numbers
	// of those behind it stay right.
	broken bool
	// counted is set by statistics, which know more than lost: the sum of what the
	// packets say was lost before each of them. frames is how many there were.
	counted      bool
	frames, lost uint64
}

// Info adds what the packets say of frames lost.
func (p *pcapngReader) Info() Info {
	p.sumUp()
	return p.stream.Info()
}

// sumUp carries over what the section's packets say of frames lost, where no
// statistics do.
func (p *pcapngReader) sumUp() {
	for k := range p.ifaces {
		if i := &p.ifaces[k]; i.lost > 0 && !i.counted && i.listed >= 0 {
			to := &p.info.Interfaces[i.listed]
			to.Received, to.Dropped, to.Counted = i.frames+i.lost, i.lost, true
		}
	}
}

// openPcapng reads the first section's header. What is wrong with it makes the
// input unreadable from the start.
func openPcapng(in *input) (Source, error) {
	p := &pcapngReader{stream: newStream(in, "pcapng")}
	if !in.need(blockMin) {
		defer in.Close()
		return nil, p.short(0, "section header", sectionMin)
	}
	err := p.section(0)
	if p.unreadable {
		// Nothing of the input could be read: not damage, but a format unknown.
		err = fmt.Errorf("open %s: pcapng of version %s, and only 1.0 can be read (%s)", in.name, p.version, convertFirst)
	}
	if err != nil {
		in.Close()
		return nil, err
	}
	p.opened = true
	return p, nil
}

// Next reads blocks up to the next frame (draft-ietf-opsawg-pcapng section 3.1).
func (p *pcapngReader) Next(f *wire.Frame) error {
	in := p.in
	for {
		if p.over || in.closed.Load() {
			return p.ended()
		}
		if in.w-in.r < blockMin && !in.fill(blockMin) {
			return p.short(in.offset(), "block header", blockMin)
		}
		h := in.buf[in.r : in.r+blockMin]
		typ, total := p.u32(h), p.u32(h[4:])
		var frame bool
		var err error
		switch {
		case typ == blockEnhanced && !p.unreadable:
			frame, err = p.enhanced(f, total)
		case typ == blockSection:
			err = p.section(in.offset())
		case total < blockMin:
			err = p.lost(in.offset(), fmt.Sprintf("block claims a length of %d octets, less than any block has", total))
		case p.unreadable:
			p.passed(typ)
			err = p.pass(total)
		case typ == blockPacket:
			frame, err = p.enhanced(f, total)
		case typ == blockSimple:
			frame, err = p.simple(f, total)
		case typ == blockInterface:
			err = p.describe(total)
		case typ == blockStatistics:
			err = p.statistics(total)
		default:
			p.passed(typ)
			err = p.pass(total)
		}
		if frame || err != nil {
			return err
		}
	}
}

// enhanced reads an enhanced packet block, or an obsolete packet block, which
// differs in its first field only (draft-ietf-opsawg-pcapng section 4.3 and
// appendix A). It reports whether it filled f.
func (p *pcapngReader) enhanced(f *wire.Frame, total uint32) (bool, error) {
	in := p.in
	if total < enhancedMin {
		return false, p.wrong(total, fmt.Sprintf("packet block of %d octets, less than its header", total))
	}
	if !in.need(packetFixed) {
		return false, p.short(in.offset(), "block", int64(total))
	}
	h := in.buf[in.r : in.r+packetFixed]
	id := p.u32(h[8:])
	if p.u32(h) == blockPacket {
		id = uint32(byteOrder(p.big).Uint16(h[8:]))
	}
	stamp := uint64(p.u32(h[12:]))<<32 | uint64(p.u32(h[16:]))
	caplen, length := p.u32(h[20:]), p.u32(h[24:])
	if id >= uint32(len(p.ifaces)) || p.ifaces[id].broken {
		return false, p.wrong(total, fmt.Sprintf("packet of interface %d, which the section has not described", id))
	}
	i := &p.ifaces[id]
	if caplen > total-enhancedMin {
		return false, p.wrong(total, fmt.Sprintf("packet of %d captured octets in a block of %d", caplen, total))
	}
	if caplen > i.bound {
		return false, p.wrong(total, tooLong(caplen, i.bound))
	}
	if total-caplen > maxOptions {
		return false, p.wrong(total, fmt.Sprintf("packet block of %d octets, of which the packet has %d", total, caplen))
	}
	at, possible := i.clock.time(stamp)
	if !possible {
		return false, p.wrong(total, fmt.Sprintf("impossible time: %d units of the interface's clock lie outside the years 1678 to 2262", stamp))
	}
	if err := p.whole(total); err != nil {
		return false, err
	}
	if p.info.Frames > 0 && !nearTime(at, p.last) && yetToCome(at) && p.strayTime(at, int(padded(total))) {
		p.countStray(wire.FrameID(p.info.Frames + 1))
	} else {
		p.last = at
	}
	if options := packetFixed + int(padded(caplen)); int(total)-4-options >= 4 || p.u32(in.buf[in.r:]) == blockPacket {
		i.lost += p.lostBefore(in.buf[in.r:in.r+int(padded(total))-4], options)
	}
	p.handOut(f, i, total, packetFixed, caplen, length)
	return true, nil
}

// strayTime reports whether the packet block at the input's head, of size octets, with a
// time far from that of the frame before, stands alone with it: the packet behind has a
// time near that again, and far from this one.
func (p *pcapngReader) strayTime(at wire.Time, size int) bool {
	in := p.in
	if in.waits || !in.need(size+packetFixed) {
		return false
	}
	h := in.buf[in.r+size : in.r+size+packetFixed]
	if p.u32(h) != blockEnhanced {
		return false
	}
	id := p.u32(h[8:])
	if id >= uint32(len(p.ifaces)) || p.ifaces[id].broken {
		return false
	}
	next, possible := p.ifaces[id].clock.time(uint64(p.u32(h[12:]))<<32 | uint64(p.u32(h[16:])))
	return possible && nearTime(next, p.last) && !nearTime(next, at)
}

// nearTime reports whether two times lie in one neighbourhood.
func nearTime(a, b wire.Time) bool {
	const n = neighbourhood * uint64(time.Second)
	return uint64(a-b)+n <= 2*n // with one look: the sum wraps
}

// lostBefore returns how many frames the interface lost between this packet and the
// one before, from a field of the obsolete packet block or the option epb_dropcount
// (draft-ietf-opsawg-pcapng section 4.3.1). The options begin at the place given.
func (p *pcapngReader) lostBefore(block []byte, options int) uint64 {
	order := byteOrder(p.big)
	if p.u32(block) == blockPacket {
		if n := order.Uint16(block[10:]); n != math.MaxUint16 { // which means unknown
			return uint64(n)
		}
		return 0
	}
	for b := block[min(options, len(block)):]; len(b) >= 4; {
		code, n := order.Uint16(b), int(order.Uint16(b[2:]))
		b = b[4:]
		if code == 0 || n > len(b) {
			return 0
		}
		if code == 4 && n == 8 {
			return order.Uint64(b)
		}
		b = b[min((n+3)&^3, len(b)):]
	}
	return 0
}

// simple reads a simple packet block (draft-ietf-opsawg-pcapng section 4.4). It
// belongs to interface 0, holds as much as that interface's snapshot length lets
// through, and bears no time: its frame gets the time of the frame before, since
// in capture order it cannot be earlier, and 1970 would age every connection by
// decades.
func (p *pcapngReader) simple(f *wire.Frame, total uint32) (bool, error) {
	in := p.in
	if total < simpleMin {
		return false, p.wrong(total, fmt.Sprintf("simple packet block of %d octets, less than its header", total))
	}
	if len(p.ifaces) == 0 || p.ifaces[0].broken {
		return false, p.wrong(total, "simple packet, and the section has not described interface 0")
	}
	i := &p.ifaces[0]
	length := p.u32(in.buf[in.r+8:])
	caplen := length
	if i.snaplen != 0 {
		caplen = min(caplen, i.snaplen)
	}
	if caplen > total-simpleMin {
		return false, p.wrong(total, fmt.Sprintf("simple packet of %d captured octets in a block of %d", caplen, total))
	}
	if caplen > i.bound {
		return false, p.wrong(total, tooLong(caplen, i.bound))
	}
	if total-caplen > maxOptions {
		return false, p.wrong(total, fmt.Sprintf("simple packet block of %d octets, of which the packet has %d", total, caplen))
	}
	if err := p.whole(total); err != nil {
		return false, err
	}
	p.info.Untimed++
	p.handOut(f, i, total, blockMin, caplen, length)
	return true, nil
}

// handOut fills f from the block at the input's head, whose frame begins skip
// octets in.
func (p *pcapngReader) handOut(f *wire.Frame, i *ngInterface, total uint32, skip int, caplen, length uint32) {
	in := p.in
	i.frames++
	p.info.Frames++
	f.ID = wire.FrameID(p.info.Frames)
	f.At = p.last
	f.Link = i.link
	from := in.r + skip
	to := from + int(caplen)
	f.Data = in.buf[from:to:to]
	f.Length = wireLength(length, caplen)
	in.r += int(padded(total))
}

// section reads a section header block (draft-ietf-opsawg-pcapng section 4.1). It
// may change the byte order, so nothing in it is read before the magic number.
func (p *pcapngReader) section(at int64) error {
	in := p.in
	switch magic := in.buf[in.r+8:]; {
	case binary.LittleEndian.Uint32(magic) == byteOrderMagic:
		p.big = false
	case binary.BigEndian.Uint32(magic) == byteOrderMagic:
		p.big = true
	default:
		what := fmt.Sprintf("section header whose byte order magic is %x", magic[:4])
		if !p.opened {
			return p.fatal(at, what, binaryMode)
		}
		return p.lost(at, what)
	}
	total := p.u32(in.buf[in.r+4:])
	if total < sectionMin {
		return p.lost(at, fmt.Sprintf("section header of %d octets, less than it needs", total))
	}
	if !in.need(sectionMin) {
		return p.short(at, "section header", int64(total))
	}
	order := byteOrder(p.big)
	major, minor := order.Uint16(in.buf[in.r+12:]), order.Uint16(in.buf[in.r+14:])
	p.sumUp()
	p.ifaces, p.unnumbered = p.ifaces[:0], false
	// Writers of 1.2 exist; the draft has it read as 1.0.
	p.unreadable = major != 1 || minor != 0 && minor != 2
	p.version = fmt.Sprintf("%d.%d", major, minor)
	if err := p.pass(total); err != nil {
		return err
	}
	if p.unreadable {
		return p.damage(at, "section of pcapng version "+p.version+", and only 1.0 can be read: passed over", convertFirst, nil)
	}
	return nil
}

// describe reads an interface description block (draft-ietf-opsawg-pcapng section
// 4.2).
func (p *pcapngReader) describe(total uint32) error {
	in := p.in
	at := in.offset()
	if len(p.ifaces) == maxSectionInterfaces {
		return p.wrong(total, fmt.Sprintf("section with more than %d interfaces", maxSectionInterfaces))
	}
	if p.unnumbered {
		p.ifaces = append(p.ifaces, ngInterface{broken: true})
		return p.wrong(total, "description of an interface behind damage that may have held others: its number is not known")
	}
	if total < interfaceMin || total > maxOptions {
		p.ifaces = append(p.ifaces, ngInterface{broken: true})
		return p.wrong(total, fmt.Sprintf("description of interface %d in a block of %d octets", len(p.ifaces)-1, total))
	}
	if err := p.whole(total); err != nil {
		return err
	}
	order := byteOrder(p.big)
	b := in.buf[in.r : in.r+int(padded(total))-4]
	in.r += int(padded(total))
	link, snaplen := wire.LinkType(order.Uint16(b[8:])), order.Uint32(b[12:])
	i := Interface{Link: link, SnapLen: snaplen}
	resolution, offset := byte(6), int64(0)
	ok := p.options(b[16:], func(code uint16, v []byte) {
		switch {
		case code == 2:
			i.Name = optionText(v)
		case code == 3:
			i.Description = optionText(v)
		case code == 9 && len(v) >= 1:
			resolution = v[0]
		case code == 14 && len(v) >= 8:
			offset = int64(order.Uint64(v))
		}
	})
	c := newClock(resolution, offset)
	i.Resolution = c.perSecond()
	p.ifaces = append(p.ifaces, ngInterface{
		clock: c, link: link, snaplen: snaplen, bound: frameBound(link), listed: int32(p.addInterface(i)),
	})
	if !ok {
		// The link type stands before the options, so the frames are readable.
		return p.damage(at, fmt.Sprintf("option of interface %d longer than its block", len(p.ifaces)-1), "", nil)
	}
	return nil
}

// statistics reads an interface statistics block (draft-ietf-opsawg-pcapng section
// 4.6). Its counters run from the start of the capture, so the last one counts.
// Frames that the interface and that the operating system dropped are both missing.
func (p *pcapngReader) statistics(total uint32) error {
	in := p.in
	if total < statisticsMin || total > maxOptions {
		return p.wrong(total, fmt.Sprintf("interface statistics in a block of %d octets", total))
	}
	if err := p.whole(total); err != nil {
		return err
	}
	order := byteOrder(p.big)
	at := in.offset()
	b := in.buf[in.r : in.r+int(padded(total))-4]
	in.r += int(padded(total))
	id := order.Uint32(b[8:])
	var received, ifdrop, osdrop uint64
	counted := false
	ok := p.options(b[20:], func(code uint16, v []byte) {
		if len(v) < 8 {
			return
		}
		n := order.Uint64(v)
		switch code {
		case 4:
			received, counted = n, true
		case 5:
			ifdrop, counted = n, true
		case 7:
			osdrop, counted = n, true
		}
	})
	if !ok {
		return p.damage(at, "option of interface statistics longer than their block", "", nil)
	}
	if id >= uint32(len(p.ifaces)) || p.ifaces[id].listed < 0 || p.ifaces[id].broken {
		// No frame is lost with them, and libpcap and Wireshark are silent too.
		p.passed(blockStatistics)
		return nil
	}
	if i := &p.info.Interfaces[p.ifaces[id].listed]; counted {
		p.ifaces[id].counted = true
		i.Received, i.Dropped, i.Counted = received, ifdrop+osdrop, true
	}
	return nil
}

// whole makes the block at the input's head available and checks its second
// length. total must be bounded.
func (p *pcapngReader) whole(total uint32) error {
	in := p.in
	n := int(padded(total))
	if in.w-in.r < n && !in.fill(n) {
		return p.cut(total)
	}
	if second := p.u32(in.buf[in.r+n-4:]); second != total {
		return p.disagree(in.offset(), total, second)
	}
	return nil
}

// pass consumes the block at the input's head. One that the buffer holds anyhow is
// looked at as a whole first, so that if its length is damaged nothing behind its
// begin is lost; of a longer one nothing is kept.
func (p *pcapngReader) pass(total uint32) error {
	in := p.in
	at := in.offset()
	if total > blockMax || total > maxOptions && !known(p.u32(in.buf[in.r:])) {
		return p.lost(at, fmt.Sprintf("block claims %d octets, more than any block has", total))
	}
	if total <= bufferSize {
		if err := p.whole(total); err != nil {
			return err
		}
		in.r += int(padded(total))
		return nil
	}
	if !in.skip(int64(padded(total))-4) || !in.need(4) {
		return p.short(at, "block", int64(total))
	}
	if second := p.u32(in.buf[in.r:]); second != total {
		return p.disagree(at, total, second)
	}
	in.r += 4
	return nil
}

// wrong passes a block of wrong content over, and reports it.
func (p *pcapngReader) wrong(total uint32, what string) error {
	at := p.in.offset()
	if total < blockMin {
		return p.lost(at, what)
	}
	if err := p.pass(total); err != nil {
		return err
	}
	return p.damage(at, what, "", nil)
}

func (p *pcapngReader) disagree(at int64, first, second uint32) error {
	return p.lost(at, fmt.Sprintf("block claims %d octets at its begin and %d at its end", first, second))
}

// padded rounds a block's length up to whole words. The draft (section 3.1) wants
// it so in the file; some writers forget to, yet pad, and Wireshark reads them.
func padded(total uint32) int64 { return (int64(total) + 3) &^ 3 }

// options calls visit for each option in b (draft-ietf-opsawg-pcapng section 3.5),
// and reports whether all of them lay inside it. The closing option may be absent.
func (p *pcapngReader) options(b []byte, visit func(code uint16, value []byte)) bool {
	order := byteOrder(p.big)
	for len(b) >= 4 {
		code, n := order.Uint16(b), int(order.Uint16(b[2:]))
		b = b[4:]
		if code == 0 {
			return true
		}
		if n > len(b) {
			return false
		}
		visit(code, b[:n])
		b = b[min((n+3)&^3, len(b)):]
	}
	return len(b) == 0
}

func (p *pcapngReader) u32(b []byte) uint32 {
	v := binary.LittleEndian.Uint32(b)
	if p.big {
		return bits.ReverseBytes32(v)
	}
	return v
}
