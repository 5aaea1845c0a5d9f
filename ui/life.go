package ui

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	tea "charm.land/bubbletea/v2"

	"github.com/tcplife/tcplife/report"
)

// lifePage draws a connection's life: two lanes, and all that is known of it.
type lifePage struct {
	row  Row
	at   int // where it was in the list
	life *Life
	err  error
	// told are the IDs of its findings, chosen the one to explain.
	told   []string
	chosen int

	number   int
	progress *Progress
	cancel   context.CancelFunc
	pager    pager
	drawn    int
}

func (p *lifePage) title(*Model) string {
	s := fmt.Sprintf("Connection #%s: %s > %s", report.Number(p.row.ID), p.row.Tuple.Source(), p.row.Tuple.Destination())
	if len(p.told) > 0 {
		s += "  [" + p.told[p.chosen] + "]"
	}
	return report.Printable(s)
}

func (p *lifePage) hints() string {
	s := "] next  [ previous  "
	switch {
	case len(p.told) > 1:
		s = "e explain  tab next finding  " + s
	case len(p.told) == 1:
		s = "e explain  " + s
	}
	return s
}

func (p *lifePage) text() *pager  { return &p.pager }
func (p *lifePage) reading() bool { return p.progress != nil && p.life == nil }

func (p *lifePage) close() {
	if p.cancel != nil {
		p.cancel()
		p.cancel = nil
	}
}

// load asks for the connection. quiet: what is on the screen stays until it is there.
func (p *lifePage) load(m *Model, quiet bool) tea.Cmd {
	p.close()
	m.number++
	p.number = m.number
	ctx, cancel := context.WithCancel(context.Background())
	p.cancel = cancel
	progress := &Progress{}
	p.progress = progress
	if !quiet {
		p.life, p.err, p.told, p.chosen, p.drawn = nil, nil, nil, 0, 0
		p.pager = pager{find: p.pager.find}
		for _, f := range p.row.Findings {
			p.told = append(p.told, f.Rule.ID)
		}
	}
	row, number := p.row, p.number
	read := func() tea.Msg {
		defer cancel()
		life, err := m.src.Life(ctx, &row, progress)
		return lived{p, number, life, err}
	}
	if quiet {
		return read
	}
	return tea.Batch(read, m.drawSoon())
}

// renew asks again, in a run that goes on; not before the last answer.
func (p *lifePage) renew(m *Model) tea.Cmd {
	if p.progress != nil {
		return nil
	}
	return p.load(m, true)
}

func (p *lifePage) lived(msg lived) tea.Cmd {
	if msg.number != p.number {
		return nil
	}
	p.progress = nil
	if msg.err != nil {
		if !errors.Is(msg.err, context.Canceled) {
			p.err = msg.err
		}
		p.drawn = 0
		return nil
	}
	p.life, p.err, p.drawn = msg.life, nil, 0
	chosen := ""
	if p.chosen < len(p.told) {
		chosen = p.told[p.chosen]
	}
	p.told = nil
	for i := range p.life.Findings {
		if id := p.life.Findings[i].Rule.ID; !slices.Contains(p.told, id) {
			p.told = append(p.told, id)
		}
	}
	p.chosen = max(slices.Index(p.told, chosen), 0)
	return nil
}

func (p *lifePage) draw(m *Model, columns int) {
	switch {
	case p.life == nil && p.err != nil:
		p.pager.set(wrapText(report.Printable(p.err.Error()), columns))
	case p.life == nil:
		words := "reading"
		if p.progress != nil {
			if s := p.progress.String(); s != "" {
				words = s
			}
		}
		p.pager.set(wrapText(words, columns))
	case p.drawn != columns:
		var b strings.Builder
		o := m.o.Report
		o.Width = columns
		if p.err != nil {
			b.WriteString(m.paint("warning", report.Printable(p.err.Error())) + "\n")
		}
		if p.life.Note != "" {
			b.WriteString(m.paint("warning", report.Printable(p.life.Note)) + "\n")
		}
		if err := report.Timeline(&b, &p.life.Connection, p.life.ID, p.life.Ladder, &o); err != nil {
			b.WriteString(err.Error())
		}
		p.pager.set(wrapText(b.String(), columns))
		p.drawn = columns
	}
}

func (p *lifePage) key(m *Model, key string) tea.Cmd {
	switch key {
	case "e":
		if len(p.told) == 0 {
			m.status = "this connection has no finding to explain"
			return nil
		}
		m.open(&explainPage{id: p.told[p.chosen]})
	case "tab":
		if len(p.told) > 0 {
			p.chosen = (p.chosen + 1) % len(p.told)
		}
	case "shift+tab":
		if n := len(p.told); n > 0 {
			p.chosen = (p.chosen + n - 1) % n
		}
	case "]":
		return p.step(m, 1)
	case "[":
		return p.step(m, -1)
	}
	return nil
}

// step goes to the connection beside this one in the list.
func (p *lifePage) step(m *Model, by int) tea.Cmd {
	t := &m.connections
	at := p.at
	if i := slices.IndexFunc(t.order, func(r *Row) bool { return r.UID == p.row.UID }); i >= 0 {
		at = i
	}
	at += by
	if at < 0 || at >= len(t.order) {
		m.status = "there is no further connection in the list"
		return nil
	}
	p.row, p.at = *t.order[at], at
	t.at = at
	t.clamp(len(t.order), t.h)
	return p.load(m, false)
}
