package pipeline

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tcplife/tcplife/finding"
	"github.com/tcplife/tcplife/report"
	"github.com/tcplife/tcplife/wire"
)

// sameLives compares what Run says of every connection with what Lives does, by
// the JSON of each, which says everything.
func sameLives(t *testing.T, frames []wire.Frame, mergeEncap bool) {
	t.Helper()
	type seen struct {
		tuple wire.Tuple
		encap []string
		want  string
		steps uint64
	}
	var all []seen
	var out bytes.Buffer
	cfg := config(t, play(frames), "ndjson", &out)
	cfg.MergeEncap = mergeEncap
	var lateOf = map[string]uint64{}
	cfg.Each = func(id uint64, d *report.Digest) {
		all = append(all, seen{tuple: d.Tuple, encap: d.Encap, steps: d.Packets[0] + d.Packets[1]})
	}
	if _, err := Run(context.Background(), cfg); err != nil {
		t.Fatal(err)
	}
	byUID := map[string]*seen{}
	var order []string
	n := 0
	for _, o := range objects(t, out.String()) {
		if o.Type == "late" {
			lateOf[o.UID]++
		}
		if o.Type != "connection" {
			continue
		}
		all[n].want = withoutID(o.line)
		byUID[o.UID] = &all[n]
		order = append(order, o.UID)
		n++
	}
	f := format(t, "ndjson")
	if err := f.Begin(&bytes.Buffer{}, &cfg.Report); err != nil {
		t.Fatal(err)
	}
	done := map[string]bool{}
	for _, uid := range order {
		if done[uid] {
			continue
		}
		s := byUID[uid]
		again := *cfg
		again.Source = play(frames)
		lives, left, err := Lives(&again, s.tuple, s.encap, 0, func(string) bool { return true })
		if err != nil || left != 0 {
			t.Fatal(err, left)
		}
		last := wire.FrameID(0)
		for _, l := range lives {
			want := byUID[l.UID]
			if want == nil {
				t.Errorf("Lives tells of a connection %s of %v that Run does not", l.UID, s.tuple)
				continue
			}
			if l.First <= last {
				t.Errorf("connection %s of frame %d comes after that of frame %d", l.UID, l.First, last)
			}
			last = l.First
			done[l.UID] = true
			var b report.Buffer
			f.Encode(&b, &l.Connection)
			if got := withoutID(string(b.AppendTo(nil, 0))); got != want.want {
				t.Errorf("Run and Lives differ in connection %s:\n%s", l.UID, firstDifference(want.want, got))
			}
			if uint64(len(l.Ladder)) != want.steps {
				t.Errorf("connection %s has %d packets and %d steps", l.UID, want.steps, len(l.Ladder))
			}
		}
		if !done[uid] {
			t.Fatalf("Lives does not tell of %s, %v %q", uid, s.tuple, s.encap)
		}
	}
}

// withoutID takes the numbers off a connection's JSON that only a whole capture gives.
func withoutID(line string) string {
	line = strings.TrimSpace(line)
	for _, key := range []string{`"id":`, `"stream":`} {
		from := strings.Index(line, key)
		to := from + strings.IndexByte(line[from:], ',')
		line = line[:from] + line[to:]
	}
	return line
}

func TestLivesAreThoseOfRun(t *testing.T) {
	for _, file := range scenarioFiles(t) {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".pcap"), func(t *testing.T) {
			frames, err := load(file)
			if err != nil {
				t.Fatal(err)
			}
			sameLives(t, frames, false)
		})
	}
}

// Here tuples return again and again, epochs end in the middle of connections, and
// what a tracker holds at that moment decides to whom a segment belongs.
func TestLivesAreThoseOfRunInALargeCapture(t *testing.T) {
	for _, merge := range []bool{false, true} {
		sameLives(t, generate(8, taste{Frames: 2500, Active: 20, Hosts: 2, Lost: 30, Doubled: 20, Repeated: 60, Noise: 20, Backwards: 20,
			BackwardsSpan: time.Minute, Pause: 5, Leap: 1, VLANs: 2}), merge)
	}
	sameLives(t, scenarioMedley(t, 1, 40*time.Second), false)
}

func TestLivesLimit(t *testing.T) {
	frames := generate(1, taste{Frames: 300, Active: 1, Hosts: 1, Pause: 20})
	var all []report.Digest
	cfg := config(t, play(frames), "discard", nil)
	cfg.Each = func(_ uint64, d *report.Digest) { all = append(all, *d) }
	if _, err := Run(context.Background(), cfg); err != nil {
		t.Fatal(err)
	}
	if len(all) < 10 {
		t.Fatalf("only %d lives of the tuple", len(all))
	}
	const limit = 3
	for _, d := range all {
		cfg.Source = play(frames)
		lives, left, err := Lives(cfg, d.Tuple, d.Encap, limit, func(uid string) bool { return uid == d.UID })
		if err != nil || len(lives) != 1 {
			t.Fatal(err, len(lives))
		}
		packets := int(d.Packets[0] + d.Packets[1])
		got := []int{len(lives[0].Ladder), lives[0].Left, left}
		want := []int{min(packets, limit), max(packets-limit, 0), max(packets-limit, 0)}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("steps, left of the life, left of all:\n%s", diff)
		}
	}
}

func TestLivesOfAClosedSource(t *testing.T) {
	src := play(generate(1, plain))
	src.Close()
	cfg := config(t, src, "discard", nil)
	if _, _, err := Lives(cfg, wire.Tuple{}, nil, 0, nil); err != os.ErrClosed {
		t.Errorf("error %v", err)
	}
}

// Rules nil stands for all of them, in both.
func TestNoRulesFindNothing(t *testing.T) {
	cfg := config(t, play(scenarioMedley(t, 1, time.Hour)), "discard", nil)
	cfg.Rules = []*finding.Rule{}
	s, err := Run(context.Background(), cfg)
	if err != nil || len(s.Findings()) != 0 {
		t.Errorf("%v, %d rules found something", err, len(s.Findings()))
	}
	cfg = config(t, play(scenarioMedley(t, 1, time.Hour)), "discard", nil)
	if s, err = Run(context.Background(), cfg); err != nil || len(s.Findings()) == 0 {
		t.Errorf("%v, %d rules found something", err, len(s.Findings()))
	}
}
