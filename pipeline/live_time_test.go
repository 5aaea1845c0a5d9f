package pipeline

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tcplife/tcplife/capture"
	"github.com/tcplife/tcplife/reassembly"
	"github.com/tcplife/tcplife/report"
	"github.com/tcplife/tcplife/wire"
)

// one returns the frames of one connection that goes by a plot, so much time between two.
func one(name string, gap time.Duration) []wire.Frame {
	a := &actor{steps: plots[name], seqs: [2]uint32{100, 200}}
	a.src, a.dst, a.srcPort, a.dstPort = 0x0a000001, 0x0a000002, 40000, 443
	var frames []wire.Frame
	at := wire.Time(1_700_000_000_000_000_000)
	for !a.over() {
		p := a.frame()
		data, length := p.append(nil)
		frames = append(frames, wire.Frame{At: at, Link: wire.LinkEthernet, Data: data, Length: length})
		at = at.Add(gap)
	}
	return number(frames)
}

// TestTimeGoesOn: when nothing comes any more, what has to leave leaves all the same, by
// the clock; and between two flushes nobody waits for long.
func TestTimeGoesOn(t *testing.T) {
	s := stage(one("orderly", time.Second))
	s.after = 2 * time.Minute
	got := look(t, s, "ndjson", 2, 1, func(cfg *Config) {
		cfg.Live.Every = time.Second
		cfg.Each = func(_ uint64, d *report.Digest) {
			if d.Ended != reassembly.EndedSettled {
				t.Errorf("it left as %v", d.Ended)
			}
		}
	})
	left := time.Duration(-1)
	for i := range got.snapshots {
		if x := &got.snapshots[i]; x.Opened == 1 && x.Open == 0 && !x.Last {
			left = x.Wall.Sub(got.start)
			break
		}
	}
	// The last frame comes after 9 s; 2MSL is 60 s, and 7.5 s more is what a timer may be late.
	if left < 76*time.Second || left > 79*time.Second {
		t.Errorf("it left after %v", left)
	}
	if len(got.events) != 4 { // and that the close took three segments
		for i := range got.events {
			t.Log(describe(&got.events[i]))
		}
		t.Fatalf("%d events", len(got.events))
	}
	for i, want := range []struct {
		kind EventKind
		at   time.Duration
	}{{EventOpened, 2 * time.Second}, {EventClosing, 7 * time.Second}, {EventClosed, 9 * time.Second}} {
		if e := &got.events[i]; e.Kind != want.kind || e.At.Sub(e.Start) != want.at || e.Settled {
			t.Errorf("event %d: %s", i, describe(e))
		}
	}
}

// TestSilenceIsSeen: a finding that needs time comes while the connection is open, and
// an attempt that nobody answers is told when its last try has had its time.
func TestSilenceIsSeen(t *testing.T) {
	s := stage(one("unanswered", time.Second))
	s.after = 10 * time.Minute
	got := look(t, s, "ndjson", 1, 1, nil)
	if len(got.events) == 0 || got.events[0].Kind != EventRefused || got.events[0].Reason != reassembly.CloseUnanswered || !got.events[0].Settled {
		t.Errorf("%d events", len(got.events))
		for i := range got.events {
			t.Log(describe(&got.events[i]))
		}
	}
	// After 131 s and the slack the kernel has given up, long before the record leaves.
	was := map[string]bool{}
	for i := range got.snapshots {
		x := &got.snapshots[i]
		if after := x.Wall.Sub(s.start); x.Open == 1 {
			sent := x.Census[reassembly.Client][reassembly.SynSent]
			was[fmt.Sprint(sent)] = true
			if after < 135*time.Second && sent != 1 || after > 145*time.Second && sent != 0 {
				t.Errorf("after %v: %d in SYN_SENT", after, sent)
			}
		}
	}
	if len(was) != 2 {
		t.Errorf("it was seen as %v", was)
	}
}

// TestMaxHold: what is open for long is written as it is, again when it has changed, and
// for good when it has settled.
func TestMaxHold(t *testing.T) {
	frames := one("orderly", 25*time.Second) // 225 s
	s := stage(frames)
	s.after = 5 * time.Minute
	got := look(t, s, "ndjson", 1, 1, func(cfg *Config) { cfg.Live.MaxHold = 30 * time.Second })
	var held []string
	uids := map[string]bool{}
	for line := range strings.Lines(got.report) {
		var o struct {
			Type, UID string
			Settled   bool
			Duration  float64
			ID        int
		}
		if err := json.Unmarshal([]byte(line), &o); err != nil {
			t.Fatal(err)
		}
		if o.Type == "connection" {
			uids[o.UID] = true
			held = append(held, fmt.Sprint(o.ID, o.Settled, o.Duration))
		}
	}
	want := []string{"1 false 25", "1 false 50", "1 false 75", "1 false 100", "1 false 150", "1 false 175", "1 false 200", "1 false 225", "1 true 225"}
	if !slices.Equal(held, want) || len(uids) != 1 {
		t.Errorf("written: %q, want %q", held, want)
	}
	if got.summary.Connections != 1 {
		t.Errorf("%d connections are counted", got.summary.Connections)
	}
}

// TestLiveLimits: the number of connections held stays below the limit, and those
// that had to leave are counted and say so.
func TestLiveLimits(t *testing.T) {
	frames := inOrder(generate(5, taste{Frames: 8000, Active: 3000, Hosts: 4000}))
	evicted := uint64(0)
	got := look(t, stage(frames), "ndjson", 2, 1, func(cfg *Config) {
		cfg.Limits.Connections = 640
		cfg.Live.Every = time.Second
		cfg.Each = func(_ uint64, d *report.Digest) {
			if d.Ended == reassembly.EndedEvicted {
				evicted++
			}
		}
	})
	most := uint64(0)
	for i := range got.snapshots {
		most = max(most, got.snapshots[i].Open)
	}
	// What a flush brings leaves behind it.
	if most > 640+64 || most < 500 {
		t.Errorf("at most %d were held, the limit is 640", most)
	}
	if evicted == 0 || got.summary.Limits.Evicted != evicted || strings.Count(got.report, `"evicted":true`) != int(evicted) {
		t.Errorf("%d were evicted, the summary says %d", evicted, got.summary.Limits.Evicted)
	}
}

// TestFollowed: a connection that is followed is shown with all that is known of it.
func TestFollowed(t *testing.T) {
	var ref atomic.Uint64 // View is called on another goroutine
	var seen []int
	s := stage(one("orderly", 10*time.Second))
	look(t, s, "ndjson", 1, 1, func(cfg *Config) {
		cfg.Live.View = func() View { return View{Rows: 1, Follow: []uint64{ref.Load(), 1 << 40}} }
		cfg.Live.Snapshot = func(x *Snapshot) {
			if len(x.Rows) > 0 {
				ref.Store(x.Rows[0].Ref)
			}
			for _, f := range x.Followed {
				if f.ID != 1 || !f.Provisional || f.UID == "" {
					t.Errorf("followed: %d %v %q", f.ID, f.Provisional, f.UID)
				}
				seen = append(seen, len(f.Conn.Events))
			}
		}
	})
	if len(seen) < 7 || !slices.IsSorted(seen) || seen[len(seen)-1] < 8 {
		t.Errorf("its events were %v", seen)
	}
}

// losing is a source that lost something.
type losing struct{ *theatre }

func (losing) Losses() capture.Losses { return capture.Losses{Received: 30, Dropped: 20, Freezes: 2} }

// TestGapsAndLosses: what a source says of its losses is in the snapshots.
func TestGapsAndLosses(t *testing.T) {
	s := losing{stage(one("orderly", 3*time.Second))}
	s.extra = []error{&capture.Gap{Name: "eth0", What: "the interface went down", From: 5}, &capture.DamageError{Name: "x", What: "damaged"}}
	var gaps []*capture.Gap
	count, losses := uint64(0), capture.Losses{}
	cfg := config(t, s, "discard", &bytes.Buffer{})
	cfg.Live = &Live{Clock: s.theatre, Every: 5 * time.Second, Snapshot: func(x *Snapshot) {
		gaps = append(gaps, x.Gaps...)
		count, losses = x.GapCount, x.Losses
	}}
	sum, err := Run(context.Background(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	if bad, _ := sum.Remarks(); sum.GapCount != 1 || !slices.ContainsFunc(bad, func(s string) bool { return strings.Contains(s, "blind once (eth0: the interface went down)") }) {
		t.Errorf("the report says %q of %d gaps", bad, sum.GapCount)
	}
	if len(gaps) != 1 || gaps[0].Name != "eth0" || count != 1 || losses.Dropped != 20 || losses.Freezes != 2 {
		t.Errorf("gaps %v, %d, losses %+v", gaps, count, losses)
	}
}

// TestLiveEnds: a live run that is told to stop ends as if its source had, whatever that
// does.
func TestLiveEnds(t *testing.T) {
	noLeaks(t)
	ctx, cancel := context.WithCancel(context.Background())
	src := play(one("half", time.Millisecond))
	src.endless = true
	var out bytes.Buffer
	cfg := config(t, src, "ndjson", &out)
	cfg.Live = &Live{Flush: time.Millisecond, Event: func(e *Event) {
		if e.Kind == EventClosing {
			cancel()
		}
	}}
	sum, err := Run(ctx, cfg)
	if err != nil || sum.Interrupted || sum.Connections != 1 || sum.Frames() != 7 {
		t.Errorf("%v, %+v", err, sum)
	}
}

// TestLivePanics: a function of the caller that fails takes the run with it, and leaves
// no goroutine behind.
func TestLivePanics(t *testing.T) {
	noLeaks(t)
	src := play(one("half", time.Millisecond))
	src.endless = true
	cfg := config(t, src, "ndjson", &bytes.Buffer{})
	cfg.Live = &Live{Flush: time.Millisecond, Event: func(*Event) { panic("told too much") }}
	defer func() {
		if v := recover(); v == nil || !strings.Contains(fmt.Sprint(v), "told too much") {
			t.Errorf("recovered %v", v)
		}
	}()
	Run(context.Background(), cfg)
}
