package pipeline

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"runtime"
	"runtime/debug"
	"sync"

	"github.com/tcplife/tcplife/capture"
	"github.com/tcplife/tcplife/finding"
	"github.com/tcplife/tcplife/incident"
	"github.com/tcplife/tcplife/reassembly"
	"github.com/tcplife/tcplife/report"
	"github.com/tcplife/tcplife/wire"
)

// Config says how to run.
type Config struct {
	// Source is what to read; Name stands for it in the report. The source may be a
	// merge of several inputs, which keep their own names in the summary. Run closes
	// the source when it stops before the end; a caller closes it in any case.
	Source capture.Source
	Name   string
	// Unread are the inputs that Source would also hold had they been opened.
	Unread []capture.Unread
	// Jobs is the number of tracking goroutines; 0 is one for each core. It never
	// changes the output.
	Jobs int
	// MergeEncap leaves encapsulation out of a connection's identity.
	MergeEncap bool
	// Profile holds the timers of hosts, Networks those of some; see
	// reassembly.Config.
	Profile  reassembly.Profile
	Networks []reassembly.Network
	// Contents has the summary say what an inventory prints: link types, octets,
	// encapsulations, and by how much the time goes back.
	Contents bool
	// Rules are run on every connection; nil stands for all.
	Rules []*finding.Rule
	// Incidents are the rules for what many connections show together; nil stands for
	// all.
	Incidents []*incident.Rule
	// Grades, if set, says which findings and incidents are told, and how grave they are.
	Grades *finding.Grades
	// Select, if set, is called once for each worker and returns what says which
	// connections are reported; the others have a number too, and count only for what
	// is said of the capture as a whole. Selection says the same in words.
	Select    func() report.Picker
	Selection []string
	// Limits bound what is held of connections.
	Limits Limits
	Format report.Format
	Report report.Options
	Output io.Writer
	// Each, if set, is called with every connection and its number before it is
	// written, in that order, on the goroutine that called Run. d is valid until
	// the call returns.
	Each func(id uint64, d *report.Digest)
	// Live, if set, follows the source instead of reading it as fast as it can.
	Live *Live
	// Observe, if set, is called with every connection that has settled, those that
	// Select leaves out too, with its log and its findings as Grades has them. Several
	// goroutines call it at once, in no particular order; c is valid until it returns.
	Observe func(c *report.Connection)

	// held, if set, is told what is held at the end of each epoch, where there are limits.
	held func(reassembly.Held)
}

func (c *Config) ruleSet() *finding.Set {
	if c.Rules == nil {
		return finding.NewSet(finding.All())
	}
	return finding.NewSet(c.Rules)
}

func (c *Config) incidentRules() []*incident.Rule {
	if c.Incidents == nil {
		return incident.All()
	}
	return c.Incidents
}

// needs returns what is read of connections.
func (c *Config) needs() report.Needs {
	n := report.NeedsOf(c.Format)
	if c.Format == (Discard{}) { // and not something that embeds one
		n = report.NoNeeds()
	}
	if c.Live != nil {
		n.Names = true
		n.Durations = n.Durations || c.Live.Snapshot != nil
	}
	if c.Each != nil { // for every connection
		n.Names, n.Sieve = true, nil
	}
	if c.Observe != nil {
		n.Events = true
	}
	if c.Select != nil {
		// An expression may ask for anything; and of all that it picks the merger must
		// know, for what comes late.
		n.Names, n.Peers, n.Events, n.Sieve = true, true, true, nil
	}
	return n
}

// Run reads the source to its end, or until ctx is cancelled, and writes the
// report. Damage of the input is no error: it stands in the summary's Input. An
// error is one of writing. A panic of any stage, a rule's or a format's too, comes
// out of Run on the caller's goroutine.
func Run(ctx context.Context, cfg *Config) (*report.Summary, error) {
	// Addresses and ports are the sender's choice: with a seed that is known, a
	// capture could be made whose connections all fall to one worker and into one slot.
	return run(ctx, cfg, reassembly.Seed{A: rand.Uint64(), B: rand.Uint64()})
}

func run(ctx context.Context, cfg *Config, seed reassembly.Seed) (*report.Summary, error) {
	jobs := cfg.Jobs
	if jobs <= 0 {
		jobs = runtime.GOMAXPROCS(0)
	}
	jobs = min(jobs, mostJobs)

	// Encode may read what Begin sets, so no worker runs before.
	m := newMerger(cfg)
	if err := cfg.Format.Begin(cfg.Output, &cfg.Report); err != nil {
		return m.summary, err
	}
	m.needs = cfg.needs()

	// stop ends the reading early. A Next that waits for a pipe cannot look at a
	// channel; closing its source sets it free.
	source, following := cfg.Source, (*pace)(nil)
	if cfg.Live != nil {
		if !cfg.Limits.given() {
			bounded := *cfg
			bounded.Limits.Connections = usualConnections
			cfg = &bounded
		}
		following = newPace(cfg)
		source = following.src
	}
	stop := make(chan struct{})
	stopReading := sync.OnceFunc(func() {
		close(stop)
		source.Close()
	})
	closing := func() { source.Close() }
	if following != nil {
		closing = following.end
	}
	defer context.AfterFunc(ctx, closing)()
	f := &failure{stop: stopReading}

	// Every channel has room for all batches, so that a send never waits.
	free := make(chan *batch, batchesInFlight)
	text := &chunks{keep: keepChunks}
	if cfg.Live != nil {
		// Floods come and go; what runs for months gives their memory back.
		text.keep = batchesInFlight * jobs
	}
	for range batchesInFlight {
		free <- newBatch(jobs, text)
	}
	toMerge := make(chan *batch, batchesInFlight)
	in, workers := make([]chan *batch, jobs), make([]*worker, jobs)
	var wg sync.WaitGroup
	for i := range in {
		w := newWorker(cfg, seed, i, jobs)
		workers[i] = w
		w.countBeside(workers[:i])
		in[i] = make(chan *batch, batchesInFlight)
		wg.Go(func() {
			for b := range in[i] {
				f.guard(func() { w.work(b) })
				b.pending.Done()
			}
			f.guard(w.finish)
		})
	}
	r := &reader{
		cfg: cfg, seed: seed, dec: wire.Decoder{MergeEncap: cfg.MergeEncap}, free: free, stop: stop, pace: following,
		send: func(b *batch) {
			b.pending.Add(jobs)
			for _, c := range in {
				c <- b
			}
			toMerge <- b
		},
	}
	if cfg.Contents {
		r.contents = &contents{}
	}
	wg.Go(func() {
		f.guard(func() { r.run(ctx) })
		for _, c := range in {
			close(c)
		}
		close(toMerge)
	})

	for b := range toMerge {
		b.pending.Wait()
		f.guard(func() { m.take(b) })
		b.written()
		if m.err != nil {
			stopReading()
		}
		free <- b
	}
	wg.Wait()
	f.rethrow()
	for _, w := range workers {
		m.tally().Merge(&w.summary)
	}
	for _, w := range workers {
		if w.owner {
			m.gatherSums(w.sums)
		}
		w.sums = nil
	}
	if sums := m.sums; sums != nil {
		m.summary.Incidents = m.picked.concerned(incident.Grade(sums.Incidents(cfg.incidentRules(), r.layers), cfg.Grades))
		m.summary.Limits.Incidents = sums.Limits()
	}
	if m.err != nil {
		return m.summary, m.err
	}
	m.summary.Inputs, m.summary.Unread = r.inputs, cfg.Unread
	m.summary.Interrupted = r.interrupted
	m.summary.Fragments = r.dec.Fragments()
	if live := cfg.Live; live != nil {
		f.guard(func() { m.tellGaps(&r.last) })
		f.rethrow()
		if live.Snapshot != nil {
			f.guard(func() { m.lastGlimpse(r) })
			f.rethrow()
		} else {
			m.summary.Merge(m.delta)
		}
		if p, ok := cfg.Format.(report.Flusher); ok {
			if err := p.Flush(); err != nil {
				return m.summary, err
			}
		}
	}
	if r.contents != nil {
		m.summary.Encaps = r.contents.paths(&r.dec)
	}
	if err := cfg.Format.End(m.summary); err != nil {
		return m.summary, err
	}
	if cfg.Live != nil && r.err != nil && ctx.Err() == nil {
		return m.summary, &SourceError{r.err}
	}
	return m.summary, nil
}

// SourceError is why the source of a live run ended before anybody wanted it to. There is
// a report of what it handed out before.
type SourceError struct{ Err error }

// Error returns the source's own words.
func (e *SourceError) Error() string { return e.Err.Error() }

// Unwrap returns the source's error.
func (e *SourceError) Unwrap() error { return e.Err }

// failure keeps the first panic of any stage. The stages go on moving batches
// without looking into them, so that all goroutines come to their end; then the
// panic goes on where Run was called.
type failure struct {
	stop func()
	mu   sync.Mutex
	what *crash
}

// guard calls do, unless a stage has failed already.
func (f *failure) guard(do func()) {
	if f.failed() {
		return
	}
	defer func() {
		if v := recover(); v != nil {
			f.mu.Lock()
			if f.what == nil {
				f.what = &crash{v, debug.Stack()}
			}
			f.mu.Unlock()
			f.stop()
		}
	}()
	do()
}

func (f *failure) failed() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.what != nil
}

func (f *failure) rethrow() {
	if f.what != nil {
		panic(f.what)
	}
}

// crash is what Run panics with: a stage's panic and where it happened, which the
// stack of Run's caller does not tell.
type crash struct {
	value any
	stack []byte
}

// Error returns the panic's value and the stack of the goroutine it happened on.
func (c *crash) Error() string { return fmt.Sprintf("%v\n\nin the stage:\n%s", c.value, c.stack) }

// Unwrap returns the panic's value if it is an error.
func (c *crash) Unwrap() error {
	err, _ := c.value.(error)
	return err
}
