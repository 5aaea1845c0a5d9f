package report

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/mattn/go-runewidth"
)

// The colours, as SGR parameters. Text must read the same without them, and who cannot
// tell red from green can tell these apart: a test looks at them as such eyes do. They
// are of the sixteen that every terminal has, so that they fit its background.
const (
	bold   = "1"
	dim    = "2"
	red    = "1;31"
	blue   = "94" // what went well: green would be another red to many
	yellow = "33"
	cyan   = "36"
)

// canvas collects text.
type canvas struct {
	strings.Builder
	color, ascii bool
	width        int
	colors       Colors
}

// canvas returns an empty one.
func (o *Options) canvas() canvas {
	return canvas{color: o.Color, ascii: o.ASCII, width: o.Width, colors: o.Colors}
}

// finish returns the text. For a terminal that shows nothing beyond ASCII, every other
// letter is replaced by one that looks alike, as wide as it.
func (c *canvas) finish() string {
	if !c.ascii {
		return c.String()
	}
	return toASCII(c.String())
}

// lookalikes are the letters beyond ASCII that reports use.
var lookalikes = map[rune]byte{'µ': 'u', '·': '.', hardRune: ' ',
	'▁': '.', '▂': ':', '▃': '-', '▄': '=', '▅': '+', '▆': '*', '▇': '#', '█': '@'}

func toASCII(s string) string {
	if !strings.ContainsFunc(s, func(r rune) bool { return r >= utf8.RuneSelf }) {
		return s
	}
	var b strings.Builder
	for _, r := range s {
		switch {
		case r < utf8.RuneSelf:
			b.WriteByte(byte(r))
		case lookalikes[r] != 0:
			b.WriteByte(lookalikes[r])
		default:
			b.WriteString("??"[:min(runeColumns.RuneWidth(r), 2)])
		}
	}
	return b.String()
}

// runeColumns tells how wide a letter is: the same everywhere, whatever the locale says
// of letters that are wide only beside Chinese ones.
var runeColumns = &runewidth.Condition{}

// paint returns s in a colour, if colours are wanted.
func (c *canvas) paint(color, s string) string {
	if own, ok := c.colors[color]; ok {
		color = own
	}
	if !c.color || color == "" || s == "" {
		return s
	}
	return "\x1b[" + color + "m" + s + "\x1b[0m"
}

// linef writes one formatted line.
func (c *canvas) linef(format string, args ...any) {
	fmt.Fprintf(c, format, args...)
	c.WriteByte('\n')
}

// columns returns how wide s is on a terminal, colours not counted.
func columns(s string) (n int) {
	for {
		i := strings.IndexByte(s, '\x1b')
		if i < 0 {
			return n + width(s)
		}
		n += width(s[:i])
		end := strings.IndexByte(s[i:], 'm')
		if end < 0 {
			return n + width(s[i:])
		}
		s = s[i+end+1:]
	}
}

func width(s string) int {
	if plainText(s) {
		return len(s)
	}
	return runeColumns.StringWidth(s)
}
