package pipeline

import (
	"github.com/tcplife/tcplife/finding"
	"github.com/tcplife/tcplife/reassembly"
	"github.com/tcplife/tcplife/report"
	"github.com/tcplife/tcplife/wire"
)

// worker tracks the connections of its shards.
type worker struct {
	cfg *Config
	// shards are the trackers by shard, nil for those of other workers.
	shards  [shardCount]*reassembly.Tracker
	rules   *finding.Set
	names   names
	started bool

	// What is being worked on, for the trackers' callbacks.
	batch  *batch
	result *result // in batch
	index  int
	at     int   // position in the batch
	shard  uint8 // of the tracker that calls
	view   report.Connection
}

func newWorker(cfg *Config, seed reassembly.Seed, index, jobs int) *worker {
	w := &worker{cfg: cfg, index: index, rules: cfg.ruleSet()}
	for i := index; i < shardCount; i += jobs {
		w.shards[i] = reassembly.New(reassembly.Config{
			Seed: seed, Profile: cfg.Profile, Opened: w.opened, Settled: w.settled, Late: w.late,
		})
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
	for i := range b.n {
		shard := b.hashes[i] >> (64 - shardBits)
		if t := w.shards[shard]; t != nil {
			w.at, w.shard = i, uint8(shard)
			t.FeedHashed(&b.segments[i], b.hashes[i])
		}
	}
	if b.started {
		w.advance(b.clock)
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

func (w *worker) advance(now wire.Time) {
	for i, t := range w.shards {
		if t != nil {
			w.shard = uint8(i)
			t.Advance(now)
		}
	}
}

// opened is called by a tracker when a connection begins; its stamp is the place
// of its first segment among all.
func (w *worker) opened() uint64 {
	w.result.opened = append(w.result.opened, opening{uint16(w.at), w.shard})
	return w.batch.base + uint64(w.at)
}

func (w *worker) settled(c *reassembly.Conn, opened uint64) {
	v := &w.view
	w.names.view(v, w.cfg, c, w.batch.layers(c.Tuple.Encap))
	v.Findings = w.rules.Check(c)
	s := w.result.next()
	s.shard, s.opened = w.shard, opened
	s.digest = report.NewDigest(v)
	w.cfg.Format.Encode(&s.buf, v)
	w.result.done()
}

func (w *worker) late(l *reassembly.Late) {
	encap := w.batch.layers(l.Tuple.Encap)
	w.result.late = append(w.result.late, report.Late{
		Capture: w.cfg.Name, UID: w.names.uid(&l.Key, encap), Tuple: l.Tuple, Encap: encap, Start: l.Start, End: l.End, First: l.First, Last: l.Last,
		Packets: l.Packets, Bytes: l.Bytes, SYNs: l.SYNs, FINs: l.FINs, RSTs: l.RSTs,
	})
}
