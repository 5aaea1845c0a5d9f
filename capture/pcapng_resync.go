package capture

import (
	"encoding/binary"
	"fmt"
	"io"
)

// damagedLength is the remedy for an input whose first block leads nowhere.
const damagedLength = "the length is damaged; " + lostHere

const (
	// findMax is the longest block that is looked for among damaged octets: a frame
	// of the largest size, and as many octets of options as one option can have.
	findMax = maxFrame + 64<<10
	// blockMax is the longest block believed in: the largest message with all the
	// options that are looked at. The draft has no bound, but a length beyond that is
	// a damaged one, as is in a block of unknown type one beyond maxOptions: libpcap
	// reads no longer blocks of any type.
	blockMax = maxHugeFrame + maxOptions + enhancedMin
)

// lost passes over what follows the offset at, where no block can be read, up to
// the next one that can.
func (p *pcapngReader) lost(at int64, what string) error {
	if !p.opened {
		return p.fatal(at, what, damagedLength)
	}
	found := p.findBlock()
	p.hole(p.in.offset() - at)
	return p.passedOver(at, what, found, "block")
}

// hole notes that octets of the section were passed over. If an interface may have
// been described among them, those behind them cannot be numbered any more.
func (p *pcapngReader) hole(octets int64) {
	if octets >= interfaceMin {
		p.unnumbered = true
	}
}

// cut is called when the input ends inside the block at its head: because its length
// is damaged, or because the input is cut off. The former shows by blocks that
// follow.
func (p *pcapngReader) cut(total uint32) error {
	at := p.in.offset()
	if p.opened && p.in.err == io.EOF && !p.in.closed.Load() && p.findBlock() {
		p.hole(p.in.offset() - at)
		what := fmt.Sprintf("block claims %d octets, and the input has only %d more", total, p.in.end()-at)
		return p.passedOver(at, what, true, "block")
	}
	return p.short(at, "block", int64(total))
}

// findBlock brings the input to the next place where a block begins whose two
// lengths agree and which another one follows, or the end. Two equal lengths at
// their places and a type out of ten are never found by chance; a pcapng file that
// somebody copies over a captured connection is the one thing that has them.
func (p *pcapngReader) findBlock() bool {
	in := p.in
	in.r++
	for in.need(blockMin) {
		for ; in.w-in.r >= blockMin; in.r++ {
			if p.blockHere() {
				return true
			}
		}
	}
	return false
}

func (p *pcapngReader) blockHere() bool {
	in := p.in
	h := in.buf[in.r : in.r+blockMin]
	order := byteOrder(p.big)
	least := uint32(blockMin)
	typ := p.u32(h)
	switch typ {
	case blockSection:
		least = sectionMin
		switch magic := h[8:]; {
		case binary.LittleEndian.Uint32(magic) == byteOrderMagic:
			order = binary.LittleEndian
		case binary.BigEndian.Uint32(magic) == byteOrderMagic:
			order = binary.BigEndian
		default:
			return false
		}
	case blockInterface:
		least = interfaceMin
	case blockSimple:
		least = simpleMin
	case blockStatistics:
		least = statisticsMin
	case blockEnhanced, blockPacket:
		least = enhancedMin
	default:
		if !known(typ) {
			return false
		}
	}
	total := order.Uint32(h[4:])
	if total < least || total%4 != 0 || total > findMax || !in.need(int(total)) {
		return false
	}
	b := in.rest()
	if order.Uint32(b[total-4:]) != total {
		return false
	}
	if typ == blockEnhanced || typ == blockPacket {
		if caplen := order.Uint32(b[20:]); caplen > total-enhancedMin {
			return false
		}
	}
	if !in.need(int(total) + 8) {
		return true // the end, or what is left of a block
	}
	next := in.rest()[total:]
	n := order.Uint32(next[4:])
	return binary.BigEndian.Uint32(next) == blockSection || n >= blockMin && n <= blockMax && n%4 == 0
}

// known reports whether typ is one of the draft's blocks.
func known(typ uint32) bool {
	switch typ {
	case blockSection, blockInterface, blockPacket, blockSimple, blockNames, blockStatistics, blockEnhanced,
		blockJournal, blockSecrets, blockCustom, blockCustomNoCopy:
		return true
	}
	return false
}
