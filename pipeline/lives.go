package pipeline

import (
	"cmp"
	"context"
	"slices"

	"github.com/tcplife/tcplife/finding"
	"github.com/tcplife/tcplife/reassembly"
	"github.com/tcplife/tcplife/report"
	"github.com/tcplife/tcplife/rosetta"
	"github.com/tcplife/tcplife/wire"
)

// Life is one connection with every segment of it.
type Life struct {
	report.Connection
	Ladder []report.Step
	// Left is how many segments the limit has left out of Ladder.
	Left int
}

// Lives reads the source of cfg once more for the connections of one tuple, in
// either direction, whose encapsulation path is the given one (nil with
// cfg.MergeEncap). It returns those for which want holds, in the order of their opening: the same
// that Run reports, with every segment. Damage ends the reading as it does in Run;
// segments beyond the first limit of a connection are left out (0: no limit), and
// counted. An error is one of a source that was closed before its end.
func Lives(cfg *Config, tuple wire.Tuple, encap []string, limit int, want func(uid string) bool) (lives []Life, left int, err error) {
	p := passage{cfg: cfg, encap: encap, limit: limit, want: want, rules: cfg.ruleSet(), ladders: map[uint64]*ladder{}}
	p.key, _ = tuple.Key()
	p.key.Encap = 0
	// Any seed will do that tells tuples apart; nobody else's are kept.
	seed := reassembly.Seed{A: 0x9e3779b97f4a7c15, B: 0xd1b54a32d192ed03}
	p.tracker = reassembly.New(reassembly.Config{Seed: seed, Profile: cfg.Profile, Networks: cfg.Networks, Observed: p.observed, Settled: p.settled, Watch: &p.peers})

	// The reader's batches go through here and nowhere else, one at a time. So the
	// epochs, and with them the times at which the tracker hears the clock, are
	// those of Run; some of what a connection reports depends on them.
	free := make(chan *batch, 1)
	free <- newBatch(0, nil)
	r := &reader{cfg: cfg, seed: seed, dec: wire.Decoder{MergeEncap: cfg.MergeEncap}, free: free}
	p.hash = r.seed.Hash(&p.key)
	r.send = func(b *batch) {
		p.take(b)
		if b.last {
			b.portions = []uint64{everything}
		}
		free <- b
	}
	r.run(context.Background())
	if r.err != nil {
		return nil, 0, r.err
	}
	slices.SortFunc(p.lives, func(a, b numberedLife) int { return cmp.Compare(a.opened, b.opened) })
	for _, l := range p.lives {
		lives = append(lives, l.Life)
		left += l.Left
	}
	return lives, left, nil
}

// passage is one reading for the connections of one tuple.
type passage struct {
	cfg     *Config
	key     wire.Tuple // without encapsulation
	hash    uint64
	encap   []string
	limit   int
	want    func(uid string) bool
	tracker *reassembly.Tracker
	peers   rosetta.Watcher
	rules   *finding.Set
	names   names
	batch   *batch
	started bool
	ladders map[uint64]*ladder // of the open connections, by their number
	lives   []numberedLife
}

type ladder struct {
	steps []report.Step
	left  int
}

type numberedLife struct {
	opened uint64
	Life
}

// take does for one tuple what worker.work does for all of its own.
func (p *passage) take(b *batch) {
	p.batch = b
	if !p.started && b.started {
		p.started = true
		p.tracker.Advance(b.clock)
	}
	errors := b.errors
	for i := range b.n {
		if b.hashes[i] != p.hash {
			continue
		}
		for ; len(errors) > 0 && errors[0].before <= i; errors = errors[1:] {
			p.quoted(&errors[0])
		}
		s := &b.segments[i]
		k, _ := s.Tuple.Key()
		k.Encap = 0
		if k == p.key {
			// Whatever its encapsulation: the tracker knows of connections whose
			// directions differ in that.
			p.tracker.FeedHashed(s, p.hash)
		}
	}
	for i := range errors {
		p.quoted(&errors[i])
	}
	if b.started {
		p.tracker.Advance(b.clock)
	}
	if b.flush != 0 {
		p.tracker.FlushBefore(b.flush)
	}
}

func (p *passage) quoted(q *quoted) {
	k, _ := q.icmp.Tuple.Key()
	k.Encap = 0
	if k == p.key {
		p.tracker.QuotedHashed(&q.icmp, q.hash)
	}
}

func (p *passage) observed(s *wire.Segment, opened uint64, from reassembly.Side, m reassembly.Marks, doubled bool) {
	l := p.ladders[opened]
	if l == nil {
		l = &ladder{}
		p.ladders[opened] = l
	}
	if p.limit != 0 && len(l.steps) >= p.limit {
		l.left++
		return
	}
	l.steps = append(l.steps, report.Step{Segment: *s, From: from, Marks: m, Duplicate: doubled})
}

func (p *passage) settled(c *reassembly.Conn, opened uint64) {
	l := p.ladders[opened]
	delete(p.ladders, opened)
	peers := p.peers.Views(c)
	layers := p.batch.layers(c.Tuple.Encap)
	if !slices.Equal(layers, p.encap) {
		return
	}
	v := report.Connection{Conn: c, Capture: p.cfg.Name, Encap: layers}
	p.names.view(&v)
	if !p.want(v.UID) {
		return
	}
	v.Conn = c.Clone()
	v.Findings = p.rules.Check(v.Conn)
	if g := p.cfg.Grades; g != nil {
		v.Findings = g.Apply(v.Findings)
	}
	peers.Zeek.History = slices.Clone(peers.Zeek.History)
	v.Peers = &peers
	p.lives = append(p.lives, numberedLife{opened, Life{v, l.steps, l.left}})
}
