package pipeline

import (
	"github.com/tcplife/tcplife/finding"
	"github.com/tcplife/tcplife/incident"
	"github.com/tcplife/tcplife/reassembly"
	"github.com/tcplife/tcplife/report"
	"github.com/tcplife/tcplife/rosetta"
	"github.com/tcplife/tcplife/wire"
)

// worker tracks the connections of its shards.
type worker struct {
	cfg  *Config
	seed reassembly.Seed
	// shards are the trackers by shard, nil for those of other workers.
	shards [shardCount]*reassembly.Tracker
	// has is 1 for each of them, 0 for the others.
	has [shardCount]uint8
	// mine are the positions of its segments in the batch, by shard, each of which begins in
	// parts; the last place is for those of others. seen and looked are what feed works with.
	mine   [batchSegments + 1]uint16
	parts  [shardCount + 1]uint16
	seen   [looksAhead]reassembly.Place
	looked uint64
	// standings is what stands works with.
	standings []reassembly.Standing
	// peers follow the connections for what other tools would say, by shard.
	peers [shardCount]*rosetta.Watcher
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
	// sums are what its connections show together, of the same sort; nil if nobody
	// asks.
	sums *incident.Sums
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
	at     int   // position in the batch
	shard  uint8 // of the tracker that calls
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
	if len(cfg.incidentRules()) > 0 {
		w.sums = w.newSums()
	}
	if w.needs.Sieve != nil {
		w.sieve = w.needs.Sieve()
	}
	if cfg.Select != nil {
		w.picker = cfg.Select()
	}
	w.telling = w.sieve == nil || w.picker != nil || cfg.Live != nil
	for i := index; i < shardCount; i += jobs {
		tracking := reassembly.Config{Seed: seed, Profile: cfg.Profile, Networks: cfg.Networks, Opened: w.opened, Settled: w.settled, Late: w.late}
		if !w.needs.Events && cfg.Live == nil {
			tracking.Unread = ^w.rules.Triggers()
		}
		if w.needs.Peers {
			w.peers[i] = &rosetta.Watcher{Split: w.split, Joined: w.joined}
			tracking.Watch = w.peers[i]
		}
		if cfg.Live != nil {
			tracking.Follow = cfg.Live.looks() || cfg.Live.MaxHold > 0
		}
		tracking.Beside = w.shards[index]
		w.shards[i], w.has[i] = reassembly.New(tracking), 1
	}
	if cfg.Live != nil {
		w.onlooker = newOnlooker(w, cfg.Live)
	}
	return w
}

// work does the worker's part of a batch.
func (w *worker) work(b *batch) {
	w.batch, w.result = b, &b.results[w.index]
	if !w.started && b.started {
		// All shards begin their clocks with the first epoch, not with their own
		// first segment: which that is depends on the seed.
		w.started = true
		w.advance(b.clock)
	}
	w.own(b)
	for shard := w.index; shard < shardCount; shard += w.jobs {
		w.feed(b, shard)
	}
	if b.started {
		w.advance(b.clock)
	}
	if w.onlooker != nil && b.flush == 0 {
		w.onlooker.look(b)
	}
	if w.cfg.Limits.given() {
		w.stands(b)
	}
	if b.flush == 0 {
		return
	}
	for i, t := range w.shards {
		if t != nil {
			w.shard = uint8(i)
			t.FlushBefore(b.flush)
		}
	}
}

// own sorts the positions of the worker's segments by shard. Trackers know nothing of each
// other, so it is the same in which order they are fed; one after the other each has its
// tables in the cache.
func (w *worker) own(b *batch) {
	counts := [shardCount]uint16{}
	for _, hash := range b.hashes[:b.n] {
		counts[hash>>(64-shardBits)]++
	}
	// Others' segments go behind the end, without a branch: whose a segment is cannot be
	// predicted.
	var next [shardCount]uint16
	at := uint16(0)
	for shard, n := range counts {
		w.parts[shard] = at
		next[shard] = batchSegments
		if w.has[shard] != 0 {
			next[shard] = at
			at += n
		}
	}
	w.parts[shardCount] = at
	for i, hash := range b.hashes[:b.n] {
		shard := hash >> (64 - shardBits)
		w.mine[next[shard]] = uint16(i)
		next[shard] += uint16(w.has[shard])
	}
}

// looksAhead is for how many segments a tracker is asked where it keeps what it is about to
// look at. One segment after the other would wait for memory each time; the looks of
// several are under way together. What is looked at for one, and the segment, take some
// seven lines of the cache: those of so many, 14 KiB, are still in its first level when the
// segments are fed, those of a whole batch are not.
const looksAhead = 32

// feed hands a shard's segments to its tracker, and the ICMP errors that quote one of its
// connections, in the order of the capture.
func (w *worker) feed(b *batch, shard int) {
	t, errors := w.shards[shard], b.errors
	w.shard = uint8(shard)
	mine := w.mine[w.parts[shard]:w.parts[shard+1]]
	for len(mine) > 0 {
		few := mine[:min(len(mine), looksAhead)]
		mine = mine[len(few):]
		seen := w.seen[:len(few)]
		for _, i := range few {
			w.looked += t.Approach(&b.segments[i], b.hashes[i])
		}
		for k, i := range few {
			seen[k] = t.Locate(&b.segments[i], b.hashes[i])
		}
		for k := range few {
			w.looked += t.Look(seen[k])
		}
		for k, i := range few {
			for len(errors) > 0 && errors[0].before <= int(i) {
				w.quoted(shard, &errors[0])
				errors = errors[1:]
			}
			w.at = int(i)
			t.FeedAt(&b.segments[i], b.hashes[i], seen[k])
		}
	}
	for i := range errors {
		w.quoted(shard, &errors[i])
	}
}

// quoted hands an ICMP error to a shard's tracker, if that has the quoted segment's
// connection.
func (w *worker) quoted(shard int, q *quoted) {
	if q.hash>>(64-shardBits) == uint64(shard) {
		w.shards[shard].QuotedHashed(&q.icmp, q.hash)
	}
}

// finish lets go of what is not needed when everything has settled: what is made of
// the sums may take as much.
func (w *worker) finish() {
	clear(w.shards[:])
	clear(w.peers[:])
}

func (w *worker) advance(now wire.Time) {
	for i, t := range w.shards {
		if t != nil {
			w.shard = uint8(i)
			t.Advance(now)
		}
	}
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
		w.views = w.peers[w.shard].Views(c)
		v.Peers = &w.views
	}
	if w.telling {
		v.Findings = w.rules.Check(c)
	} else {
		v.Findings = w.rules.Find(c)
	}
	if w.sums != nil {
		// Also what nobody asked for: what many connections show is seen on all of them.
		w.sums.Add(c, v.Findings, v.Encap)
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
	w.digest.Take(v)
	picked, then := w.pick(v)
	switch {
	case then != nil: // the merger counts it
	case !picked:
		w.summary.Pass(&w.digest)
		return
	default:
		if w.needs.Durations {
			w.summary.Durations.Add(c)
		}
		w.summary.Count(&w.digest)
	}
	example := len(v.Findings) > 0 && (then != nil || w.examples.pick(w.batch.number, stamp, v.Findings))
	printed := w.sieve == nil || w.sieve.Pick(stamp, &w.digest)
	if !example && !printed {
		return
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
