package pipeline

import (
	"cmp"
	"slices"

	"github.com/tcplife/tcplife/report"
)

// tellEvents hands on what happened, in the order of its time.
func (m *merger) tellEvents(b *batch) {
	n := 0
	for i := range b.results {
		n += len(b.results[i].events)
	}
	if n == 0 {
		return
	}
	m.events = m.events[:0]
	for i := range b.results {
		for j := range b.results[i].events {
			e := &b.results[i].events[j]
			e.ID = m.numbers.id(e.Ref)
			m.events = append(m.events, e)
		}
	}
	slices.SortStableFunc(m.events, func(x, y *Event) int {
		return cmp.Or(cmp.Compare(x.At, y.At), cmp.Compare(x.ID, y.ID), cmp.Compare(x.Kind, y.Kind))
	})
	for _, e := range m.events {
		m.cfg.Live.Event(e)
	}
	clear(m.events)
}

// tellGaps hands on the gaps of the source, and keeps them for the next snapshot.
func (m *merger) tellGaps(x *moment) {
	for _, g := range x.gaps {
		m.summary.GapCount, m.summary.LastGap = max(x.gapCount, 1), g
		if m.cfg.Live.Gap != nil {
			m.cfg.Live.Gap(g)
		}
		if len(m.gaps) < mostGaps {
			m.gaps = append(m.gaps, g)
		}
	}
}

// interims writes connections that are still open.
func (m *merger) interims(b *batch) error {
	var list []*settled
	for i := range b.results {
		for j := range b.results[i].settled {
			if s := &b.results[i].settled[j]; s.interim {
				list = append(list, s)
			}
		}
	}
	slices.SortFunc(list, func(x, y *settled) int { return cmp.Compare(x.stamp, y.stamp) })
	for _, s := range list {
		s.buf.Stream = m.numbers.stream(s.stamp)
		if err := m.cfg.Format.(report.Interim).AddInterim(m.numbers.id(s.stamp), &s.buf); err != nil {
			return err
		}
	}
	return nil
}

// glimpse makes a snapshot of what the workers have seen.
func (m *merger) glimpse(b *batch) {
	v := b.view
	s := m.snapshot(&b.moment)
	s.At, s.Started = b.clock, b.started
	listeners := map[socket]*Listener{}
	for i := range b.results {
		g := b.results[i].glance
		if g == nil {
			continue
		}
		s.Open += g.open
		s.Behind += g.behind
		for side := range s.Census {
			for state, n := range g.census[side] {
				s.Census[side][state] += n
			}
		}
		s.Rows = append(s.Rows, g.rows...)
		s.Followed = append(s.Followed, g.followed...)
		for k, l := range g.listeners {
			if have := listeners[k]; have != nil {
				have.merge(l)
			} else {
				listeners[k] = l
			}
		}
		m.delta.Merge(&g.delta)
	}
	slices.SortFunc(s.Rows, func(x, y Row) int { return compareRows(&x, &y, v.Order, v.Reverse) })
	s.Rows = slices.Clip(s.Rows[:min(len(s.Rows), v.Rows)])
	for i := range s.Rows {
		s.Rows[i].ID = m.numbers.id(s.Rows[i].Ref)
	}
	for i := range s.Followed {
		s.Followed[i].ID = m.numbers.id(s.Followed[i].Ref)
	}
	slices.SortFunc(s.Followed, func(x, y Followed) int { return cmp.Compare(x.Ref, y.Ref) })
	for _, l := range listeners {
		s.Listeners = append(s.Listeners, *l)
	}
	slices.SortFunc(s.Listeners, func(x, y Listener) int {
		return cmp.Or(cmp.Compare(y.Open, x.Open), x.Server.Compare(y.Server), slices.Compare(x.Encap, y.Encap))
	})
	s.Listeners = slices.Clip(s.Listeners[:min(len(s.Listeners), v.Listeners)])
	m.present(s, b.moment.inputs)
}

// snapshot begins a snapshot with what the reader knows.
func (m *merger) snapshot(x *moment) *Snapshot {
	defer func() { m.gaps = nil }()
	return &Snapshot{Wall: x.wall, Opened: m.numbers.given, Losses: x.losses, Counted: x.counted, Gaps: m.gaps, GapCount: x.gapCount}
}

// present hands a snapshot on, and lets the counters of the next one begin.
func (m *merger) present(s *Snapshot, inputs []report.Input) {
	s.Delta = m.delta
	m.summary.Merge(m.delta)
	m.summary.Inputs = inputs
	s.Total, s.Evicted = m.summary, m.summary.Limits.Evicted
	m.delta = &report.Summary{}
	m.cfg.Live.Snapshot(s)
}

// lastGlimpse makes the last snapshot, when everything has been handed out.
func (m *merger) lastGlimpse(r *reader) {
	s := m.snapshot(&r.last)
	s.At, s.Started, s.Last = r.clock, r.frames > 0, true
	m.present(s, m.summary.Inputs)
}

func (l *Listener) merge(o *Listener) {
	for i := range l.States {
		l.States[i] += o.States[i]
		l.Clients[i] += o.Clients[i]
	}
	l.Open += o.Open
	l.Waiting += o.Waiting
	l.Oldest = min(l.Oldest, o.Oldest)
}
