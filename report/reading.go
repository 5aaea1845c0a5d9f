package report

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/tcplife/tcplife/wire"
)

// This file prints quantities as people read them, and lays out text. What
// programs read is in append.go.

// number prints n with a comma between thousands.
func number(n uint64) string {
	s := strconv.FormatUint(n, 10)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// plural prints a number and its noun.
func plural(n uint64, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return number(n) + " " + many
}

// octets prints a length in decimal units: 1.2 MB is 1,200,000 octets.
func octets(n uint64) string {
	if n < 1000 {
		return strconv.FormatUint(n, 10) + " B"
	}
	v := float64(n)
	for _, unit := range []string{"kB", "MB", "GB", "TB"} {
		v /= 1000
		if v < 999.95 {
			return strconv.FormatFloat(v, 'f', 1, 64) + " " + unit
		}
	}
	return strconv.FormatFloat(v/1000, 'f', 1, 64) + " PB"
}

// span prints a duration with two or three significant digits.
func span(d time.Duration) string {
	if d < 0 {
		return "-" + span(-d)
	}
	short := func(unit time.Duration, name string) string {
		v := float64(d) / float64(unit)
		digits := 0
		if v < 9.95 && d%unit != 0 {
			digits = 1
		}
		return strings.TrimSuffix(strconv.FormatFloat(v, 'f', digits, 64), ".0") + " " + name
	}
	switch {
	case d == 0:
		return "0 s"
	case d < time.Microsecond:
		return strconv.FormatInt(int64(d), 10) + " ns"
	case d < 999500*time.Nanosecond:
		return short(time.Microsecond, "µs")
	case d < 999500*time.Microsecond:
		return short(time.Millisecond, "ms")
	case d < 59950*time.Millisecond:
		s := strconv.FormatFloat(d.Seconds(), 'f', 1, 64)
		return strings.TrimSuffix(s, ".0") + " s"
	}
	pair := func(big uint64, bigName string, small uint64, smallName string) string {
		if small == 0 {
			return number(big) + " " + bigName
		}
		return number(big) + " " + bigName + " " + number(small) + " " + smallName
	}
	sec := uint64(d.Round(time.Second) / time.Second)
	if sec < 3600 {
		return pair(sec/60, "min", sec%60, "s")
	}
	minutes := uint64(d.Round(time.Minute) / time.Minute)
	if minutes < 24*60 {
		return pair(minutes/60, "h", minutes%60, "min")
	}
	h := uint64(d.Round(time.Hour) / time.Hour)
	return pair(h/24, "d", h%24, "h")
}

// clock prints an instant for a reader, in the zone that was asked for, to the
// millisecond.
func (o *Options) clock(t wire.Time) string { return o.in(t).Format("2006-01-02 15:04:05.000") }

// in returns t in the zone that was asked for.
func (o *Options) in(t wire.Time) time.Time {
	if o.Zone == nil {
		return t.Std()
	}
	return t.Std().In(o.Zone)
}

// zone names the zone of the clock at an instant.
func (o *Options) zone(t wire.Time) string { return o.in(t).Format("MST") }

// list joins words as a sentence does.
func list(words []string) string {
	if len(words) < 2 {
		return strings.Join(words, "")
	}
	return strings.Join(words[:len(words)-1], ", ") + " and " + words[len(words)-1]
}

// frameName prints a frame, with its file's number when there are several.
func frameName(f wire.FrameID, multi bool) string {
	if multi {
		return fmt.Sprintf("%d:%d", f.Input()+1, f.Number())
	}
	return strconv.FormatUint(f.Number(), 10)
}

// frameList prints up to most frames.
func frameList(fs []wire.FrameID, multi bool, most int) string {
	word := "frames "
	if len(fs) == 1 {
		word = "frame "
	}
	var s []string
	for i, f := range fs {
		if i == most {
			s = append(s, "...")
			break
		}
		s = append(s, frameName(f, multi))
	}
	return word + strings.Join(s, ", ")
}

// hard is a space at which prose breaks no line.
const (
	hardRune = '\u00a0'
	hard     = string(hardRune)
)

// prose writes a paragraph: first before its first line, rest before the others,
// broken at the width. On a narrow terminal, where indents would leave no room for
// words, they shrink.
func (c *canvas) prose(first, rest, text string) {
	if c.narrow() {
		// A name before the text breaks as the text does.
		name := squeeze(first)
		first, rest = name[:len(name)-len(strings.TrimLeft(name, " "))], blanks(min(columns(rest), narrowIndent))
		text = strings.ReplaceAll(name[len(first):]+text, hard, " ")
	}
	indent, col, fresh := first, 0, true
	for word := range strings.FieldsFuncSeq(text, func(r rune) bool { return r == ' ' || r == '\n' || r == '\t' }) {
		n := columns(word)
		if !fresh && col+1+n > c.proseWidth() {
			c.WriteByte('\n')
			indent, fresh = rest, true
		}
		if fresh {
			c.WriteString(indent)
			col = columns(indent)
		} else {
			c.WriteByte(' ')
			col++
		}
		c.WriteString(strings.ReplaceAll(word, hard, " "))
		col, fresh = col+n, false
	}
	c.WriteByte('\n')
}

// Below narrowWidth columns a terminal is narrow; then no line but the first of a
// paragraph is indented by more than narrowIndent.
const narrowWidth, narrowIndent = 50, 2

func (c *canvas) narrow() bool { return c.width > 0 && c.width < narrowWidth }

// squeeze makes an indent, or a name with blanks behind it, as short as can be.
func squeeze(s string) string {
	name := strings.TrimSpace(s)
	if name == "" {
		return blanks(min(columns(s), narrowIndent))
	}
	words := strings.Fields(name)
	return blanks(min(columns(s)-columns(strings.TrimLeft(s, " ")), narrowIndent)) + strings.Join(words, " ") + " "
}

// item writes a line that should not be broken, unless it does not fit.
func (c *canvas) item(first, rest, text string) {
	if c.width <= 0 || columns(first)+columns(text) <= c.width {
		c.linef("%s%s", first, text)
		return
	}
	c.prose(first, rest, text)
}

// proseColumns is where sentences wrap, however wide the terminal: lines longer than
// that are hard to read.
const proseColumns = 100

func (c *canvas) proseWidth() int {
	if c.width > 0 {
		return min(c.width, proseColumns)
	}
	return proseColumns
}

// left and right pad s to n columns.
func left(s string, n int) string  { return s + blanks(n-columns(s)) }
func right(s string, n int) string { return blanks(n-columns(s)) + s }

func blanks(n int) string { return strings.Repeat(" ", max(n, 0)) }
