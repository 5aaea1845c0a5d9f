package pipeline

import (
	"github.com/tcplife/tcplife/finding"
	"github.com/tcplife/tcplife/reassembly"
	"github.com/tcplife/tcplife/report"
	"github.com/tcplife/tcplife/rosetta"
)

// worker tracks the connections that are its own, by the hash of their tuples.
//
// One tracker has all of them. Which connections share one cannot matter, as that depends on
// the seed. But what many trackers keep of themselves (lists of memory, heads of tables, turns
// of wheels) is more than the first-level cache has room for, and connections that
// opened one after the other lay far from each other in memory.
type worker struct {
	cfg     *Config
	seed    reassembly.Seed
	tracker *reassembly.Tracker
	// These are what feed works with.
	ahead  [looksAhead]ahead
	errors []quoted // those of the batch that are left
	looked uint64
	// standings is what stands works with.
	standings []reassembly.Standing
	// peers follows the connections for what other tools would say; nil if nobody asks.
	peers *rosetta.Watcher
	rules *finding.Set
	// telling: all findings get their words at once, since they are printed, or somebody may
	// ask for anything.
	telling bool
	// needs is what the format reads of connections. sieve picks those it may print, nil
	// for all; examples those whose findings the summary may show.
	needs    report.Needs
	sieve    report.Sieve
	examples examples
	// picker says which connections are reported; nil for all.
	picker report.Picker
	// summary counts its connections: integers only, so that the sum over all workers
	// does not depend on who had which.
	summary report.Summary
	// counting counts what its connections show together, of the same sort.
	counting
	// name gives the uid of the connection in view: incidents name their examples.
	name    func() string
	names   names
	started bool
	// onlooker is set in a live run.
	onlooker *onlooker

	// What is being worked on, for the trackers' callbacks.
	batch  *batch
	result *result // in batch
	index  int     // of so many jobs
	jobs   int
	at     int // position in the batch
	view   report.Connection
	views  rosetta.Views
	digest report.Digest
}

func newWorker(cfg *Config, seed reassembly.Seed, index, jobs int) *worker {
	w := &worker{cfg: cfg, seed: seed, index: index, jobs: jobs, rules: cfg.ruleSet(), needs: cfg.needs()}
	w.view.Capture = cfg.Name
	w.name = func() string {
		if w.view.UID == "" {
			w.view.UID = w.names.uid(&w.view.Key, w.view.Encap)
		}
		return w.view.UID
	}
	if w.needs.Sieve != nil {
		w.sieve = w.needs.Sieve()
	}
	if cfg.Select != nil {
		w.picker = cfg.Select()
	}
	w.telling = w.sieve == nil || w.picker != nil || cfg.Live != nil
	tracking := reassembly.Config{Seed: seed, Profile: cfg.Profile, Networks: cfg.Networks, Opened: w.opened, Settled: w.settled, Late: w.late}
	if !w.needs.Events && cfg.Live == nil {
		tracking.Unread = ^w.rules.Triggers()
	}
	if w.needs.Peers {
		w.peers = &rosetta.Watcher{Split: w.split, Joined: w.joined}
		tracking.Watch = w.peers
	}
	if cfg.Live != nil {
		tracking.Follow = cfg.Live.looks() || cfg.Live.MaxHold > 0
	}
	w.tracker = reassembly.New(tracking)
	if cfg.Live != nil {
		w.onlooker = newOnlooker(w, cfg.Live)
	}
	return w
}

// work does the worker's part of a batch.
func (w *worker) work(b *batch) {
	w.batch, w.result = b, &b.results[w.index]
	if !w.started && b.started {
		// All trackers begin their clocks with the first epoch, not with their own
		// first segment: which that is depends on the seed.
		w.started = true
		w.tracker.Advance(b.clock)
	}
	w.feed(b)
	if b.started {
		w.tracker.Advance(b.clock)
	}
	if w.onlooker != nil && b.flush == 0 {
		w.onlooker.look(b)
	}
	if w.cfg.Limits.given() {
		w.stands(b)
	}
	if b.flush != 0 {
		w.tracker.FlushBefore(b.flush)
	}
}

// looksAhead is for how many segments a tracker is asked where it keeps what it is about to
// look at. One segment after the other would wait for memory each time; the looks of
// several are under way together. What is looked at for one, and the segment, take some
// seven lines of the cache: those of so many, 14 KiB, are still in its first level when the
// segments are fed, those of a whole batch are not.
const looksAhead = 32

// ahead is what is known of a segment before it is fed.
type ahead struct {
	hash uint64
	seen reassembly.Place
	at   uint16 // in the batch
}

// feed hands the worker's segments to its tracker, and the ICMP errors that quote one of its
// connections, in the order of the capture.
func (w *worker) feed(b *batch) {
	w.errors = b.errors
	for mine := b.share(w.index); len(mine) > 0; {
		few := w.ahead[:min(len(mine), looksAhead)]
		w.look(b, mine, few)
		mine = mine[len(few):]
		for k := range few {
			a := &few[k]
			if len(w.errors) > 0 {
				w.quotedUpTo(int(a.at))
			}
			w.at = int(a.at)
			w.tracker.FeedAt(&b.segments[a.at%batchSegments], a.hash, a.seen)
		}
	}
	w.quotedUpTo(batchSegments)
}

// look looks ahead for the first few of the worker's segments.
func (w *worker) look(b *batch, mine []uint16, few []ahead) {
	t, looked := w.tracker, uint64(0)
	for k, i := range mine[:len(few)] {
		i %= batchSegments
		hash := b.hashes[i]
		few[k].hash, few[k].at = hash, i
		looked += t.Approach(&b.segments[i], hash)
	}
	for k := range few {
		few[k].seen = t.Locate(&b.segments[few[k].at%batchSegments], few[k].hash)
	}
	for k := range few {
		looked += t.Look(few[k].seen)
	}
	w.looked = looked
}

// quotedUpTo hands those of the ICMP errors that are left to the tracker which came no later
// than the segment at a position.
func (w *worker) quotedUpTo(at int) {
	for len(w.errors) > 0 && w.errors[0].before <= at {
		w.quoted(&w.errors[0])
		w.errors = w.errors[1:]
	}
}

// quoted hands an ICMP error to the tracker, if that has the quoted segment's connection.
func (w *worker) quoted(q *quoted) {
	if ownerOf(q.hash, w.jobs) == w.index {
		w.tracker.QuotedHashed(&q.icmp, q.hash)
	}
}

// finish lets go of what is not needed when everything has settled: what is made of
// the sums may take as much.
func (w *worker) finish() {
	w.tracker, w.peers = nil, nil
	w.countAll()
}

// opened is called by a tracker when a connection begins.
func (w *worker) opened() (stamp uint64) {
	w.result.opened.add(uint16(w.at))
	return w.batch.number<<stampShift | uint64(w.at)
}

// joined is called after opened, when the connection is in the stream of another one.
func (w *worker) joined(of uint64) {
	w.result.joins = append(w.result.joins, joining{uint16(w.at), of})
}

// split is called when Wireshark would begin another stream in a connection.
func (w *worker) split() { w.result.splits = append(w.result.splits, uint16(w.at)) }

func (w *worker) settled(c *reassembly.Conn, stamp uint64) {
	w.result.leave(stamp >> stampShift)
	v := &w.view
	v.Conn, v.Encap, v.UID = c, w.batch.layers(c.Tuple.Encap), ""
	if w.needs.Names {
		w.names.view(v)
	}
	if w.needs.Peers {
		w.views = w.peers.Views(c)
		v.Peers = &w.views
	}
	if w.telling {
		v.Findings = w.rules.Check(c)
	} else {
		v.Findings = w.rules.Find(c)
	}
	if w.counter != nil {
		// Also what nobody asked for: what many connections show is seen on all of them.
		w.count(c, v.Findings, v.Encap)
	}
	if g := w.cfg.Grades; g != nil {
		v.Findings = g.Apply(v.Findings)
	}
	if o := w.onlooker; o != nil && o.watches() {
		o.settled(c, stamp, v.Findings)
	}
	if w.cfg.Observe != nil {
		w.cfg.Observe(v)
	}
	picked, then := w.pick(v)
	plain := picked && w.summary.CountPlain(v) // most are, and nothing of them is kept
	if !plain {
		w.digest.Take(v)
	}
	switch {
	case then != nil: // the merger counts it
	case !picked:
		w.summary.Pass(&w.digest)
		return
	case !plain:
		w.summary.Count(&w.digest)
	}
	if picked && w.needs.Durations {
		w.summary.Durations.Add(c)
	}
	example := len(v.Findings) > 0 && (then != nil || w.examples.pick(w.batch.number, stamp, v.Findings))
	printed := w.sieve == nil || w.sieve.Pick(stamp, v)
	if !example && !printed {
		return
	}
	if plain {
		w.digest.Take(v)
	}
	if !w.telling {
		w.rules.Tell(v.Findings)
		v.Findings = finding.Keep(v.Findings)
		w.digest.Findings = v.Findings
	}
	if example {
		w.digest.UID = w.name()
	}
	s := w.result.next()
	s.stamp, s.printed, s.interim, s.digest, s.later = stamp, printed, false, w.digest, then
	if printed {
		w.cfg.Format.Encode(&s.buf, v)
	}
	w.result.done()
}

func (w *worker) late(l *reassembly.Late) {
	encap := w.batch.layers(l.Tuple.Encap)
	w.result.late = append(w.result.late, report.Late{
		Capture: w.cfg.Name, UID: w.names.uid(&l.Key, encap), Tuple: l.Tuple, Encap: encap, Start: l.Start, End: l.End, First: l.First, Last: l.Last,
		Packets: l.Packets, Bytes: l.Bytes, SYNs: l.SYNs, FINs: l.FINs, RSTs: l.RSTs,
	})
}
