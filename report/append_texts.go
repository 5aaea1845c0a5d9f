package report

import "github.com/tcplife/tcplife/wire"

// texts are those that an appender has made and that will be wanted again: copying one is
// several times as fast as making it of its numbers. Each is found by all that it is made
// of, so what an appender has written before never changes what it writes.
type texts struct {
	moments [momentCount]stamped
	shapes  [shapeCount]shape
	options [2]usual // by side
}

// The sizes are powers of two, so that a place is the topmost bits of a product, as
// large as a usual connection needs.
const (
	momentBits, shapeBits   = 4, 4
	momentCount, shapeCount = 1 << momentBits, 1 << shapeBits
	spread                  = 0x9e3779b97f4a7c15 // 2^64 by the golden ratio: neighbours come far apart
)

// stamped is an instant of the connection at hand: b[from:to] has its text. Events cause
// transitions, mostly one on each side, and all have the same instant.
type stamped struct {
	at       wire.Time
	from, to int // to is 0: none
}

// instant appends an instant, and as "t" how long after the connection's start it was.
func (a *appender) instant(b []byte, at, start wire.Time) []byte {
	m := &a.texts.moments[uint64(at)*spread>>(64-momentBits)]
	if m.at == at && m.to != 0 {
		return append(b, b[m.from:m.to]...)
	}
	from := len(b)
	b = a.time(b, at)
	b = append(b, `,"t":`...)
	b = appendSeconds(b, at.Sub(start))
	*m = stamped{at, from, len(b)}
	return b
}

// shape is the text of a segment's length, window and flags.
type shape struct {
	key  uint64
	n    uint8
	text [55]byte
}

// shape appends a segment's length, window and flags: of those that a host sends most
// are like others.
func (a *appender) shape(b []byte, length uint32, window uint16, flags wire.Flags) []byte {
	flags &= 511
	const made = 1 << 15 // which a key of nothing has not
	key := uint64(length)<<32 | uint64(window)<<16 | made | uint64(flags)
	s := &a.texts.shapes[key*spread>>(64-shapeBits)]
	if s.key == key {
		return append(b, s.text[:s.n]...)
	}
	from := len(b)
	b = append(b, `,"len":`...)
	b = appendUint(b, uint64(length))
	b = append(b, `,"win":`...)
	b = appendUint(b, uint64(window))
	b = append(b, flagTexts[flags]...)
	if n := copy(s.text[:], b[from:]); n == len(b)-from {
		s.key, s.n = key, uint8(n)
	} else {
		s.key = 0
	}
	return b
}

// usual is the text of those options of a SYN that a host sends alike each time.
type usual struct {
	set  wire.OptionSet
	mss  uint16
	ws   uint8
	n    uint8 // 0: none
	text [128]byte
}

// usualOptions begins the object of a SYN's options: which there were, the MSS and the
// window scale.
func (a *appender) usualOptions(b []byte, side int, o *wire.Options) []byte {
	u := &a.texts.options[side]
	if u.n != 0 && u.set == o.Set && u.mss == o.MSS && u.ws == o.WindowScale {
		return append(b, u.text[:u.n]...)
	}
	from := len(b)
	b = appendUsual(b, o)
	if n := copy(u.text[:], b[from:]); n == len(b)-from {
		u.set, u.mss, u.ws, u.n = o.Set, o.MSS, o.WindowScale, uint8(n)
	} else {
		u.n = 0 // few have so many
	}
	return b
}

func appendUsual(b []byte, o *wire.Options) []byte {
	b = append(b, `{"present":[`...)
	for _, x := range optionNames {
		if o.Set&x.option != 0 {
			b = appendName(b, x.name)
		}
	}
	b = append(b, ']')
	if o.Set&wire.OptMSS != 0 {
		b = append(b, `,"mss":`...)
		b = appendUint(b, uint64(o.MSS))
	}
	if o.Set&wire.OptWindowScale != 0 {
		b = append(b, `,"window_scale":`...)
		b = appendUint(b, uint64(o.WindowScale))
	}
	return b
}

// appendName appends a name to a list that is open.
func appendName(b []byte, name string) []byte {
	if b[len(b)-1] != '[' {
		b = append(b, ',')
	}
	b = append(b, '"')
	b = append(b, name...)
	return append(b, '"')
}
