package pipeline

import (
	"context"
	"errors"
	"io"
	"slices"
	"time"

	"github.com/tcplife/tcplife/capture"
	"github.com/tcplife/tcplife/report"
	"github.com/tcplife/tcplife/wire"
)

const (
	// clockEvery is how many frames are read between two looks at the clock while there
	// is always one at hand: at the least rate at which that lasts, some 10,000 a second,
	// much less than a flush.
	clockEvery = 64
	// lag is by how much the trackers' time stays behind the clock while no frame comes:
	// frames that passed before then have been read. Rings hand a block over after 100 ms
	// at the latest, tcpdump -U its packets after a second.
	lag = time.Second
	// mostGaps is how many gaps one flush holds; the rest is counted.
	mostGaps = 32
)

// pace is what a live run's reader goes by.
type pace struct {
	live  *Live
	clock Clock
	src   capture.Live
	// due is when the batch at hand is sent at the latest, tick when the next snapshot is.
	due, tick time.Time
	// judge is when incidents are looked for next.
	judge time.Time
	// heard is when it was found that no frame is at hand, and heardAt the capture's time
	// then; since says whether a frame came after that.
	heard    time.Time
	heardAt  wire.Time
	since    bool
	halt     time.Time // when ctx was found done
	gaps     []*capture.Gap
	gapCount uint64
	// blindSince is the beginning of the gap that was counted last.
	blindSince wire.Time
}

// moment is what a batch of a live run carries on its way besides segments.
type moment struct {
	// look: what has changed is to be looked at; the format is to be flushed. judge: so is
	// what many connections show.
	look, judge bool
	// view, if set, is what a snapshot is made of; wall is the clock then.
	view     *View
	wall     time.Time
	inputs   []report.Input
	losses   capture.Losses
	counted  bool
	gaps     []*capture.Gap
	gapCount uint64
}

func newPace(cfg *Config) *pace {
	p := &pace{live: cfg.Live, clock: cfg.Live.clock(), src: capture.Patiently(cfg.Source)}
	now := p.clock.Now()
	p.due, p.tick, p.judge = now.Add(p.live.flush()), now.Add(p.live.Every), now.Add(p.live.judge())
	return p
}

// follow is read for a live run: it fills batches until the source ends or ctx does, and
// sends them as they fill and as time passes.
func (r *reader) follow(ctx context.Context, b *batch) (_ *batch, whole bool) {
	p := r.pace
	one := make([]wire.Frame, 1)
	f := &one[0]
	for n := 0; ; {
		err := p.src.NextWithin(f, 0)
		if err == capture.ErrNoFrame {
			now := p.clock.Now()
			p.idle(now, r.clock)
			b = r.pass(b, now)
			if r.halted(ctx, now) {
				return b, !r.stopped()
			}
			if err = p.src.NextWithin(f, p.wait(now)); err == capture.ErrNoFrame {
				continue
			}
			n = 0 // it may have waited long
		}
		var damage *capture.DamageError
		var gap *capture.Gap
		switch {
		case err == nil:
		case errors.As(err, &gap):
			if gap.To == 0 && gap.From != p.blindSince {
				p.gapCount++ // and not again when more is known of it, or when it is over
				p.blindSince = gap.From
			}
			if len(p.gaps) < mostGaps {
				p.gaps = append(p.gaps, gap)
			}
			continue
		case errors.As(err, &damage):
			continue
		case err == io.EOF:
			return b, !r.stopped()
		default:
			// Closed by the user, which is how a live run ends, or for another stage's sake.
			if ctx.Err() == nil {
				r.err = err
			}
			r.elapse(p.clock.Now())
			return b, !r.stopped()
		}
		p.since = true
		b = r.take(one, b)
		if n%clockEvery == 0 {
			now := p.clock.Now()
			b = r.pass(b, now)
			if r.halted(ctx, now) {
				return b, !r.stopped()
			}
		}
		n++
	}
}

// drain is how long a source that was told to stop may go on handing out what it holds.
const drain = 2 * time.Second

// halted reports whether reading is to end; sources that Close does not reach are
// stopped by it.
func (r *reader) halted(ctx context.Context, now time.Time) bool {
	if r.stopped() {
		return true
	}
	if ctx.Err() == nil {
		return false
	}
	p := r.pace
	if _, can := p.src.(capture.Stopper); !can {
		return true
	}
	if p.halt.IsZero() {
		p.halt = now
	}
	return now.Sub(p.halt) > drain
}

// end has the source end for the user's sake.
func (p *pace) end() {
	if s, can := p.src.(capture.Stopper); !can || s.Stop() != nil {
		p.src.Close()
	}
}

// idle notes that there is no frame at hand.
func (p *pace) idle(now time.Time, clock wire.Time) {
	if p.since || p.heard.IsZero() {
		p.heard, p.heardAt, p.since = now, clock, false
	}
}

// wait is how long the reader has nothing else to do.
func (p *pace) wait(now time.Time) time.Duration {
	until := p.due
	if p.live.ticks() && p.tick.Before(until) {
		until = p.tick
	}
	return max(until.Sub(now), 0)
}

// pass sends the batch if its time has come, and returns the one to go on with.
func (r *reader) pass(b *batch, now time.Time) *batch {
	p := r.pace
	ticks := p.live.ticks() && !now.Before(p.tick)
	if now.Before(p.due) && !ticks {
		return b
	}
	r.elapse(now)
	p.due = now.Add(p.live.flush())
	// Trackers do nothing within a second when no segment comes.
	judges := p.live.judges() && r.frames > 0 && !now.Before(p.judge)
	if judges {
		p.judge = now.Add(p.live.judge())
	}
	if b.n > 0 || len(b.errors) > 0 || ticks || judges || len(p.gaps) > 0 || r.clock.Sub(r.sealed) >= time.Second {
		r.mark(b, now, ticks)
		b.judge = judges
		r.submit(b, false)
		b = r.next()
	}
	return b
}

// elapse has the capture's time go by the clock while no frame is at hand: not by its
// hands, which may be set back, or tell another time than the capture's.
func (r *reader) elapse(now time.Time) {
	if p := r.pace; r.frames > 0 && !p.since && !p.heard.IsZero() {
		r.clock = max(r.clock, p.heardAt.Add(now.Sub(p.heard)-lag))
	}
}

// mark has a batch looked at, and a snapshot made if it is time for one.
func (r *reader) mark(b *batch, now time.Time, ticks bool) {
	p := r.pace
	b.moment = moment{look: true, gaps: p.gaps, gapCount: p.gapCount}
	p.gaps = nil
	if !ticks {
		return
	}
	for !p.tick.After(now) {
		// Those that were missed are not made up for.
		p.tick = p.tick.Add(max(p.live.Every, now.Sub(p.tick).Truncate(p.live.Every)))
	}
	gaps := b.moment.gaps
	b.moment = r.moment(now)
	b.moment.gaps = gaps
	if p.live.View != nil {
		v := p.live.View()
		b.view = &v
	} else {
		b.view = &View{}
	}
}

// moment is what the reader knows for a snapshot.
func (r *reader) moment(now time.Time) moment {
	p := r.pace
	m := moment{look: true, wall: now, gaps: p.gaps, gapCount: p.gapCount}
	p.gaps = nil
	r.complete()
	m.inputs = slices.Clone(r.inputs)
	if c, ok := r.pace.src.(capture.LossCounter); ok {
		m.losses, m.counted = c.Losses(), true
	}
	return m
}
