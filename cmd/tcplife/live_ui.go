package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/spf13/pflag"

	"github.com/tcplife/tcplife/capture"
	"github.com/tcplife/tcplife/incident"
	"github.com/tcplife/tcplife/pipeline"
	"github.com/tcplife/tcplife/reassembly"
	"github.com/tcplife/tcplife/report"
	"github.com/tcplife/tcplife/selection"
	"github.com/tcplife/tcplife/ui"
	"github.com/tcplife/tcplife/wire"
)

// How often the screens of a live run have something new, and how many open connections
// they list: the gravest findings first, where there are more.
const (
	screensEvery = time.Second
	screensRows  = 5000
)

// liveScreens are the screens of live.
type liveScreens struct {
	ui bool
	o  *liveOptions

	feed *ui.Feed
	// fates is what events have told of connections that have not settled, by number.
	fates map[uint64]*fate
	mu    sync.Mutex
	refs  map[uint64]uint64 // of the open connections, by number
}

func (l *liveScreens) addFlags(f *pflag.FlagSet) {
	f.BoolVar(&l.ui, "ui", false, "look around on the terminal while it happens: what happened, connections, listeners, census, timelines (? lists the keys); the report comes when they are closed")
}

// validate refuses what would print on the screens, and has events not printed.
func (l *liveScreens) validate(o *liveOptions) error {
	if !l.ui {
		return nil
	}
	l.o = o
	for _, x := range []struct {
		flag  string
		given bool
	}{{"--format " + o.format, o.format != "text"}, {"--events", o.events != "all"}, {"--every", o.every != 0}, {"--output", o.output != ""}, {"--width", o.screen.width != 0}} {
		if x.given {
			return usage("--ui shows screens while it runs and prints nothing, which %s is about: give one of the two", x.flag)
		}
	}
	o.wanted = eventChoice{}
	return nil
}

func (l *liveScreens) attach(ctx context.Context, s *streams, run *liveRun) (finish func() error, err error) {
	if !l.ui {
		return nil, nil
	}
	in, out, err := s.screens()
	if err != nil {
		return nil, err
	}
	cfg := run.Config
	l.feed = ui.NewFeed(ui.FeedOptions{Title: spoken(cfg.Name), Every: screensEvery, Match: matchRows, Hosts: incident.Config{Profile: cfg.Profile, Networks: cfg.Networks}, Grades: cfg.Grades})
	cfg.Format = &fedFormat{cfg.Format, l.feed}
	l.fates = map[uint64]*fate{}
	run.onEvent(l.event)
	run.onEach(func(id uint64, d *report.Digest) {
		delete(l.fates, id)
		l.feed.Settled(id, d)
	})
	run.onSnapshot(screensEvery, l.snapshot)
	run.view(l.view)

	// What is printed, and what is said on standard error, waits until the screens are gone.
	var printed, said lockedBuffer
	output, stderr := cfg.Output, s.err
	cfg.Output, s.err = &printed, &said
	o := ui.Options{Explain: explained}
	l.o.screen.apply(s.out, false, &o.Report)
	o.Report.Inputs, o.Report.Name = cfg.Report.Inputs, cfg.Report.Name
	source := &endable{Live: run.Source}
	run.Source = source
	over := make(chan error, 1)
	go func() {
		err := ui.Run(ctx, l.feed, o, in, out)
		source.over.Store(true) // the user has seen enough
		over <- err
	}()
	return func() error {
		l.feed.Over()
		err := <-over
		s.err = stderr
		io.Copy(stderr, &said.Buffer)
		if _, e := io.Copy(output, &printed.Buffer); err == nil {
			err = e
		}
		return err
	}, nil
}

// endable is a source that ends when somebody says so.
type endable struct {
	capture.Live
	over atomic.Bool
}

func (e *endable) NextWithin(f *wire.Frame, d time.Duration) error {
	if e.over.Load() {
		return io.EOF
	}
	return e.Live.NextWithin(f, d)
}

// Infos are those of the source.
func (e *endable) Infos() []capture.Info { return capture.Infos(e.Live) }

// Losses are those of the source, if it counts any.
func (e *endable) Losses() (l capture.Losses) {
	if counter, ok := e.Live.(capture.LossCounter); ok {
		l = counter.Losses()
	}
	return l
}

// Stop stops the source, if it can be.
func (e *endable) Stop() error {
	if s, ok := e.Live.(capture.Stopper); ok {
		return s.Stop()
	}
	return e.Close()
}

// lockedBuffer holds what several goroutines write.
type lockedBuffer struct {
	mu sync.Mutex
	bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.Buffer.Write(p)
}

// view asks for the connections that are open, and for all of the one that is drawn.
func (l *liveScreens) view() pipeline.View {
	v := pipeline.View{Rows: screensRows, Order: pipeline.ByFindings}
	if id := l.feed.Wanted(); id != 0 {
		l.mu.Lock()
		defer l.mu.Unlock()
		if ref, ok := l.refs[id]; ok {
			v.Follow = []uint64{ref}
		}
	}
	return v
}

// snapshot tells the feed how things stand.
func (l *liveScreens) snapshot(s *pipeline.Snapshot) {
	now := ui.State{At: s.At, Started: s.Started, Left: s.Open - min(s.Open, uint64(len(s.Rows))), Inputs: slices.Clone(s.Total.Inputs), Lives: map[uint64]*report.Connection{}}
	refs := make(map[uint64]uint64, len(s.Rows))
	for i := range s.Rows {
		r := &s.Rows[i]
		refs[r.ID] = r.Ref
		row := openRow(r)
		if f := l.fates[r.ID]; f != nil {
			f.tell(&row)
		}
		now.Open = append(now.Open, row)
	}
	if len(l.fates) > 4*screensRows {
		// More connections are open than are listed, or some that nobody asked for.
		maps.DeleteFunc(l.fates, func(id uint64, _ *fate) bool { _, listed := refs[id]; return !listed })
	}
	for side := range s.Census {
		for st, n := range s.Census[side] {
			now.Census[st] += n
		}
	}
	for _, f := range s.Followed {
		now.Lives[f.ID] = f.Connection
	}
	var notes []string
	if s.Losses.Dropped > 0 {
		notes = append(notes, report.Count(s.Losses.Dropped, "frame", "frames")+" dropped")
	}
	if s.GapCount > 0 {
		notes = append(notes, report.Count(s.GapCount, "gap", "gaps"))
	}
	if s.Evicted > 0 {
		notes = append(notes, report.Number(s.Evicted)+" evicted")
	}
	now.Note = strings.Join(notes, ", ")
	l.mu.Lock()
	l.refs = refs
	l.mu.Unlock()
	l.feed.Now(now)
}

// openRow is how the screens list a connection that is open.
func openRow(r *pipeline.Row) ui.Row {
	return ui.OpenRow(ui.Row{ID: r.ID, UID: r.UID, Tuple: r.Tuple, Encap: r.Encap, Start: r.Start, End: r.Last, States: r.States, HasState: r.HasState, RTT: r.RTT,
		Packets: r.Packets, Bytes: r.Bytes}, r.RoleBy, r.Findings)
}

// fate is what is known of how a connection began and ended before it has settled.
type fate struct {
	handshake reassembly.HandshakeOutcome
	outcome   reassembly.Outcome
	reason    reassembly.CloseReason
	closer    reassembly.Side
	by        string // "fin" or "rst"; empty while nobody began to close
	ended     bool
}

// event notes what happens to a connection.
func (l *liveScreens) event(e *report.Event) {
	f := l.fates[e.ID]
	if f == nil {
		if e.Settled || e.Kind == report.EventFinding || e.Kind == report.EventWithdrawn {
			return
		}
		f = &fate{handshake: reassembly.HandshakePending}
		l.fates[e.ID] = f
	}
	closes := func(by string) {
		if e.HasBy && f.by == "" {
			f.closer, f.by = e.By, by
		}
	}
	switch e.Kind {
	case report.EventOpened:
		f.handshake = reassembly.HandshakeComplete
	case report.EventClosing:
		closes("fin")
	case report.EventRefused:
		f.ended, f.outcome, f.reason = true, reassembly.OutcomeFailure, e.Reason
		switch e.Reason {
		case reassembly.CloseRefused:
			f.handshake = reassembly.HandshakeRefused
			closes("rst")
		case reassembly.CloseICMP:
			f.handshake = reassembly.HandshakeICMP
		case reassembly.CloseUnanswered:
			f.handshake = reassembly.HandshakeUnanswered
		case reassembly.CloseHandshakeAbandoned:
			f.handshake = reassembly.HandshakeAbandoned
		default:
			f.handshake = reassembly.HandshakeReset
			closes("rst")
		}
	case report.EventClosed:
		f.ended, f.outcome, f.reason = true, reassembly.OutcomeSuccess, e.Reason
	case report.EventReset:
		f.ended, f.outcome, f.reason = true, reassembly.OutcomeFailure, e.Reason
		closes("rst")
	case report.EventDied:
		f.ended, f.outcome, f.reason = true, reassembly.OutcomeFailure, e.Reason
	}
}

// tell fills in a row what is known.
func (f *fate) tell(r *ui.Row) {
	if f.handshake != reassembly.HandshakePending && r.Handshake != reassembly.HandshakeUnseen {
		r.Handshake = f.handshake
	}
	if f.by != "" {
		r.HasCloser, r.Closer, r.By = true, f.closer, f.by
	}
	if f.ended {
		r.Outcome, r.Reason = f.outcome, f.reason
	}
}

// matchRows reads a filter for what a list of the screens has of a connection.
func matchRows(filter string) (func(r *ui.Row) bool, error) {
	made, err := selection.New(&selection.Wish{Filters: []string{filter}})
	if err != nil {
		return nil, placed(err)
	}
	for _, name := range made.Reads() {
		if !slices.Contains(ui.FieldsOfRows, name) {
			return nil, fmt.Errorf("%s is not kept of each connection while a run goes on: the screens' filter knows %s (the command line's --filter knows all)",
				name, strings.Join(ui.FieldsOfRows, ", "))
		}
	}
	p := made.Picker()
	return func(r *ui.Row) bool {
		yes, later := p.Pick(r.Connection())
		return yes && (later == nil || later(r.ID, 0))
	}, nil
}

// fedFormat is a format of which the screens see what it prints.
type fedFormat struct {
	report.Format
	feed *ui.Feed
}

// Needs adds what the screens read.
func (f *fedFormat) Needs() report.Needs {
	n := report.NeedsOf(f.Format)
	n.Names, n.Events, n.Sieve = true, true, nil
	return n
}

func (f *fedFormat) Encode(b *report.Buffer, c *report.Connection) {
	f.feed.Seen(c)
	f.Format.Encode(b, c)
}

// Flush hands on to the format.
func (f *fedFormat) Flush() error {
	if x, ok := f.Format.(report.Flusher); ok {
		return x.Flush()
	}
	return nil
}
