package report

import (
	"net/netip"
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
	// stamp is the text of the minute that began at minute, up to its colon. The
	// instants of one connection mostly share it, and a date costs more than all
	// other fields of an event.
	stamp  [17]byte
	minute int64
	known  bool
}

const minuteLen = int64(time.Minute)

// time appends t as RFC 3339 in UTC with nine digits.
func (a *appender) time(b []byte, t wire.Time) []byte {
	m := int64(t) / minuteLen
	rest := int64(t) % minuteLen
	if rest < 0 { // before 1970, division rounds up
		m, rest = m-1, rest+minuteLen
	}
	if !a.known || m != a.minute {
		a.minute, a.known = m, true
		std := t.Std()
		year, month, day := std.Date()
		hour, minute, _ := std.Clock()
		st := append(a.stamp[:0], pairs[year/100*2:][:2]...)
		for _, x := range [...]struct {
			n   int
			end byte
		}{{year % 100, '-'}, {int(month), '-'}, {day, 'T'}, {hour, ':'}, {minute, ':'}} {
			st = append(st, pairs[x.n*2], pairs[x.n*2+1], x.end)
		}
	}
	b = append(b, '"')
	b = append(b, a.stamp[:]...)
	s := rest / int64(time.Second) * 2
	b = append(b, pairs[s], pairs[s+1], '.')
	b = appendNine(b, uint32(rest%int64(time.Second)))
	return append(b, 'Z', '"')
}

// frame appends a frame's number, with its file when there are several.
func (a *appender) frame(b []byte, f wire.FrameID) []byte {
	if !a.multi {
		return strconv.AppendUint(b, f.Number(), 10)
	}
	b = append(b, `{"file":`...)
	b = strconv.AppendInt(b, int64(f.Input())+1, 10)
	b = append(b, `,"frame":`...)
	b = strconv.AppendUint(b, f.Number(), 10)
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

// pairs holds the numbers from 00 to 99, one after the other. Digits are copied from
// it two at a time: half of an object's cost would be divisions otherwise.
const pairs = "00010203040506070809101112131415161718192021222324252627282930313233343536373839" +
	"40414243444546474849505152535455565758596061626364656667686970717273747576777879" +
	"8081828384858687888990919293949596979899"

// appendNine appends n, which is below 10^9, with leading zeros.
func appendNine(b []byte, n uint32) []byte {
	high, low := n/10000, n%10000 // five digits and four
	x, y, z, w := high/100%100*2, high%100*2, low/100*2, low%100*2
	return append(b, '0'+byte(high/10000), pairs[x], pairs[x+1], pairs[y], pairs[y+1], pairs[z], pairs[z+1], pairs[w], pairs[w+1])
}

// appendSeconds appends d in seconds as an exact decimal: a float would lose the
// nanoseconds of long spans.
func appendSeconds(b []byte, d time.Duration) []byte {
	u := uint64(d)
	if d < 0 {
		b = append(b, '-')
		u = -u
	}
	b = strconv.AppendUint(b, u/1e9, 10)
	frac := uint32(u % 1e9)
	if frac == 0 {
		return b
	}
	b = append(b, '.')
	b = appendNine(b, frac)
	n := len(b)
	for b[n-1] == '0' {
		n--
	}
	return b[:n]
}

const hexDigits = "0123456789abcdef"

// appendString appends s as a JSON string. File names and interface descriptions
// need not be UTF-8; an octet that is not becomes U+FFFD, as encoding/json has it,
// so that the output is always valid JSON. What would steer a terminal is escaped,
// which changes no value.
func appendString(b []byte, s string) []byte {
	b = append(b, '"')
	from := 0
	for i := 0; i < len(s); {
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
	b = append(b, s[from:]...)
	return append(b, '"')
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
	b = strconv.AppendUint(b, uint64(p.Port()), 10)
	return append(b, '}')
}

// appendSides appends a number of each side.
func appendSides(b []byte, client, server uint64) []byte {
	b = append(b, `{"client":`...)
	b = strconv.AppendUint(b, client, 10)
	b = append(b, `,"server":`...)
	b = strconv.AppendUint(b, server, 10)
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
		b = strconv.AppendUint(b, uint64(uint32(r.From-base)), 10)
		b = append(b, ',')
		b = strconv.AppendUint(b, uint64(uint32(r.To-base)), 10)
		b = append(b, ']')
	}
	return append(b, ']')
}

// flagNames holds the text of every combination of the nine control bits, since
// Flags.String allocates.
var flagNames = func() (names [512]string) {
	for i := range names {
		names[i] = wire.Flags(i).String()
	}
	return names
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
