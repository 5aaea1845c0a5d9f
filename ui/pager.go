package ui

import (
	"strings"

	"github.com/charmbracelet/x/ansi"
)

// pager shows a text that may be longer than the screen, as less does.
type pager struct {
	lines []string
	top   int
	h     int // lines on the screen, as of the last drawing
	// find is what was searched for last, in lower case.
	find string
}

// set replaces the text. Who looks at its end goes on doing so.
func (p *pager) set(lines []string) {
	follow := p.top > 0 && p.top >= len(p.lines)-p.h
	p.lines = lines
	if follow {
		p.top = len(lines)
	}
}

func (p *pager) clamp() { p.top = max(min(p.top, len(p.lines)-p.h), 0) }

// key moves the text, and reports whether the key does so.
func (p *pager) key(key string) bool {
	switch key {
	case "enter":
		p.top++
	case "n":
		p.search(1)
	case "N":
		p.search(-1)
	default:
		to, ok := moved(key, p.top, len(p.lines), p.h)
		if !ok {
			return false
		}
		p.top = to
	}
	p.clamp()
	return true
}

// search goes to the next line that holds what is searched for, in a direction, and
// reports whether there is one. Behind the last comes the first.
func (p *pager) search(step int) bool {
	n := len(p.lines)
	if p.find == "" || n == 0 {
		return false
	}
	for i := 1; i <= n; i++ {
		at := ((p.top+i*step)%n + n) % n
		if strings.Contains(strings.ToLower(ansi.Strip(p.lines[at])), p.find) {
			p.top = at
			p.clamp()
			return true
		}
	}
	return false
}

// view returns h lines.
func (p *pager) view(h int) []string {
	p.h = h
	p.clamp()
	lines := make([]string, 0, h)
	for i := p.top; i < len(p.lines) && len(lines) < h; i++ {
		l := p.lines[i]
		if plain := ansi.Strip(l); p.find != "" && strings.Contains(strings.ToLower(plain), p.find) {
			l = reverse(plain)
		}
		lines = append(lines, l)
	}
	return lines
}

// place says which part is on the screen, as less does in its last line.
func (p *pager) place() string {
	switch {
	case len(p.lines) <= p.h:
		return ""
	case p.top+p.h >= len(p.lines):
		return "(END)"
	}
	return percent(p.top+p.h, len(p.lines))
}

// reverse shows s with its colours exchanged: also where there are none.
func reverse(s string) string { return "\x1b[7m" + s + "\x1b[0m" }

// wrapText breaks lines that are wider than n columns at blanks, with the line's own
// indent before what follows.
func wrapText(text string, n int) (lines []string) {
	for l := range strings.SplitSeq(strings.TrimRight(text, "\n"), "\n") {
		if width(l) <= n {
			lines = append(lines, l)
			continue
		}
		plain := ansi.Strip(l)
		indent := min(len(plain)-len(strings.TrimLeft(plain, " ")), max(n/2, 0))
		room := max(n-indent, 1)
		for i, part := range strings.Split(ansi.Wrap(strings.TrimLeft(l, " "), room, ""), "\n") {
			if i > 0 {
				part = strings.TrimLeft(part, " ")
			}
			lines = append(lines, blanks(indent)+part)
		}
	}
	return lines
}
