package main

import (
	"context"
	"time"

	"github.com/tcplife/tcplife/capture"
	"github.com/tcplife/tcplife/pipeline"
	"github.com/tcplife/tcplife/report"
)

// liveRun is a run of live in the making: whoever takes part in it adds what it wants to
// be called for. All of that happens on one goroutine, before the format is flushed.
type liveRun struct {
	Config *pipeline.Config
	Live   *pipeline.Live
	// Source is what is read; it may be wrapped, by a source that forwards what the
	// wrapped one has beside capture.Live (Infos, Losses, Stop).
	Source capture.Live
	// Interfaces says that frames are lost which are not read in time.
	Interfaces bool

	stop    context.CancelFunc
	err     error // the first of those that printed
	events  []func(e *report.Event)
	eachs   []func(id uint64, d *report.Digest)
	views   []func() pipeline.View
	watches []*watch
}

// watch is somebody who wants snapshots.
type watch struct {
	every time.Duration
	do    func(s *pipeline.Snapshot)
	next  time.Time
	delta *report.Summary
	gaps  []*capture.Gap
}

func newLiveRun(cfg *pipeline.Config, src capture.Live) *liveRun {
	r := &liveRun{Config: cfg, Live: &pipeline.Live{}, Source: src, stop: func() {}}
	cfg.Live = r.Live
	return r
}

// onEvent has f called with every event.
func (r *liveRun) onEvent(f func(e *report.Event)) { r.events = append(r.events, f) }

// onEach has f called with every connection that has settled.
func (r *liveRun) onEach(f func(id uint64, d *report.Digest)) { r.eachs = append(r.eachs, f) }

// onSnapshot has f called about every so often, and at the end. Delta and Gaps are what
// there was since f was called last.
func (r *liveRun) onSnapshot(every time.Duration, f func(s *pipeline.Snapshot)) {
	r.watches = append(r.watches, &watch{every: every, do: f, delta: &report.Summary{}})
}

// view has snapshots hold what f asks for. Only one of all that are given may ask for an
// order, or for a choice of rows.
func (r *liveRun) view(f func() pipeline.View) { r.views = append(r.views, f) }

// failed ends the run if something could not be written.
func (r *liveRun) failed(err error) {
	if err != nil && r.err == nil {
		r.err = err
		r.stop()
	}
}

// run runs it.
func (r *liveRun) run(ctx context.Context) (*report.Summary, error) {
	ctx, r.stop = context.WithCancel(ctx)
	defer r.stop()
	r.Config.Source = r.Source
	if len(r.events) > 0 {
		r.Live.Event = func(e *report.Event) {
			for _, f := range r.events {
				f(e)
			}
		}
	}
	if len(r.eachs) > 0 {
		r.Config.Each = func(id uint64, d *report.Digest) {
			for _, f := range r.eachs {
				f(id, d)
			}
		}
	}
	if len(r.watches) > 0 {
		r.Live.Every = r.watches[0].every
		for _, w := range r.watches {
			r.Live.Every = min(r.Live.Every, w.every)
		}
		r.Live.Snapshot = r.snapshot
	}
	if len(r.views) > 0 {
		r.Live.View = r.together
	}
	sum, err := pipeline.Run(ctx, r.Config)
	if r.err != nil {
		err = r.err
	}
	return sum, err
}

// snapshot hands a snapshot to those whose time has come.
func (r *liveRun) snapshot(s *pipeline.Snapshot) {
	for _, w := range r.watches {
		w.delta.Merge(s.Delta)
		if len(w.gaps) < mostTold {
			w.gaps = append(w.gaps, s.Gaps...)
		}
		// Half a step early is as good as half a step late.
		if !s.Last && s.Wall.Before(w.next.Add(-r.Live.Every/2)) {
			continue
		}
		w.next = s.Wall.Add(w.every)
		x := *s
		x.Delta, x.Gaps = w.delta, w.gaps
		w.delta, w.gaps = &report.Summary{}, nil
		w.do(&x)
	}
}

// mostTold bounds the gaps that wait for their watch.
const mostTold = 100

// together is one view of what all want to see.
func (r *liveRun) together() (all pipeline.View) {
	for _, f := range r.views {
		v := f()
		if v.Rows > 0 {
			all.Order, all.Reverse, all.Keep = v.Order, v.Reverse, v.Keep
		}
		all.Rows, all.Listeners = max(all.Rows, v.Rows), max(all.Listeners, v.Listeners)
		if visit, other := v.Visit, all.Visit; visit != nil && other != nil {
			all.Visit = func(x *pipeline.Row) { other(x); visit(x) }
		} else if visit != nil {
			all.Visit = visit
		}
		all.Follow = append(all.Follow, v.Follow...)
	}
	return all
}
