package pipeline

import (
	"bytes"
	"context"
	"errors"
	"io"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tcplife/tcplife/capture"
	"github.com/tcplife/tcplife/finding"
	"github.com/tcplife/tcplife/reassembly"
	"github.com/tcplife/tcplife/report"
	"github.com/tcplife/tcplife/wire"
)

// plain is a taste of nothing special.
var plain = taste{Frames: 30000, Active: 40, Hosts: 50, Pause: 1}

func TestDamagedInputIsReportedUpToTheDamage(t *testing.T) {
	noLeaks(t)
	frames := generate(1, plain)
	pcap := pcapBytes(frames)
	const whole = 12345
	cut := len(pcapBytes(frames[:whole])) + 20
	src, err := capture.NewReader(bytes.NewReader(pcap[:cut]), "cut.pcap")
	if err != nil {
		t.Fatal(err)
	}
	var got, want bytes.Buffer
	s, err := Run(context.Background(), config(t, src, "csv", &got))
	if err != nil {
		t.Fatal(err)
	}
	in := s.Inputs[0]
	if in.Frames != whole || len(in.Damage) != 1 || in.Damage[0].Frame != whole+1 || s.Interrupted {
		t.Errorf("%d frames, damage %v, interrupted %v", in.Frames, in.Damage, s.Interrupted)
	}
	if _, err := Run(context.Background(), config(t, play(frames[:whole]), "csv", &want)); err != nil {
		t.Fatal(err)
	}
	if got.String() != want.String() {
		t.Error(firstDifference(want.String(), got.String()))
	}
}

// hiccups is a source with damage that it can go on behind.
type hiccups struct {
	*recorded
	every int
	due   bool
}

func (s *hiccups) Next(f *wire.Frame) error {
	if s.due = !s.due && s.next%s.every == 0; s.due {
		return &capture.DamageError{Name: "hiccups", What: "a damaged block"}
	}
	return s.recorded.Next(f)
}

func TestReadingGoesOnBehindDamage(t *testing.T) {
	frames := generate(2, plain)
	var got bytes.Buffer
	if _, err := Run(context.Background(), config(t, &hiccups{recorded: play(frames), every: 100}, "csv", &got)); err != nil {
		t.Fatal(err)
	}
	if want, _ := reportOf(t, frames, "csv", 1, 1); got.String() != want {
		t.Error(firstDifference(want, got.String()))
	}
}

// slow calls do before frame n.
type slow struct {
	*recorded
	n      int
	do     func()
	reads  atomic.Int64
	closes atomic.Int64
}

func (s *slow) Next(f *wire.Frame) error {
	if s.reads.Add(1); s.next == s.n && s.do != nil {
		s.do()
		s.do = nil
	}
	return s.recorded.Next(f)
}

func (s *slow) Close() error {
	s.closes.Add(1)
	return nil // Not closed: as a source that Close cannot reach
}

func TestCancelGivesAReportOfWhatWasRead(t *testing.T) {
	noLeaks(t)
	frames := generate(3, plain)
	for name, source := range map[string]func(cancel func()) capture.Source{
		"while frames come": func(cancel func()) capture.Source {
			return &slow{recorded: play(frames), n: 7777, do: cancel}
		},
		"while Next waits": func(cancel func()) capture.Source {
			src := play(frames[:7777])
			src.endless = true
			return &slowClosed{slow{recorded: src, n: 7777, do: func() { time.AfterFunc(10*time.Millisecond, cancel) }}}
		},
	} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithCancel(context.Background())
			defer cancel()
			var out bytes.Buffer
			s, err := Run(ctx, config(t, source(cancel), "ndjson", &out))
			if err != nil {
				t.Fatal(err)
			}
			n := s.Inputs[0].Frames
			if !s.Interrupted || n < 7777 || n > 7777+64 {
				t.Fatalf("interrupted %v after %d frames", s.Interrupted, n)
			}
			all := objects(t, out.String())
			if last := all[len(all)-1]; last.Type != "summary" || !last.Interrupted {
				t.Errorf("the last line is %s", last.line)
			}
			if s.Packets[0]+s.Packets[1]+s.LatePackets != s.Inputs[0].Segments {
				t.Errorf("%v and %d late packets of %d", s.Packets, s.LatePackets, s.Inputs[0].Segments)
			}
		})
	}
}

// slowClosed is slow, and Close reaches it.
type slowClosed struct{ slow }

func (s *slowClosed) Close() error { return s.recorded.Close() }

func TestCancelBehindTheEndIsNoInterruption(t *testing.T) {
	noLeaks(t)
	ctx, cancel := context.WithCancel(context.Background())
	frames := generate(3, taste{Frames: 500, Active: 5, Hosts: 5})
	var out bytes.Buffer
	cfg := config(t, play(frames), "ndjson", &out)
	cfg.Each = func(uint64, *report.Digest) { cancel() }
	s, err := Run(ctx, cfg)
	if err != nil || s.Interrupted || s.Inputs[0].Frames != 500 {
		t.Errorf("%v, interrupted %v, %d frames", err, s.Interrupted, s.Inputs[0].Frames)
	}
}

func TestCancelledBeforeItBegins(t *testing.T) {
	noLeaks(t)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	for _, name := range report.Formats() {
		var out bytes.Buffer
		src := play(generate(1, plain))
		src.endless = true
		s, err := Run(ctx, config(t, src, name, &out))
		if err != nil || !s.Interrupted {
			t.Errorf("%s: %v, interrupted %v", name, err, s.Interrupted)
		}
	}
}

// full is a writer with so much room.
type full struct {
	room  int
	after int // what was written when there was no room
}

var errFull = errors.New("no space left on device")

func (w *full) Write(b []byte) (int, error) {
	if w.room < len(b) {
		w.after++
		return 0, errFull
	}
	w.room -= len(b)
	return len(b), nil
}

func TestFailingWriterEndsTheReading(t *testing.T) {
	noLeaks(t)
	frames := generate(4, plain)
	for _, waits := range []bool{false, true} {
		src := &slow{recorded: play(frames)}
		out := &full{room: 1 << 20}
		cfg := config(t, src, "ndjson", nil)
		cfg.Output = out
		if waits {
			// The pipe dries up after enough to overflow the output; the rest would
			// never come.
			src.frames, src.endless = frames[:20000], true
			cfg.Source = &slowClosed{slow{recorded: src.recorded}}
		}
		_, err := Run(context.Background(), cfg)
		if !errors.Is(err, errFull) {
			t.Fatalf("waits %v: %v", waits, err)
		}
		if out.after != 1 {
			t.Errorf("waits %v: %d writes after the one that failed", waits, out.after-1)
		}
		if !waits && (src.reads.Load() == int64(len(frames))+1 || src.closes.Load() == 0) {
			t.Errorf("read on to the end; closed %d times", src.closes.Load())
		}
	}
}

// failing is a format that fails, or panics, at the nth call of something.
type failing struct {
	Discard
	what  string
	left  atomic.Int64
	panic bool
	ended bool
}

func (f *failing) call(what string) error {
	if f.what != what || f.left.Add(-1) != 0 {
		return nil
	}
	if f.panic {
		panic(errFull)
	}
	return errFull
}

func (f *failing) Begin(io.Writer, *report.Options) error           { return f.call("Begin") }
func (f *failing) Encode(*report.Buffer, *report.Connection)        { _ = f.call("Encode") }
func (f *failing) Add(uint64, *report.Digest, *report.Buffer) error { return f.call("Add") }
func (f *failing) Late(*report.Late) error                          { return f.call("Late") }
func (f *failing) End(*report.Summary) error                        { f.ended = true; return f.call("End") }
func failAt(what string, nth int64, panics bool) *failing {
	f := &failing{what: what, panic: panics}
	f.left.Store(nth)
	return f
}

func TestFormatErrorsComeOut(t *testing.T) {
	noLeaks(t)
	frames := generate(4, taste{Frames: 20000, Active: 40, Hosts: 8, Repeated: 50, Pause: 5})
	for _, what := range []string{"Begin", "Add", "Late", "End"} {
		f := failAt(what, 1, false)
		cfg := config(t, play(frames), "discard", nil)
		cfg.Format = f
		if _, err := Run(context.Background(), cfg); !errors.Is(err, errFull) {
			t.Errorf("%s: %v", what, err)
		}
		if f.ended != (what == "End") {
			t.Errorf("%s failed, and End was called: %v", what, f.ended)
		}
	}
}

// A panic must neither hang the other goroutines nor be swallowed, and come where
// a caller can catch it.
func TestPanicsComeOutOfRun(t *testing.T) {
	noLeaks(t)
	frames := generate(4, taste{Frames: 20000, Active: 40, Hosts: 8, Repeated: 50, Pause: 5})
	base := func() *Config { return config(t, play(frames), "discard", nil) }
	for name, cfg := range map[string]func() *Config{
		"Encode": func() *Config { c := base(); c.Format = failAt("Encode", 700, true); return c },
		"Add":    func() *Config { c := base(); c.Format = failAt("Add", 900, true); return c },
		"Each": func() *Config {
			c := base()
			c.Each = func(uint64, *report.Digest) { panic(errFull) }
			return c
		},
		"rule": func() *Config {
			c := base()
			c.Rules = []*finding.Rule{{ID: "broken", Triggers: ^reassembly.Seen(0), Check: func(*finding.Case, func(finding.Finding)) { panic(errFull) }}}
			return c
		},
		"Next": func() *Config {
			c := base()
			c.Source = &slow{recorded: play(frames), n: 9999, do: func() { panic(errFull) }}
			return c
		},
	} {
		for _, jobs := range []int{1, 4} {
			c := cfg()
			c.Jobs = jobs
			v := func() (v any) {
				defer func() { v = recover() }()
				_, err := Run(context.Background(), c)
				return err
			}()
			err, _ := v.(error)
			if !errors.Is(err, errFull) || !strings.Contains(err.Error(), "pipeline") {
				t.Errorf("%s: Run ended with %v", name, v)
			}
		}
	}
}
