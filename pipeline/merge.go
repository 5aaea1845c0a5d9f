package pipeline

import (
	"cmp"
	"slices"

	"github.com/tcplife/tcplife/report"
)

// merger puts what the workers found in order, numbers the connections, and feeds
// the format and the summary.
type merger struct {
	cfg     *Config
	summary *report.Summary
	numbers numbers
	// openers has, by position in the batch, what began there.
	openers [batchSegments]opener
	order   []numbered
	late    []*report.Late
	err     error // of writing; nothing is written after it
}

// opener says what began with a segment: a connection, or only a stream of Wireshark.
type opener struct {
	opened *opening
	split  bool
}

// numbered is a settled connection with its number. The number stands beside the
// pointer because sorting would wait for memory at every comparison otherwise.
type numbered struct {
	id uint64
	*settled
}

func newMerger(cfg *Config) *merger {
	return &merger{cfg: cfg, summary: &report.Summary{}, numbers: newNumbers()}
}

// take merges a batch that all workers are done with.
func (m *merger) take(b *batch) {
	if m.err != nil {
		return
	}
	m.number(b)
	if m.err = m.write(b); m.err != nil {
		return
	}
	b.open, b.seen = m.numbers.open(), b.base+uint64(b.n)
	if b.last {
		b.portions = m.numbers.portions()
	}
}

// number gives the batch's new connections their numbers, by first segment.
func (m *merger) number(b *batch) {
	for i := range b.results {
		r := &b.results[i]
		for j := range r.opened {
			m.openers[r.opened[j].at].opened = &r.opened[j]
		}
		for _, at := range r.splits {
			m.openers[at].split = true
		}
	}
	for at := range m.openers[:b.n] {
		switch o := m.openers[at]; {
		case o.opened != nil:
			m.numbers.add(o.opened, b.base+uint64(at))
		case o.split:
			m.numbers.split()
		default:
			continue
		}
		m.openers[at] = opener{}
	}
}

// write hands on what the batch has settled.
func (m *merger) write(b *batch) error {
	defer m.forget()
	for i := range b.results {
		r := &b.results[i]
		for j := range r.settled {
			s := &r.settled[j]
			id, stream := m.numbers.take(s.shard, s.opened)
			s.buf.Stream, s.digest.Stream = stream, stream
			m.order = append(m.order, numbered{id, s})
		}
		for j := range r.late {
			m.late = append(m.late, &r.late[j])
		}
	}
	slices.SortFunc(m.order, func(x, y numbered) int { return cmp.Compare(x.id, y.id) })
	for _, s := range m.order {
		m.summary.Add(s.id, &s.digest)
		if m.cfg.Each != nil {
			m.cfg.Each(s.id, &s.digest)
		}
		if err := m.cfg.Format.Add(s.id, &s.digest, &s.buf); err != nil {
			return err
		}
	}
	// A frame belongs to one group, so no two have the same first one.
	slices.SortFunc(m.late, func(x, y *report.Late) int { return cmp.Compare(x.First, y.First) })
	for _, l := range m.late {
		m.summary.AddLate(l)
		if err := m.cfg.Format.Late(l); err != nil {
			return err
		}
	}
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
