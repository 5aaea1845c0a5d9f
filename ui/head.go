package ui

import (
	"fmt"
	"strings"

	"github.com/tcplife/tcplife/reassembly"
	"github.com/tcplife/tcplife/report"
)

// head draws the first lines: what is shown, and the tabs or the page's title.
func (m *Model) head() (lines []string) {
	name, says, about := "tcplife", "", ""
	if s := m.snap; s != nil {
		name = report.ShortName(s.Title)
		says = report.Count(s.Summary.All(), "connection", "connections")
		if s.Any {
			says += " in " + report.Span(s.Now.Sub(s.First))
		}
		about = m.paint("good", "capture: good")
		if bad, _ := s.Summary.Remarks(); len(bad) > 0 {
			about = m.paint("warning", "capture: limited (5 says why)")
		}
		if s.Note != "" {
			about = m.paint("warning", s.Note)
		}
	}
	if l := m.loading; l != nil && !l.quiet && m.snap != nil {
		words := l.progress.String()
		if words == "" {
			words = "reading"
		}
		about = m.paint("info", words)
	}
	// The name gives way to what is said of it.
	room := m.w - width(says) - width(about) - 4
	if width(name) > room && room >= 8 {
		name = ".." + tailOf(name, room-2)
	}
	first := m.paint("heading", name)
	if says != "" {
		first += ": " + says
	}
	lines = append(lines, aside(first, about, m.w))
	if p := m.top(); p != nil {
		return append(lines, m.paint("heading", cut(p.title(m), m.w)))
	}
	lines = append(lines, m.tabs())
	if m.filter != "" {
		lines = append(lines, m.paint("info", "only: ")+cut(report.Printable(m.filter), max(m.w-6, 0)))
	} else if s := m.snap; s != nil && len(s.Summary.Selection) > 0 {
		lines = append(lines, m.paint("info", "only: ")+cut(report.Printable(strings.Join(s.Summary.Selection, " ")), max(m.w-6, 0)))
	}
	return lines
}

// tailOf returns the end of s that has at most n columns.
func tailOf(s string, n int) string {
	r := []rune(s)
	for len(r) > 0 && width(string(r)) > n {
		r = r[1:]
	}
	return string(r)
}

// aside puts b at the right end of a line that begins with a, if there is room.
func aside(a, b string, w int) string {
	if b == "" || width(a)+2+width(b) > w {
		return cut(a, w)
	}
	return a + blanks(w-width(a)-width(b)) + b
}

func (m *Model) tabs() string {
	for _, names := range [][tabCount]string{tabNames, tabShort} {
		var words []string
		for i, n := range names {
			w := fmt.Sprintf(" %d %s ", i+1, n)
			if tab(i) == m.tab {
				w = reverse(fmt.Sprintf("[%d %s]", i+1, n))
			}
			words = append(words, w)
		}
		if line := strings.Join(words, ""); width(line) <= m.w {
			return line
		}
	}
	return reverse(fmt.Sprintf("[%d %s]", m.tab+1, tabShort[m.tab])) + " tab: next"
}

// foot draws the last line: what the last key came to, or the keys there are.
func (m *Model) foot() string {
	if m.status != "" {
		return m.paint("warning", cut(report.Printable(m.status), m.w))
	}
	hints, place := "", ""
	switch p := m.top(); {
	case p != nil:
		hints, place = p.hints()+"/ search  q back  ? help", p.text().place()
	case m.snap == nil:
		hints = "q quit"
	case m.loading != nil && !m.loading.quiet:
		hints = "esc stops reading  q quit"
	default:
		switch m.tab {
		case tabMatters:
			hints, place = "enter all  e explain  c connections  ", m.matters.place()
		case tabConnections:
			hints, place = "enter life  e explain  s sort  r turn  ", m.connections.place(m)
		case tabListeners:
			hints, place = "enter connections  s sort  r turn  ", m.listeners.place()
		case tabCensus:
			hints = "left, right time  L listener  "
		case tabCapture:
			place = m.capture.text.place()
		}
		hints += "/ filter  ? help  q quit"
	}
	if width(hints)+1+width(place) > m.w {
		// The help has them all.
		hints = cut(hints, max(m.w-width(place)-1-len("? help"), 0))
		if !strings.Contains(hints, "? help") {
			hints = strings.TrimRight(strings.TrimRight(hints, "."), " ")
			if i := strings.LastIndex(hints, "  "); i > 0 {
				hints = hints[:i]
			}
			hints += "  ? help"
		}
	}
	return aside(m.paint("faint", hints), place, m.w)
}

// outcomes says in a line how the connections ended.
func (m *Model) outcomes() string {
	s := m.snap.Summary
	if s.Connections == 0 {
		if s.Passed > 0 {
			return "None of the " + report.Count(s.Passed, "connection", "connections") + " fits."
		}
		if m.src.Every() > 0 {
			return "No TCP connection so far."
		}
		return "No TCP connection was found; 5 says what was read."
	}
	var words []string
	for _, x := range []struct {
		o          reassembly.Outcome
		part, what string
	}{{reassembly.OutcomeSuccess, "good", "ended well"}, {reassembly.OutcomeFailure, "error", "failed"}, {reassembly.OutcomeUnknown, "", "still open or not seen to the end"}} {
		if n := s.Outcomes[x.o]; n > 0 {
			word := report.Number(n) + " " + x.what
			if x.part != "" {
				word = m.paint(x.part, word)
			}
			words = append(words, word)
		}
	}
	line := strings.Join(words, ", ")
	if s.Passed > 0 {
		line = fmt.Sprintf("%s of %s: %s", report.Number(s.Connections), report.Number(s.All()), line)
	}
	return line
}

// percent says how much of a whole a part is; what is not all is not 100 %.
func percent(part, whole int) string {
	n := 100 * part / max(whole, 1)
	if part < whole {
		n = min(n, 99)
	}
	return fmt.Sprintf("%d %%", n)
}
