package metrics

import (
	"context"
	"errors"
	"io"
	"path/filepath"
	"testing"
	"time"

	"github.com/tcplife/tcplife/capture"
	"github.com/tcplife/tcplife/pipeline"
	"github.com/tcplife/tcplife/reassembly"
	"github.com/tcplife/tcplife/report"
	"github.com/tcplife/tcplife/wire"
)

// replay plays a capture with a clock of its own that is the frames' time, and goes on
// for a while behind the last one.
type replay struct {
	capture.Source
	now  time.Time
	rest int // how often there is no frame before the end
	next *wire.Frame
	// A snapshot was asked for, and was taken: the clock waits for it.
	asked bool
	taken chan struct{}
}

func (r *replay) Now() time.Time { return r.now }

func (r *replay) NextWithin(f *wire.Frame, d time.Duration) error {
	if r.asked {
		<-r.taken
		r.asked = false
	}
	if r.next == nil {
		r.next = &wire.Frame{}
		if err := r.Source.Next(r.next); err != nil {
			r.next = nil
			if !errors.Is(err, io.EOF) || r.rest == 0 {
				return err
			}
			r.rest--
			r.now = r.now.Add(d)
			return capture.ErrNoFrame
		}
	}
	if at := r.next.At.Std(); r.now.IsZero() {
		r.now = at
	} else if at.After(r.now.Add(d)) {
		r.now = r.now.Add(d)
		return capture.ErrNoFrame
	} else if at.After(r.now) {
		r.now = at
	}
	*f, r.next = *r.next, nil
	return nil
}

// TestLive: at each snapshot, what going through all open connections has counted is what
// the run itself has.
func TestLive(t *testing.T) {
	file, err := capture.Open(filepath.Join("../testdata/pcaps", "close-wait.pcap.gz"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	source := &replay{Source: file, rest: 600, taken: make(chan struct{}, 1)}
	live, r := NewLive(Hosts{Profile: reassembly.Linux}), NewRecorder()
	live.now = source.Now // nothing takes time while it waits
	view := func() pipeline.View { source.asked = true; return live.View() }
	snapshots, waiting := 0, uint64(0)
	sum, err := pipeline.Run(context.Background(), &pipeline.Config{
		Source: source, Name: "close-wait", Format: all{}, Observe: r.Observe, Profile: reassembly.Linux,
		Live: &pipeline.Live{Clock: source, Every: 5 * time.Second, View: view, Snapshot: func(s *pipeline.Snapshot) {
			live.Take(s)
			if !s.Last {
				source.taken <- struct{}{}
			}
			now := live.Snapshot()
			if s.Last != (now.Present == nil) {
				t.Errorf("at %s what is open: %+v", s.Wall, now.Present)
			}
			if s.Last {
				return
			}
			snapshots++
			p := now.Present
			if p.connections != s.Open {
				t.Errorf("at %s %d connections are open, of %d", s.Wall, p.connections, s.Open)
			}
			for side := range p.endpoints {
				eachState(func(state reassembly.State) {
					if got, want := p.endpoints[side][state], s.Census[side][state]; got != want {
						t.Errorf("at %s %d endpoints of the %s in %s, of %d", s.Wall, got, reassembly.Side(side), state, want)
					}
				})
			}
			waiting = max(waiting, p.endpoints[reassembly.Server][reassembly.CloseWait])
			if len(now.Sources) != 1 || now.Sources[0].Frames == 0 || now.Sources[0].Last == 0 {
				t.Errorf("sources: %+v", now.Sources)
			}
		}},
	})
	if err != nil {
		t.Fatal(err)
	}
	// The service forgets to close 30 connections, see testdata/traffic/close-wait.txt.
	if snapshots < 10 || waiting != 30 {
		t.Errorf("%d snapshots, at most %d in CLOSE_WAIT; want 30", snapshots, waiting)
	}
	got := gathered(t, NewCollector(someBuild, r, live.Snapshot))
	if n := number(got["tcplife_connections_opened_total"]); n != float64(sum.Connections) {
		t.Errorf("%v opened, of %d", n, sum.Connections)
	}
	if n := number(got["tcplife_connections_open"]); n != 0 {
		t.Errorf("%v open at the end", n)
	}
	for i, reason := range reassembly.CloseReasons() {
		if n := number(got[`tcplife_connections_closed_total{reason="`+reason+`"}`]); n != float64(sum.Reasons[i]) {
			t.Errorf("%v ended by %s, of %d", n, reason, sum.Reasons[i])
		}
	}
	if err := live.Health(); err != nil {
		t.Error(err)
	}
	live.heard = live.now().Add(-time.Minute)
	if live.Health() == nil {
		t.Error("a run of which nothing was heard for a minute is well")
	}
}

// TestLivePace: what is open is counted at a pace of its own, however many snapshots others
// want, and less often when that takes long; what was counted stands until then.
func TestLivePace(t *testing.T) {
	now := noon
	live := NewLive(Hosts{})
	live.now = func() time.Time { return now }
	var ahead []time.Time // snapshots that were asked for and have not come
	view := func(takes time.Duration) (visited bool) {
		ahead = append(ahead, now)
		v := live.View()
		if v.Visit == nil {
			return false
		}
		for range looks {
			v.Visit(&pipeline.Row{})
		}
		now = now.Add(takes)
		v.Visit(&pipeline.Row{})
		return true
	}
	take := func() {
		live.Take(&pipeline.Snapshot{Wall: ahead[0], Total: &report.Summary{}})
		ahead = ahead[1:]
		if p := live.Snapshot().Present; p == nil || p.connections != looks+1 {
			t.Errorf("at %s the snapshot counts %+v, not all connections", now, p)
		}
	}
	for i, step := range []struct {
		after, takes time.Duration
		visited      bool
	}{
		{0, 10 * time.Millisecond, true},
		{500 * time.Millisecond, 0, false}, // somebody else wants it
		{1500 * time.Millisecond, 10 * time.Millisecond, true},
		{Every, time.Second, true},
		{Every, 0, false}, // 20 s are not over
		{17 * time.Second, 0, false},
		{Every, 0, true},
	} {
		now = now.Add(step.after)
		if got := view(step.takes); got != step.visited {
			t.Errorf("step %d: visited %v, want %v", i, got, step.visited)
		}
		take()
	}
	// Two are asked for before the first comes: the second has nothing to count.
	now = now.Add(Every)
	if !view(0) {
		t.Error("the first of two is not counted")
	}
	now = now.Add(Every)
	if view(0) {
		t.Error("two are counted at once")
	}
	take()
	take()
	now = now.Add(Every)
	if !view(0) {
		t.Error("none is counted any more")
	}
	take()
	live.Take(&pipeline.Snapshot{Wall: now, Last: true, Total: &report.Summary{}})
	if live.Snapshot().Present != nil {
		t.Error("something is open after the last snapshot")
	}
}
