package pipeline

import (
	"cmp"
	"slices"

	"github.com/tcplife/tcplife/capture"
	"github.com/tcplife/tcplife/incident"
	"github.com/tcplife/tcplife/report"
)

// merger puts what the workers found in order, numbers the connections, and feeds
// the format and the summary.
type merger struct {
	cfg     *Config
	summary *report.Summary
	numbers numbers
	order   []*settled
	late    []*report.Late
	picked  *picked
	needs   report.Needs
	err     error // of writing; nothing is written after it
	// tally counts what is decided here: the summary itself, or, of a live run, what has
	// come since the last snapshot.
	delta  *report.Summary
	events []*Event
	gaps   []*capture.Gap // since the last snapshot
	// sums are what connections show together, of all workers, and told the incidents of
	// which was told already, by nameOf.
	sums *incident.Sums
	told map[string]incident.Incident
}

func (m *merger) tally() *report.Summary {
	if m.delta != nil {
		return m.delta
	}
	return m.summary
}

func newMerger(cfg *Config) *merger {
	m := &merger{cfg: cfg, summary: &report.Summary{Selection: cfg.Selection}, numbers: newNumbers(), picked: newPicked(cfg)}
	if cfg.Live != nil {
		m.delta, m.told = &report.Summary{}, map[string]incident.Incident{}
	}
	return m
}

// take merges a batch that all workers are done with.
func (m *merger) take(b *batch) {
	if m.err != nil {
		return
	}
	m.number(b)
	if m.cfg.Live != nil {
		m.tellGaps(&b.moment)
		m.tellEvents(b)
		if m.err = m.interims(b); m.err != nil {
			return
		}
	}
	if m.err = m.write(b); m.err != nil {
		return
	}
	if b.view != nil {
		m.glimpse(b)
	}
	if b.judge {
		m.judge(b)
	}
	if b.look {
		if f, ok := m.cfg.Format.(report.Flusher); ok {
			if m.err = f.Flush(); m.err != nil {
				return
			}
		}
	}
	b.open, b.seen = m.numbers.open(), b.until
	if m.cfg.Limits.given() {
		m.evict(b)
	}
	if b.last {
		b.portions = m.numbers.portions()
	}
}

// number gives the batch's new connections their numbers, by first segment.
func (m *merger) number(b *batch) {
	opened := b.results[0].opened
	joins, splits := b.results[0].joins, b.results[0].splits
	for i := range b.results[1:] {
		r := &b.results[1+i]
		for k, w := range r.opened {
			opened[k] |= w
		}
		joins, splits = append(joins, r.joins...), append(splits, r.splits...)
	}
	m.numbers.add(&opened, joins, splits)
}

// write hands on what the batch has settled.
func (m *merger) write(b *batch) error {
	defer m.forget()
	for i := range b.results {
		r := &b.results[i]
		for j := range r.settled {
			if !r.settled[j].interim {
				m.order = append(m.order, &r.settled[j])
			}
		}
		for j := range r.late {
			m.late = append(m.late, &r.late[j])
		}
	}
	slices.SortFunc(m.order, func(x, y *settled) int { return cmp.Compare(x.stamp, y.stamp) })
	for _, s := range m.order {
		id, stream := m.numbers.id(s.stamp), m.numbers.stream(s.stamp)
		s.buf.Stream, s.digest.Stream = stream, stream
		if s.later != nil && !m.decide(s, id, stream) {
			continue
		}
		m.picked.add(&s.digest)
		m.summary.Show(id, &s.digest)
		if !s.printed {
			continue
		}
		if m.cfg.Each != nil {
			m.cfg.Each(id, &s.digest)
		}
		if err := m.cfg.Format.Add(id, &s.digest, &s.buf); err != nil {
			return err
		}
	}
	for i := range b.results {
		for _, l := range b.results[i].left {
			m.numbers.leave(l.batch, l.count)
		}
	}
	// A frame belongs to one group, so no two have the same first one.
	slices.SortFunc(m.late, func(x, y *report.Late) int { return cmp.Compare(x.First, y.First) })
	for _, l := range m.late {
		if !m.picked.has(l.UID) {
			continue
		}
		m.summary.AddLate(l)
		if err := m.cfg.Format.Late(l); err != nil {
			return err
		}
	}
	m.picked.advance(b.clock)
	return nil
}

// forget lets go of the batch, whose memory it is. What a large epoch has left is
// left to the collector.
func (m *merger) forget() {
	clear(m.order)
	clear(m.late)
	m.order, m.late = m.order[:0], m.late[:0]
	if cap(m.order) > manyOpen {
		m.order = nil
	}
	if cap(m.late) > manyOpen {
		m.late = nil
	}
}
