package pipeline

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/tcplife/tcplife/capture"
	"github.com/tcplife/tcplife/reassembly"
	"github.com/tcplife/tcplife/report"
	"github.com/tcplife/tcplife/wire"
)

// theatre plays frames by a clock of its own, which goes on when it is waited for: a
// frame comes when its time has come, some time after it was sent.
type theatre struct {
	frames func() (wire.Frame, bool)
	head   *wire.Frame
	// start is the clock's time at the first frame's.
	start, now time.Time
	first      wire.Time
	begun      bool
	count      uint64
	// delay is how long a frame takes to be read.
	delay func() time.Duration
	late  time.Duration
	// after is how long the clock goes on behind the last frame; idle counts ErrNoFrame.
	after  time.Duration
	ended  time.Time
	idle   int
	closed bool
	extra  []error // come before the first frame
}

func stage(frames []wire.Frame) *theatre {
	i := 0
	return &theatre{start: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), now: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), frames: func() (wire.Frame, bool) {
		if i == len(frames) {
			return wire.Frame{}, false
		}
		i++
		return frames[i-1], true
	}}
}

func (s *theatre) Now() time.Time { return s.now }

func (s *theatre) Next(*wire.Frame) error { panic("a live run asks for NextWithin") }

func (s *theatre) NextWithin(f *wire.Frame, d time.Duration) error {
	if s.closed {
		return os.ErrClosed
	}
	if len(s.extra) > 0 {
		err := s.extra[0]
		s.extra = s.extra[1:]
		return err
	}
	if s.head == nil {
		if x, ok := s.frames(); ok {
			s.head = &x
			if s.delay != nil {
				s.late = s.delay()
			}
		}
	}
	if s.head == nil {
		if s.ended.IsZero() {
			s.ended = s.now.Add(s.after)
		}
		if !s.now.Before(s.ended) {
			return io.EOF
		}
		s.now = s.now.Add(d)
		s.idle++
		return capture.ErrNoFrame
	}
	if !s.begun {
		s.begun, s.first = true, s.head.At
	}
	if wait := s.start.Add(s.head.At.Sub(s.first) + s.late).Sub(s.now); wait > d {
		s.now = s.now.Add(d)
		s.idle++
		return capture.ErrNoFrame
	} else if wait > 0 {
		s.now = s.now.Add(wait)
	}
	*f = *s.head
	s.head = nil
	s.count++
	return nil
}

func (s *theatre) Info() capture.Info { return capture.Info{Format: "memory", Frames: s.count} }
func (s *theatre) Close() error       { s.closed = true; return nil }

// watched is all that a live run told.
type watched struct {
	events    []Event
	snapshots []Snapshot
	report    string
	summary   *report.Summary
	eachs     int
	start     time.Time
}

// look runs a live run; change may be nil.
func look(t tester, s *theatre, name string, jobs int, seed uint64, change func(cfg *Config)) *watched {
	t.Helper()
	w := &watched{start: s.start}
	var out bytes.Buffer
	cfg := config(t, s, name, &out)
	cfg.Jobs = jobs
	cfg.Live = &Live{Clock: s,
		Event: func(e *Event) { w.events = append(w.events, *e) },
		Every: 10 * time.Second, Snapshot: func(s *Snapshot) {
			x := *s
			x.Total = nil
			w.snapshots = append(w.snapshots, x)
		}}
	cfg.Each = func(uint64, *report.Digest) { w.eachs++ }
	if change != nil {
		change(cfg)
	}
	var err error
	if w.summary, err = run(context.Background(), cfg, reassembly.Seed{A: seed, B: seed * 0x9e3779b97f4a7c15}); err != nil {
		t.Fatal(err)
	}
	w.report = out.String()
	return w
}

// reported returns the connections of a report by uid, without what depends on when the
// trackers were told the time: how long a connection was watched, and after how long an
// earlier life of its ports is forgotten.
func reported(t tester, ndjson string) map[string]map[string]any {
	t.Helper()
	all := map[string]map[string]any{}
	for line := range bytes.Lines([]byte(ndjson)) {
		var o map[string]any
		if err := json.Unmarshal(line, &o); err != nil {
			t.Fatalf("%v in %s", err, line)
		}
		if o["type"] != "connection" {
			continue
		}
		delete(o, "until")
		delete(o, "previous")
		delete(o["wireshark"].(map[string]any), "stream") // counted anew while an earlier life is remembered
		for _, f := range o["findings"].([]any) {
			delete(f.(map[string]any), "message") // says for how long nothing came
		}
		all[o["uid"].(string)] = o
	}
	return all
}

// inOrder returns frames as an interface hands them out: by time, and numbered so.
func inOrder(frames []wire.Frame) []wire.Frame {
	slices.SortStableFunc(frames, func(a, b wire.Frame) int { return cmp.Compare(a.At, b.At) })
	return number(frames)
}

// TestLiveIsAnalyze: however time cuts a capture into pieces, what is reported of its
// connections is what is reported of the file.
func TestLiveIsAnalyze(t *testing.T) {
	for name, frames := range map[string][]wire.Frame{
		"scenarios": inOrder(scenarioMedley(t, 1, 700*time.Millisecond)),
		"generated": inOrder(generate(3, taste{Frames: 6_000, Active: 40, Hosts: 4000, Lost: 20, Doubled: 10, Noise: 20, Pause: 5, VLANs: 3})),
	} {
		t.Run(name, func(t *testing.T) {
			want, wantSum := reportOf(t, frames, "ndjson", 2, 1)
			for seed := range uint64(4) {
				rng := rand.New(rand.NewPCG(seed, 9))
				s := stage(frames)
				s.delay = func() time.Duration { return time.Duration(rng.IntN(80)) * time.Millisecond }
				got := look(t, s, "ndjson", 1+int(seed%3), seed, func(cfg *Config) {
					cfg.Live.Flush = []time.Duration{0, time.Millisecond, 3 * time.Second, 20 * time.Millisecond}[seed]
					if seed == 2 {
						cfg.Live.Event, cfg.Live.Snapshot = nil, nil // nobody looks
					}
				})
				if d := gocmp.Diff(reported(t, want), reported(t, got.report)); d != "" {
					t.Fatalf("seed %d: analyze (-) and live (+):\n%.4000s", seed, d)
				}
				if got.summary.Connections != wantSum.Connections || got.summary.Reasons != wantSum.Reasons || got.summary.Frames() != wantSum.Frames() || got.summary.Interrupted {
					t.Errorf("seed %d: the summaries differ", seed)
				}
				if got.eachs != int(wantSum.Connections) {
					t.Errorf("Each was called %d times for %d connections", got.eachs, wantSum.Connections)
				}
			}
		})
	}
}

// TestLiveIsTheSameForAnyJobs: events and snapshots are the same for any number of cores
// and any seed.
func TestLiveIsTheSameForAnyJobs(t *testing.T) {
	frames := inOrder(scenarioMedley(t, 1, 300*time.Millisecond))
	everything := func(cfg *Config) {
		cfg.Live.View = func() View { return View{Rows: 50, Listeners: 20, Order: ByBytes} }
		cfg.Live.MaxHold = 30 * time.Second
	}
	want := look(t, stage(frames), "ndjson", 1, 1, everything)
	for jobs := 2; jobs < 5; jobs++ {
		got := look(t, stage(frames), "ndjson", jobs, uint64(jobs), everything)
		if want.report != got.report {
			t.Fatalf("%d jobs: %s", jobs, firstDifference(want.report, got.report))
		}
		for i := range want.events {
			if x, y := describe(&want.events[i]), describe(&got.events[i]); x != y {
				t.Fatalf("%d jobs: event %d is %s, with one job %s", jobs, i, y, x)
			}
		}
		for i := range want.snapshots {
			x, y := &want.snapshots[i], &got.snapshots[i]
			if x.Census != y.Census || x.Open != y.Open || x.Opened != y.Opened || x.At != y.At || fmt.Sprint(x.Listeners) != fmt.Sprint(y.Listeners) {
				t.Fatalf("%d jobs: snapshot %d is\n%+v\nwith one job\n%+v", jobs, i, y, x)
			}
			for j := range x.Rows {
				a, b := x.Rows[j], y.Rows[j]
				a.Findings, b.Findings = nil, nil
				if fmt.Sprint(a) != fmt.Sprint(b) {
					t.Fatalf("%d jobs: row %d of snapshot %d is %+v, with one job %+v", jobs, j, i, b, a)
				}
			}
		}
		if len(want.events) != len(got.events) || len(want.snapshots) != len(got.snapshots) {
			t.Errorf("%d jobs: %d events and %d snapshots, want %d and %d", jobs, len(got.events), len(got.snapshots), len(want.events), len(want.snapshots))
		}
	}
}

func describe(e *Event) string {
	s := fmt.Sprintf("%v %v id %d %s frame %d %v %v %v by %v %v %v %v settled %v", e.Kind, e.At, e.ID, e.UID, e.Frame, e.Tuple, e.States, e.HasState, e.By, e.HasBy, e.Reason, e.RTT, e.Settled)
	if e.Finding != nil {
		s += " " + e.Finding.Rule.ID + " " + e.Finding.Message
	}
	return s
}

// TestEventsOfScenarios: what is told of a connection while it is open, its report says
// too, and in the order of a life: each thing once, none after the end, no finding that
// has to be taken back.
func TestEventsOfScenarios(t *testing.T) {
	early, all := 0, 0
	for _, file := range scenarioFiles(t) {
		frames, err := load(file)
		if err != nil {
			t.Fatal(err)
		}
		digests := map[string]report.Digest{}
		got := look(t, stage(inOrder(frames)), "ndjson", 1, 1, func(cfg *Config) {
			cfg.Live.Flush = time.Millisecond
			cfg.Each = func(_ uint64, d *report.Digest) { digests[d.UID] = *d }
		})
		told := map[string][]Event{}
		for _, e := range got.events {
			told[e.UID] = append(told[e.UID], e)
		}
		for uid, events := range told {
			d, known := digests[uid]
			if !known {
				t.Errorf("%s: an event of a connection that is not in the report: %s", file, describe(&events[0]))
				continue
			}
			seen, findings := map[EventKind]int{}, map[string]int{}
			for i := range events {
				e := &events[i]
				seen[e.Kind]++
				if e.At < d.Start || e.ID == 0 {
					t.Errorf("%s: %s began at %v", file, describe(e), d.Start)
				}
				if e.Finding != nil {
					all++
					findings[e.Finding.Rule.ID]++
					if !e.Settled {
						early++
					}
				}
				if e.Kind == EventWithdrawn {
					t.Errorf("%s: %s", file, describe(e))
				}
			}
			for k, n := range seen {
				if n > 1 && k != EventFinding {
					t.Errorf("%s: %s was told %d times", file, k, n)
				}
			}
			if n := seen[EventClosed] + seen[EventReset] + seen[EventRefused] + seen[EventDied]; n > 1 || n == 0 && d.Ended != reassembly.EndedInput {
				t.Errorf("%s: %d ends were told of %s, which left as %v: %v", file, n, uid, d.Ended, d.Reason)
			}
			for i := range d.Findings {
				findings[d.Findings[i].Rule.ID]--
			}
			for id, n := range findings {
				// One rule may find the same on both sides at different times.
				if n != 0 {
					t.Errorf("%s: %s was told %+d times more than reported of %s", file, id, n, uid)
				}
			}
		}
		for uid, d := range digests {
			if len(d.Findings) > 0 && len(told[uid]) == 0 {
				t.Errorf("%s: nothing was told of %s", file, uid)
			}
		}
	}
	if early < all/3 {
		t.Errorf("of %d findings %d were told before the end", all, early)
	}
}

// TestSnapshotIsThePrefix: the rows of a snapshot say what a report of the frames until
// then says, and its census counts them.
func TestSnapshotIsThePrefix(t *testing.T) {
	frames := inOrder(scenarioMedley(t, 1, 900*time.Millisecond))
	var visited atomic.Uint64
	got := look(t, stage(frames), "discard", 2, 1, func(cfg *Config) {
		cfg.Live.View = func() View {
			return View{Rows: 1 << 20, Order: ByAge, Visit: func(*Row) { visited.Add(1) }}
		}
		cfg.Live.Every = 11 * time.Second
	})
	if len(got.snapshots) < 20 {
		t.Fatalf("%d snapshots", len(got.snapshots))
	}
	rows, states := 0, map[reassembly.State]bool{}
	for i := range got.snapshots {
		s := &got.snapshots[i]
		if s.Last {
			if s.Open != 0 || len(s.Rows) != 0 {
				t.Errorf("the last snapshot has %d open connections", s.Open)
			}
			continue
		}
		n := 0
		for n < len(frames) && frames[n].At.Sub(frames[0].At) <= s.Wall.Sub(got.start) {
			n++
		}
		final := map[string]report.Digest{}
		var out bytes.Buffer
		cfg := config(t, play(frames[:n]), "discard", &out)
		cfg.Each = func(_ uint64, d *report.Digest) { final[d.UID] = *d }
		if _, err := Run(context.Background(), cfg); err != nil {
			t.Fatal(err)
		}
		var census [2][reassembly.StateCount]uint64
		if uint64(len(s.Rows)) != s.Open {
			t.Errorf("%d rows, %d are open", len(s.Rows), s.Open)
		}
		for _, r := range s.Rows {
			d, known := final[r.UID]
			if !known {
				t.Fatalf("the report of %d frames lacks %s", n, r.UID)
			}
			rows++
			for side := range census {
				if r.HasState[side] {
					census[side][r.States[side]]++
					states[r.States[side]] = true
				}
			}
			quiet := s.At.Sub(r.Last) // time alone may have changed it
			if r.Packets[0]+r.Packets[1] == 1 && min(quiet, frames[n-1].At.Sub(r.Last)) < 2*replyLook {
				continue // whether the SYN's answer is late or missing, a moment decides
			}
			if r.Packets != d.Packets || r.Bytes != d.Bytes || quiet < 20*time.Second && (r.States != d.Final || r.HasState != d.HasState) {
				t.Errorf("after %d frames %s: %v %v %v, the report says %v %v %v", n, r.UID, r.States, r.Packets, r.Bytes, d.Final, d.Packets, d.Bytes)
			}
		}
		if census != s.Census {
			t.Errorf("the census is %v, the rows say %v", s.Census, census)
		}
	}
	if visited.Load() != uint64(rows) {
		t.Errorf("%d connections were visited, %d were rows", visited.Load(), rows)
	}
	if rows < 200 || len(states) < 9 {
		t.Errorf("%d rows with %d states are too few to show anything", rows, len(states))
	}
}

// TestCountersAddUp: the deltas of all snapshots are the summary.
func TestCountersAddUp(t *testing.T) {
	frames := inOrder(scenarioMedley(t, 1, 300*time.Millisecond))
	var totals []uint64
	got := look(t, stage(frames), "discard", 3, 1, func(cfg *Config) {
		inner := cfg.Live.Snapshot
		cfg.Live.Snapshot = func(s *Snapshot) {
			totals = append(totals, s.Total.Connections)
			inner(s)
		}
	})
	_, want := reportOf(t, frames, "ndjson", 2, 1)
	sum := &report.Summary{}
	for i := range got.snapshots {
		sum.Merge(got.snapshots[i].Delta)
		if totals[i] != sum.Connections {
			t.Errorf("snapshot %d: %d connections in all, the deltas make %d", i, totals[i], sum.Connections)
		}
	}
	if sum.Connections != want.Connections || sum.Reasons != want.Reasons || sum.Closers != want.Closers || sum.Census != want.Census || sum.Handshakes != want.Handshakes {
		t.Errorf("the deltas make %d connections, %v; want %d, %v", sum.Connections, sum.Reasons, want.Connections, want.Reasons)
	}
	if g, w := &sum.Durations.RTT[0], &want.Durations.RTT[0]; g.Count() != w.Count() || w.Count() == 0 {
		t.Errorf("%d round trips, want %d", g.Count(), w.Count())
	}
	last := got.snapshots[len(got.snapshots)-1]
	if !last.Last || last.Opened != want.Connections {
		t.Errorf("the last snapshot: Last %v, %d opened", last.Last, last.Opened)
	}
	for _, f := range want.Findings() {
		n := uint64(0)
		for _, g := range sum.Findings() {
			if g.Rule == f.Rule {
				n = g.Count
			}
		}
		if n != f.Count {
			t.Errorf("%d findings %s, want %d", n, f.Rule.ID, f.Count)
		}
	}
}
