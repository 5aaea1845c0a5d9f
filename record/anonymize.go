package record

import (
	"encoding/binary"
	"slices"

	"github.com/tcplife/tcplife/wire"
)

// Anonymizer takes out of frames what says whose they are: addresses are mapped to
// others, keeping their prefixes' structure; names, keys, cookies and payload go. What
// connections live by stays: ports, numbers, flags, windows, times, and the headers
// around them. The same key gives the same addresses.
//
// A frame keeps its length on the wire; captured is only what holds headers. A checksum
// that was right is right, of a payload of zeros; one that was wrong stays wrong.
type Anonymizer struct {
	// KeepLength keeps payload as zeros instead of cutting it off: the frame stays as long
	// as it was, and a TCP checksum can be checked.
	KeepLength bool

	ip       *cryptopan
	hardware hardware
	four     map[[4]byte][4]byte
	six      map[[16]byte][16]byte

	layout wire.Layout
	out    []byte
	kept   int
	sums   []sum
	begun  map[packet]begun

	// What is read from a frame before and after must agree.
	before, after wire.Decoder
	want          []said

	// Changed counts frames that could not be kept as what they were: nothing of them is
	// left but their length. Lost counts those of them that held TCP.
	Changed, Lost uint64
}

// NewAnonymizer returns an Anonymizer with a key.
func NewAnonymizer(key [KeySize]byte) *Anonymizer {
	return &Anonymizer{ip: newCryptopan(key), hardware: newHardware(key), four: map[[4]byte][4]byte{}, six: map[[16]byte][16]byte{}, begun: map[packet]begun{}}
}

// maxCached bounds how many addresses are remembered: a scan has millions.
const maxCached = 1 << 16

func (a *Anonymizer) addr(b []byte) {
	if len(b) == 4 {
		in := [4]byte(b)
		image, ok := a.four[in]
		if !ok {
			image = in
			a.ip.apply(image[:])
			if len(a.four) >= maxCached {
				clear(a.four)
			}
			a.four[in] = image
		}
		copy(b, image[:])
		return
	}
	in := [16]byte(b)
	image, ok := a.six[in]
	if !ok {
		image = in
		a.ip.apply(image[:])
		if len(a.six) >= maxCached {
			clear(a.six)
		}
		a.six[in] = image
	}
	copy(b, image[:])
}

// Addr returns the image of an address; v6 says that it is one of IPv6, whatever its form.
func (a *Anonymizer) Addr(from wire.Addr, v6 bool) wire.Addr {
	var b [16]byte
	binary.BigEndian.PutUint64(b[:], from.Hi)
	binary.BigEndian.PutUint64(b[8:], from.Lo)
	if v6 {
		a.addr(b[:])
		return wire.AddrFrom16(b[:])
	}
	a.addr(b[12:])
	return wire.AddrFrom4(b[12:])
}

// Frame makes f anonymous. f.Data is then the Anonymizer's, until the next call. Frames
// must come in the order of the capture, each once: of fragments it matters.
func (a *Anonymizer) Frame(f *wire.Frame) {
	data := f.Data
	a.make(f)
	a.want = says(&a.before, a.want[:0], f)
	for i := range a.want {
		a.image(&a.want[i])
	}
	full := a.out
	fits := func(data []byte) bool {
		g := *f
		g.Data = data
		if len(data) < len(f.Data) {
			g.Length = max(f.Length, uint32(len(f.Data)))
		}
		if !a.agrees(&g) {
			return false
		}
		*f = g
		return true
	}
	// Nearly always the first is it. What is not known by its headers alone, but by how
	// much of it there is, must keep its length; and what looks like a tunnel's header
	// and is not may, without what came behind it, look like another.
	if !a.KeepLength && fits(full[:a.kept]) || fits(full) {
		return
	}
	for i, h := range slices.Backward(a.layout.Headers) {
		end := min(h.At+h.Size, len(full))
		clear(full[end:])
		if h.Kind == wire.HeaderUDP && h.Size >= 8 {
			if fits(full) {
				return
			}
			clear(full[h.At:end])
			binary.BigEndian.PutUint16(full[h.At+4:], uint16(min(h.Length, 0xffff)))
		}
		if i < len(a.layout.Headers) && fits(full) {
			return
		}
	}
	a.Changed++
	if len(a.want) > 0 && a.want[0].skip == wire.SkipNone {
		a.Lost++
	}
	clear(full)
	f.Length = max(f.Length, uint32(len(data)))
	f.Data = full
}

// make builds the frame anew in a.out, of which the first a.kept octets are needed.
func (a *Anonymizer) make(f *wire.Frame) {
	a.out = append(a.out[:0], make([]byte, len(f.Data))...)
	a.kept, a.sums = 0, a.sums[:0]
	a.layout.Read(f)
	for i := range a.layout.Headers {
		h := &a.layout.Headers[i]
		in, out := f.Data[h.At:h.At+h.Size], a.out[h.At:h.At+h.Size]
		size := h.Size
		switch h.Kind {
		case wire.HeaderOther:
			copy(out, h.Bare)
		case wire.HeaderEthernet:
			copy(out, in)
			for k := 0; k+6 <= min(12, size); k += 6 {
				a.hardware.apply(out[k:])
			}
			if size < 12 {
				clear(out[size/6*6:]) // half an address
			}
		case wire.HeaderIPv4:
			a.ipv4(in, out)
			a.sums = append(a.sums, sum{h: h, kind: sumIPv4})
		case wire.HeaderIPv6:
			a.ipv6(in, out)
		case wire.HeaderUDP:
			copy(out, in[:min(6, size)])
			a.sums = append(a.sums, sum{h: h, kind: sumUDP})
		case wire.HeaderTCP:
			size = tcp(in, out, int(h.Length))
			a.sums = append(a.sums, sum{h: h, kind: sumTCP})
		case wire.HeaderICMP:
			size = a.icmp(h, in, out)
			a.sums = append(a.sums, sum{h: h, kind: sumICMP})
		}
		a.kept = max(a.kept, h.At+size)
	}
	a.pieces(f)
	// An outer sum is over the inner headers.
	for _, s := range slices.Backward(a.sums) {
		a.sum(f, s)
	}
}

// said is what is read from one packet of a frame.
type said struct {
	skip    wire.Skip
	segment wire.Segment
	icmp    wire.ICMP
	encap   []string
}

// agrees reports whether a frame says what is wanted.
func (a *Anonymizer) agrees(f *wire.Frame) bool {
	var room [4]said
	got := says(&a.after, room[:0], f)
	return slices.EqualFunc(a.want, got, func(x, y said) bool {
		return x.skip == y.skip && x.segment == y.segment && x.icmp == y.icmp && slices.Equal(x.encap, y.encap)
	})
}

// image makes of what an original says what its image must say.
func (a *Anonymizer) image(s *said) {
	var t *wire.Tuple
	switch s.skip {
	case wire.SkipNone:
		t = &s.segment.Tuple
	case wire.SkipICMP:
		t = &s.icmp.Tuple
		s.icmp.Reporter = a.Addr(s.icmp.Reporter, t.V6)
	default:
		return
	}
	t.Src, t.Dst = a.Addr(t.Src, t.V6), a.Addr(t.Dst, t.V6)
}

// says appends what is read from a frame, but for what anonymising changes.
func says(d *wire.Decoder, to []said, f *wire.Frame) []said {
	var s said
	skip, ok := d.Decode(f, &s.segment), true
	for ok {
		s.skip = skip
		switch skip {
		case wire.SkipNone:
			s.encap = d.Encap(s.segment.Tuple.Encap)
			s.segment.Tuple.Encap, s.segment.Carrier = 0, 0
			s.segment.Traits &^= wire.TraitSnapped
			s.icmp = wire.ICMP{}
		case wire.SkipICMP:
			s.icmp = *d.ICMP()
			s.encap = d.Encap(s.icmp.Tuple.Encap)
			s.icmp.Tuple.Encap = 0
			s.segment = wire.Segment{}
		default:
			s = said{skip: skip}
		}
		to = append(to, s)
		s = said{}
		skip, ok = d.More(f, &s.segment)
	}
	return to
}
