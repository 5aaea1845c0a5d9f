package wire

import "encoding/binary"

var (
	_ = readsUDP(sflowLeast, readSFlow, 6343)
	_ = bundled(protoSFlow, partSFlow)
)

const (
	sflowLeast     = 28 // with an IPv4 address
	sbeforeRecords = 8  // a sample's or record's format and length
)

// readSFlow reads a datagram's header (sFlow version 5, sflow.org/sflow_version_5.txt).
// The first sample's length must lie inside the datagram. Versions 2 and 4 are left
// out: a sample there has no length, and nearly nobody sends them.
func readSFlow(b []byte, room uint32) (header, Skip) {
	size := uint32(sflowLeast)
	switch binary.BigEndian.Uint32(b[4:]) {
	case 1:
	case 2:
		size += 12 // IPv6
	default:
		return header{}, SkipNotTCP
	}
	if binary.BigEndian.Uint32(b) != 5 || size+sbeforeRecords > room {
		return header{}, SkipNotTCP
	}
	if uint32(len(b)) < size+sbeforeRecords {
		return header{}, SkipTruncated
	}
	samples := binary.BigEndian.Uint32(b[size-4:])
	length := binary.BigEndian.Uint32(b[size+4:])
	left := room - size
	if samples == 0 || samples > left/sbeforeRecords || length%4 != 0 || length > left-sbeforeRecords {
		return header{}, SkipNotTCP
	}
	// The number of samples is read again with them.
	return header{next: protoSFlow, size: int(size - 4), kind: layerSFlow}, SkipNone
}

// partSFlow reads on to the next sampled packet header. What is not a flow sample,
// or not a raw header in it, is passed over by its length.
func partSFlow(b *bundle, p *place) Skip {
	if b.off == 0 {
		b.samples, b.off = binary.BigEndian.Uint32(b.g.Data), 4
		b.end = 4
	}
	for {
		at := uint32(b.off)
		if b.records == 0 {
			if b.samples == 0 {
				return skipEnd
			}
			b.samples--
			if skip := b.sample(b.end); skip != SkipNone {
				return skip
			}
			continue
		}
		b.records--
		if at+sbeforeRecords > b.end {
			b.records = 0
			continue
		}
		if skip := b.has(at, sbeforeRecords); skip != SkipNone {
			return skip
		}
		format, length := binary.BigEndian.Uint32(b.g.Data[at:]), binary.BigEndian.Uint32(b.g.Data[at+4:])
		at += sbeforeRecords
		if length > b.end-at {
			b.records = 0 // the next sample has its place by this one's length
			continue
		}
		b.off = int(at + length)
		const raw, fixed = 1, 16
		if format != raw || length < fixed {
			continue
		}
		if skip := b.has(at, fixed); skip != SkipNone {
			return skip
		}
		// Protocol, length of the packet, octets taken off it, octets that follow.
		h := b.g.Data[at:]
		next, whole, off, size := sampledAs(binary.BigEndian.Uint32(h)), binary.BigEndian.Uint32(h[4:]), binary.BigEndian.Uint32(h[8:]), binary.BigEndian.Uint32(h[12:])
		if size > length-fixed {
			continue
		}
		// What was taken off is mostly the check sequence.
		b.cut(p, next, at+fixed, size, whole-min(off, whole))
		p.sampled = true
		return SkipNone
	}
}

// sample reads the head of the sample at at, which must be followed by room for it.
func (b *bundle) sample(at uint32) Skip {
	if skip := b.has(at, sbeforeRecords); skip != SkipNone {
		return skip
	}
	format, length := binary.BigEndian.Uint32(b.g.Data[at:]), binary.BigEndian.Uint32(b.g.Data[at+4:])
	at += sbeforeRecords
	if length > wireLength(&b.g)-at {
		return skipEnd
	}
	b.end = at + length
	// Up to the number of records: of a flow sample, and of an expanded one, whose
	// interfaces take two fields each.
	fixed := beforeRecords(format)
	if fixed == 0 || fixed > length {
		b.off = int(b.end)
		return SkipNone
	}
	if skip := b.has(at, fixed); skip != SkipNone {
		return skip
	}
	b.records = binary.BigEndian.Uint32(b.g.Data[at+fixed-4:])
	b.off = int(at + fixed)
	return SkipNone
}

// beforeRecords returns how many octets stand before the records of a flow sample; 0 for
// other samples.
func beforeRecords(format uint32) uint32 {
	switch format {
	case 1:
		return 32
	case 3:
		return 44
	}
	return 0
}

// sampledAs names what a sampled header begins with (header_protocol of sFlow).
func sampledAs(number uint32) proto {
	switch number {
	case 1:
		return protoEthernet
	case 7, 14: // 14: SONET
		return protoPPP
	case 11:
		return protoIPv4
	case 12:
		return protoIPv6
	case 13:
		return protoMPLS
	case 15:
		return protoWLAN
	case 17:
		return protoAMSDU
	}
	return protoNone
}
