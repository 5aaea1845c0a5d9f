package report

import (
	"encoding/binary"
	"net/netip"
	"slices"
	"strconv"
	"time"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/tcplife/tcplife/reassembly"
	"github.com/tcplife/tcplife/wire"
)

// appender writes JSON by hand: a report may hold millions of connections, and
// reflection would cost more than all of their analysis. The formats ndjson and
// json share it, so that an object is the same in both.
type appender struct {
	// multi: there are several inputs, so a frame is named with its file.
	multi bool
	// peers are the other tools whose views were asked for.
	peers []*peer
	calendar
	texts texts
}

// calendar prints instants. It knows the minute of the last one: those of one connection
// mostly share it, and a date costs more than all other fields of an event.
type calendar struct {
	// stamp is the text of the minute that began at minute, from its quotation mark to
	// its last digit. day is when its day began.
	stamp       [17]byte
	known       bool
	minute, day wire.Time
}

const (
	minuteLen = uint64(time.Minute)
	dayLen    = 24 * 60 * minuteLen
)

// time appends t as RFC 3339 in UTC with nine digits, in quotation marks.
func (a *calendar) time(b []byte, t wire.Time) []byte {
	rest := uint64(t - a.minute)
	if rest >= minuteLen || !a.known {
		rest = a.turn(t)
	}
	second := uint32(rest / 1e9)
	nanos := uint32(rest - uint64(second)*1e9)
	first := nanos / 1e8
	digits := eightDigits(nanos - first*1e8)
	// Four words: sixteen octets of the stamp; the last one of it, ":20.0" and two
	// digits; the other six, and the end.
	n := len(b)
	b = slices.Grow(b, 32)[:n+32]
	w := b[n:]
	copy(w, a.stamp[:16])
	binary.LittleEndian.PutUint64(w[16:], uint64(a.stamp[16])|':'<<8|uint64(twoDigits(second))<<16|'.'<<32|uint64('0'+first)<<40|digits<<48)
	binary.LittleEndian.PutUint64(w[24:], digits>>16|'Z'<<48|'"'<<56)
	return b
}

// turn makes the minute of t the known one, and returns how much of it is over.
func (a *calendar) turn(t wire.Time) uint64 {
	if uint64(t-a.day) >= dayLen || !a.known {
		over := int64(t) % int64(dayLen)
		if over < 0 { // before 1970 the remainder is, too
			over += int64(dayLen)
		}
		a.day = t - wire.Time(over)
		a.known = a.day <= t && a.day < a.day+wire.Time(dayLen) // not at the ends of what an int64 tells
		year, month, day := t.Std().Date()
		a.stamp = [17]byte{0: '"', 5: '-', 8: '-', 11: 'T', 14: ':'}
		binary.LittleEndian.PutUint16(a.stamp[1:], twoDigits(uint32(year/100)))
		binary.LittleEndian.PutUint16(a.stamp[3:], twoDigits(uint32(year%100)))
		binary.LittleEndian.PutUint16(a.stamp[6:], twoDigits(uint32(month)))
		binary.LittleEndian.PutUint16(a.stamp[9:], twoDigits(uint32(day)))
	}
	over := uint64(t - a.day)
	minutes := uint32(over / minuteLen)
	binary.LittleEndian.PutUint16(a.stamp[12:], twoDigits(minutes/60))
	binary.LittleEndian.PutUint16(a.stamp[15:], twoDigits(minutes%60))
	over -= uint64(minutes) * minuteLen
	a.minute = t - wire.Time(over)
	return over
}

// frame appends a frame's number, with its file when there are several.
func (a *appender) frame(b []byte, f wire.FrameID) []byte {
	if !a.multi {
		return appendUint(b, f.Number())
	}
	b = append(b, `{"file":`...)
	b = strconv.AppendInt(b, int64(f.Input())+1, 10)
	b = append(b, `,"frame":`...)
	b = appendUint(b, f.Number())
	return append(b, '}')
}

// frames appends a list of frames.
func (a *appender) frames(b []byte, fs []wire.FrameID) []byte {
	b = append(b, '[')
	for i, f := range fs {
		if i > 0 {
			b = append(b, ',')
		}
		b = a.frame(b, f)
	}
	return append(b, ']')
}

const hexDigits = "0123456789abcdef"

// appendString appends s as a JSON string. File names and interface descriptions
// need not be UTF-8; an octet that is not becomes U+FFFD, as encoding/json has it,
// so that the output is always valid JSON. What would steer a terminal is escaped,
// which changes no value.
func appendString(b []byte, s string) []byte {
	b = append(b, '"')
	b = appendInside(b, s)
	return append(b, '"')
}

// appendInside is appendString without the quotation marks.
func appendInside(b []byte, s string) []byte {
	from := 0
	for i := plainOctets(s); i < len(s); {
		c := s[i]
		if c < utf8.RuneSelf {
			if c >= ' ' && c != '"' && c != '\\' && c != 0x7f {
				i++
				continue
			}
			b = append(b, s[from:i]...)
			switch c {
			case '"', '\\':
				b = append(b, '\\', c)
			case '\n':
				b = append(b, '\\', 'n')
			case '\r':
				b = append(b, '\\', 'r')
			case '\t':
				b = append(b, '\\', 't')
			default:
				b = append(b, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&15])
			}
			i++
			from = i
			continue
		}
		r, n := utf8.DecodeRuneInString(s[i:])
		switch {
		case r == utf8.RuneError && n == 1:
			b = append(b, s[from:i]...)
			b = append(b, `\ufffd`...)
			from = i + n
		case control(r): // JSON allows them, and a terminal obeys them
			b = append(b, s[from:i]...)
			if r >= 0x10000 {
				high, low := utf16.EncodeRune(r)
				b = appendHex(b, high)
				r = low
			}
			b = appendHex(b, r)
			from = i + n
		}
		i += n
	}
	return append(b, s[from:]...)
}

// plainOctets returns how many octets at the beginning of s certainly stand for
// themselves in a JSON string. It looks at eight at a time; what does not fill such a
// word, or follows one that is not plain, is for the caller to see.
func plainOctets(s string) int {
	const ones, tops = 0x0101010101010101, 0x8080808080808080
	i := 0
	for ; len(s)-i >= 8; i += 8 {
		x := s[i : i+8]
		w := uint64(x[0]) | uint64(x[1])<<8 | uint64(x[2])<<16 | uint64(x[3])<<24 |
			uint64(x[4])<<32 | uint64(x[5])<<40 | uint64(x[6])<<48 | uint64(x[7])<<56
		// A subtraction sets the top bit of an octet that was too small for it. What it
		// borrows may set that of the next one, too, but never clears one.
		quote, back, del := w^'"'*ones, w^'\\'*ones, w^0x7f*ones
		if (w|(w-' '*ones)|(quote-ones)|(back-ones)|(del-ones))&tops != 0 {
			break
		}
	}
	return i
}

// appendHex appends a character of the basic plane as \u0000.
func appendHex(b []byte, r rune) []byte {
	return append(b, '\\', 'u', hexDigits[r>>12&15], hexDigits[r>>8&15], hexDigits[r>>4&15], hexDigits[r&15])
}

// appendStrings appends a list of strings.
func appendStrings(b []byte, ss []string) []byte {
	b = append(b, '[')
	for i, s := range ss {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendString(b, s)
	}
	return append(b, ']')
}

// appendPeer appends one end of a tuple.
func appendPeer(b []byte, p netip.AddrPort) []byte {
	b = append(b, `{"ip":"`...)
	b = p.Addr().AppendTo(b)
	b = append(b, `","port":`...)
	b = appendUint(b, uint64(p.Port()))
	return append(b, '}')
}

// appendEnds appends both ends of a tuple, with their names.
func appendEnds(b []byte, t *wire.Tuple) []byte {
	b = append(b, `,"client":`...)
	b = appendEnd(b, t.Src, t.SrcPort, t.V6)
	b = append(b, `,"server":`...)
	return appendEnd(b, t.Dst, t.DstPort, t.V6)
}

func appendEnd(b []byte, a wire.Addr, port uint16, v6 bool) []byte {
	if v6 || !a.Is4() {
		return appendPeer(b, netip.AddrPortFrom(a.Netip(v6), port))
	}
	b = append(b, `{"ip":"`...)
	b = appendIPv4(b, a)
	b = append(b, `","port":`...)
	b = appendUint(b, uint64(port))
	return append(b, '}')
}

// appendAddr appends an address.
func appendAddr(b []byte, a wire.Addr, v6 bool) []byte {
	if v6 || !a.Is4() {
		return a.Netip(v6).AppendTo(b)
	}
	return appendIPv4(b, a)
}

func appendIPv4(b []byte, a wire.Addr) []byte {
	for shift := 24; shift >= 0; shift -= 8 {
		x := octetTexts[byte(a.Lo>>shift)]
		b = binary.LittleEndian.AppendUint32(b, uint32(x))
		b = b[:len(b)-int(x>>32)]
	}
	return b[:len(b)-1] // without the last dot
}

// octetTexts are the octets of an IPv4 address with a dot behind, the first character in
// the lowest octet; above them stands how many of the four there are not.
var octetTexts = func() (texts [256]uint64) {
	for i := range texts {
		var text [4]byte
		n := len(append(strconv.AppendUint(text[:0], uint64(i), 10), '.'))
		texts[i] = uint64(binary.LittleEndian.Uint32(text[:])) | uint64(len(text)-n)<<32
	}
	return texts
}()

// appendSides appends a number of each side.
func appendSides(b []byte, client, server uint64) []byte {
	b = append(b, `{"client":`...)
	b = appendUint(b, client)
	b = append(b, `,"server":`...)
	b = appendUint(b, server)
	return append(b, '}')
}

// appendRanges appends ranges relative to base, as pairs of the first number and
// the one after the last.
func appendRanges(b []byte, rs []reassembly.Range, base wire.Seq) []byte {
	b = append(b, '[')
	for i, r := range rs {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, '[')
		b = appendUint(b, uint64(uint32(r.From-base)))
		b = append(b, ',')
		b = appendUint(b, uint64(uint32(r.To-base)))
		b = append(b, ']')
	}
	return append(b, ']')
}

// flagNames holds the text of every combination of the nine control bits, since
// Flags.String allocates; flagTexts the field of an event.
var flagNames, flagTexts = func() (names, texts [512]string) {
	const before = `,"flags":"`
	for i := range names {
		texts[i] = before + wire.Flags(i).String() + `"`
		names[i] = texts[i][len(before) : len(texts[i])-1]
	}
	return names, texts
}()

// markNames are the words for an event's marks. MarkTimestamp is not among them:
// it says only that another field is valid.
var markNames = [...]struct {
	mark reassembly.Marks
	name string
}{
	{reassembly.MarkRepeat, "retransmission"},
	{reassembly.MarkGap, "gap"},
	{reassembly.MarkKeepalive, "keepalive"},
	{reassembly.MarkZeroWindow, "zero-window"},
	{reassembly.MarkDSACK, "dsack"},
	{reassembly.MarkOther, "other-incarnation"},
	{reassembly.MarkAckUnseen, "ack-unseen"},
	{reassembly.MarkOutside, "outside"},
}

// namedMarks are the marks that have a word.
var namedMarks = func() (m reassembly.Marks) {
	for _, x := range markNames {
		m |= x.mark
	}
	return m
}()

// optionNames are the words for TCP options, in the order of their kinds.
var optionNames = [...]struct {
	option wire.OptionSet
	name   string
}{
	{wire.OptMSS, "mss"},
	{wire.OptWindowScale, "window-scale"},
	{wire.OptSACKPerm, "sack-permitted"},
	{wire.OptSACK, "sack"},
	{wire.OptTimestamps, "timestamps"},
	{wire.OptCC, "cc"},
	{wire.OptCCNew, "cc-new"},
	{wire.OptCCEcho, "cc-echo"},
	{wire.OptMD5, "md5"},
	{wire.OptUserTimeout, "user-timeout"},
	{wire.OptAO, "ao"},
	{wire.OptMPTCP, "mptcp"},
	{wire.OptFastOpen, "fast-open"},
	{wire.OptOther, "other"},
	{wire.OptDamaged, "damaged"},
	{wire.OptCut, "cut"},
}

// seqBase returns the absolute number that a side's relative numbers count from:
// its ISN, so that the SYN has number 0 and the first octet 1. Without the ISN the
// first number seen becomes 1, as in other tools; ok is false when nothing of the
// side's sequence space was seen at all.
func seqBase(c *reassembly.Conn, side reassembly.Side) (base wire.Seq, ok bool) {
	e := &c.Ends[side]
	switch {
	case e.HasISN:
		return e.ISN, true
	case e.HasNext:
		return e.First - 1, true
	}
	// One direction was not captured: its numbers are known from the other's
	// acknowledgments only.
	for i := range c.Events {
		if ev := &c.Events[i]; ev.From != side && ev.Flags.Has(wire.ACK) {
			return ev.Ack - 1, true
		}
	}
	return 0, false
}

// userTimeout returns the option's value in seconds (RFC 5482 section 3).
func userTimeout(field uint16) uint64 {
	n := uint64(field &^ (1 << 15))
	if field&(1<<15) != 0 {
		n *= 60
	}
	return n
}
