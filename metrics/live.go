package metrics

import (
	"fmt"
	"sync"
	"time"

	"github.com/tcplife/tcplife/pipeline"
	"github.com/tcplife/tcplife/reassembly"
)

// Every is the time between two snapshots of a live run; Prometheus asks every 15 s or so.
const Every = 2 * time.Second

const (
	// share is the part of the time that going through all open connections may take,
	// while the run's workers wait: a twentieth. Up to a hundred thousand of them or so
	// that is nothing; a million are counted every few seconds.
	share = 20
	// aside is how long before View a snapshot's time may have been read; none is wanted as
	// often as that.
	aside = 10 * time.Millisecond
	// missing is how many snapshots may fail to come until a run is said to hang.
	missing = 10
)

// Live makes a Snapshot of what a live run hands out: View and Take are for the functions
// of pipeline.Live. Others may want more snapshots than it does; so not every View that it
// is asked for counts, and not every snapshot comes to Take.
type Live struct {
	hosts Hosts
	now   func() time.Time

	mu     sync.Mutex
	latest *Snapshot
	heard  time.Time // when that came
	// counting is under way; nil if nothing is. present is what the last one has counted,
	// next the time from which on another may begin.
	counting *counting
	present  *Present
	next     time.Time
}

// counting is a Present that several goroutines add to.
type counting struct {
	asked time.Time
	now   func() time.Time

	mu      sync.Mutex
	present Present
	// first and last are when it was looked at the clock first and last.
	first, last time.Time
}

// looks is after how many connections it is looked at the clock: that takes as long as to
// count one.
const looks = 1 << 10

func (c *counting) visit(r *pipeline.Row) {
	client, server, states := r.Tuple.Source(), r.Tuple.Destination(), r.States
	for side, has := range r.HasState {
		if !has {
			states[side] = reassembly.Closed
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.present.connections%looks == 0 {
		c.last = c.now()
		if c.first.IsZero() {
			c.first = c.last
		}
	}
	c.present.Add(client, server, states)
}

// NewLive returns what makes snapshots of a run that is about to begin; hosts says which
// ports its clients have.
func NewLive(hosts Hosts) *Live { return &Live{hosts: hosts, now: time.Now, heard: time.Now()} }

// View asks for all that is open, if it is time to.
func (l *Live) View() pipeline.View {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.now()
	if l.counting != nil || now.Before(l.next) {
		return pipeline.View{}
	}
	c := &counting{asked: now.Add(-aside), now: l.now, present: Present{Hosts: l.hosts}}
	l.counting = c
	return pipeline.View{Visit: c.visit}
}

// Take takes a snapshot.
func (l *Live) Take(s *pipeline.Snapshot) {
	now := &Snapshot{Opened: s.Opened, Counted: s.Counted, Dropped: s.Losses.Dropped, Frozen: s.Losses.Freezes, Gaps: s.GapCount}
	now.Sources = make([]Source, 0, len(s.Total.Inputs))
	for i := range s.Total.Inputs {
		in := &s.Total.Inputs[i]
		now.Sources = append(now.Sources, Source{Name: in.Name, Frames: in.Frames, Bytes: uint64(in.Bytes), Skipped: in.Skipped, Last: in.Last})
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.heard = l.now()
	// Snapshots come in order: with the first one made after it was asked for, it is done.
	if c := l.counting; c != nil && !s.Wall.Before(c.asked) {
		l.counting, l.present = nil, &c.present
		l.next = c.asked.Add(Every / 2) // half a step early is as good as half a step late
		if rest := c.last.Add(share * c.last.Sub(c.first)); rest.After(l.next) {
			l.next = rest
		}
	}
	if s.Last { // nothing is open any more
		l.present = nil
	}
	now.Present = l.present
	l.latest = now
}

// Snapshot returns the latest; nil before the first.
func (l *Live) Snapshot() *Snapshot {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.latest
}

// Health says what is wrong with the run: nil as long as snapshots come.
func (l *Live) Health() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if d := l.now().Sub(l.heard); d > missing*Every {
		return fmt.Errorf("nothing was heard of the run for %s", d.Round(time.Second))
	}
	return nil
}
