package wire

import "encoding/binary"

// Option kinds, as IANA numbers them.
const (
	kindEnd         = 0
	kindNop         = 1
	kindMSS         = 2
	kindWindowScale = 3
	kindSACKPerm    = 4
	kindSACK        = 5
	kindTimestamps  = 8
	kindCC          = 11
	kindCCNew       = 12
	kindCCEcho      = 13
	kindMD5         = 19
	kindUserTimeout = 28
	kindAO          = 29
	kindMPTCP       = 30
	kindFastOpen    = 34
	kindExperiment1 = 253
	kindExperiment2 = 254
)

// fastOpenMagic marks Fast Open among the experimental options (RFC 7413
// section 4.1.1, RFC 6994).
const fastOpenMagic = 0xf989

// parse decodes the options in b, the captured part of length octets.
//
// An option whose length does not fit its kind is passed over and the rest is
// read, as receivers do; a length that leads out of the header ends the options.
// Of a kind that comes twice the last counts, again as receivers do; for MPTCP,
// where several options are usual, the first gives the subtype.
func (o *Options) parse(b []byte, length uint32) {
	left := int(length) // octets up to the header's end, captured or not
	// Senders fill whole words, and nearly all of them in these ways. Where another one
	// stands each goes on, which would have said the same of those before.
words:
	for len(b) >= 4 {
		n := 4
		switch w := binary.BigEndian.Uint32(b); {
		case w>>16 == kindMSS<<8|4:
			o.MSS = uint16(w)
			o.Set |= OptMSS
		case w>>8 == kindNop<<16|kindWindowScale<<8|3:
			o.WindowScale = uint8(w)
			o.Set |= OptWindowScale
		case w&0xffff == kindTimestamps<<8|10 && len(b) >= 12 && (w>>16 == kindNop<<8|kindNop || w>>16 == kindSACKPerm<<8|2):
			if w>>24 == kindSACKPerm {
				o.Set |= OptSACKPerm
			}
			o.TSVal, o.TSEcr = binary.BigEndian.Uint32(b[4:]), binary.BigEndian.Uint32(b[8:])
			o.Set |= OptTimestamps
			n = 12
		case w == kindNop<<24|kindNop<<16|kindSACKPerm<<8|2:
			o.Set |= OptSACKPerm
		default:
			break words
		}
		b = b[n:]
		left -= n
	}
	if left > 0 {
		o.each(b, left)
	}
}

// each is parse for options that stand anyhow, one octet after the other. left is how many
// there are, captured or not.
func (o *Options) each(b []byte, left int) {
	// Where the options end early decides whose fault a missing octet is.
	lost := OptDamaged
	if len(b) < left {
		lost = OptCut
	}
	for len(b) > 0 {
		kind := b[0]
		if kind == kindEnd {
			return
		}
		if kind == kindNop {
			b = b[1:]
			left--
			continue
		}
		if len(b) < 2 {
			o.Set |= lost
			return
		}
		n := int(b[1])
		if n < 2 || n > left {
			o.Set |= OptDamaged
			return
		}
		if n > len(b) {
			o.Set |= OptCut
			return
		}
		o.Set |= o.option(kind, b[2:n])
		b = b[n:]
		left -= n
	}
	if left > 0 {
		o.Set |= OptCut
	}
}

// option decodes one option from its octets after kind and length, and returns
// the bit to set for it.
func (o *Options) option(kind byte, b []byte) OptionSet {
	switch kind {
	case kindMSS:
		if len(b) == 2 {
			o.MSS = binary.BigEndian.Uint16(b)
			return OptMSS
		}
	case kindWindowScale:
		if len(b) == 1 {
			o.WindowScale = b[0]
			return OptWindowScale
		}
	case kindSACKPerm:
		if len(b) == 0 {
			return OptSACKPerm
		}
	case kindSACK:
		return o.sack(b)
	case kindTimestamps:
		if len(b) == 8 {
			o.TSVal = binary.BigEndian.Uint32(b)
			o.TSEcr = binary.BigEndian.Uint32(b[4:])
			return OptTimestamps
		}
	case kindCC:
		if len(b) == 4 {
			return OptCC
		}
	case kindCCNew:
		if len(b) == 4 {
			return OptCCNew
		}
	case kindCCEcho:
		if len(b) == 4 {
			return OptCCEcho
		}
	case kindMD5:
		if len(b) == 16 {
			return OptMD5
		}
	case kindUserTimeout:
		if len(b) == 2 {
			o.UserTimeout = binary.BigEndian.Uint16(b)
			return OptUserTimeout
		}
	case kindAO:
		if len(b) >= 2 {
			return OptAO
		}
	case kindMPTCP:
		if len(b) >= 1 {
			if !o.Set.Has(OptMPTCP) {
				o.MPTCPSubtype = b[0] >> 4
			}
			return OptMPTCP
		}
	case kindFastOpen:
		return o.fastOpen(b)
	case kindExperiment1, kindExperiment2:
		if len(b) >= 2 && binary.BigEndian.Uint16(b) == fastOpenMagic {
			return o.fastOpen(b[2:])
		}
		return OptOther
	default:
		return OptOther
	}
	return OptDamaged
}

// maxSACKs is how many blocks the longest header has room for.
const maxSACKs = 4

// sack decodes the blocks of a SACK option (RFC 2018 section 3). One without a
// block says nothing and is damage.
func (o *Options) sack(b []byte) OptionSet {
	if len(b) == 0 || len(b)%8 != 0 {
		return OptDamaged
	}
	o.SACKs = uint8(min(len(b)/8, maxSACKs))
	o.SACK = [2]SACKBlock{}
	for i := range min(len(b)/8, len(o.SACK)) {
		o.SACK[i] = SACKBlock{
			Left:  Seq(binary.BigEndian.Uint32(b[8*i:])),
			Right: Seq(binary.BigEndian.Uint32(b[8*i+4:])),
		}
	}
	return OptSACK
}

// fastOpen decodes a Fast Open cookie: none, or an even number of octets from 4
// to 16 (RFC 7413 section 4.1.1).
func (o *Options) fastOpen(cookie []byte) OptionSet {
	n := len(cookie)
	if n != 0 && (n < 4 || n > 16 || n%2 != 0) {
		return OptDamaged
	}
	o.FastOpenLen = uint8(n)
	return OptFastOpen
}

// DSACK reports whether the first SACK block tells of octets that came twice
// (RFC 2883 section 4): it begins below the acknowledgment, or lies inside the
// second block.
func (s *Segment) DSACK() bool {
	o := &s.Options
	if !o.Set.Has(OptSACK) || o.SACKs == 0 || !s.Flags.Has(ACK) {
		return false
	}
	first := o.SACK[0]
	if !first.Left.Before(first.Right) {
		return false
	}
	if first.Left.Before(s.Ack) {
		return true
	}
	second := o.SACK[1]
	return o.SACKs > 1 && !first.Left.Before(second.Left) && !first.Right.After(second.Right)
}
