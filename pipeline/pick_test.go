package pipeline

import (
	"bytes"
	"context"
	"net/netip"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tcplife/tcplife/capture"
	"github.com/tcplife/tcplife/incident"
	"github.com/tcplife/tcplife/reassembly"
	"github.com/tcplife/tcplife/report"
	"github.com/tcplife/tcplife/wire"
)

// picker picks by a function; if later is set, it decides when the number is known.
type picker struct {
	pick  func(c *report.Connection) bool
	later func(id uint64) bool
}

func (p picker) Pick(c *report.Connection) (bool, func(id, stream uint64) bool) {
	if p.later != nil {
		return false, func(id, _ uint64) bool { return p.later(id) }
	}
	return p.pick(c), nil
}

func pickRun(t *testing.T, name, format string, jobs int, p picker) (*report.Summary, string) {
	t.Helper()
	src, err := capture.Open(filepath.Join("../testdata/pcaps", name))
	if err != nil {
		t.Fatal(err)
	}
	defer src.Close()
	f, err := report.New(format)
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	cfg := &Config{Source: src, Name: name, Jobs: jobs, Profile: reassembly.Linux, Format: f, Output: &out, Report: report.Options{Inputs: []string{name}},
		Select: func() report.Picker { return p }, Selection: []string{"--filter x"}}
	sum, err := Run(context.Background(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	return sum, out.String()
}

// Only what is picked is reported and counted, with the numbers it has among all; what
// is said about the capture is about all of it.
func TestPick(t *testing.T) {
	odd := func(id uint64) bool { return id%2 == 1 }
	early := picker{pick: func(c *report.Connection) bool { return c.Tuple.SrcPort != 55377 }}
	for _, jobs := range []int{1, 3, 8} {
		whole, _ := pickRun(t, "lost-final-ack.pcap", "csv", jobs, picker{pick: func(*report.Connection) bool { return true }})
		a, atOnce := pickRun(t, "lost-final-ack.pcap", "csv", jobs, early)
		b, later := pickRun(t, "lost-final-ack.pcap", "csv", jobs, picker{later: odd})
		if atOnce != later {
			t.Errorf("%d jobs: what is decided later differs: %s", jobs, cmp.Diff(atOnce, later))
		}
		for _, s := range []*report.Summary{a, b} {
			if s.Connections != 2 || s.Passed != 1 || s.All() != 3 || s.Frames() != 44 || s.Closers.FIN != [2]uint64{1, 1} {
				t.Errorf("%d jobs: %d of %d connections, closers %v", jobs, s.Connections, s.All(), s.Closers)
			}
			if d := cmp.Diff(whole.Quality, s.Quality); d != "" {
				t.Errorf("%d jobs: the capture's quality depends on what is asked for: %s", jobs, d)
			}
		}
		for _, p := range []picker{early, {later: odd}} {
			s, _ := pickRun(t, "lost-final-ack.pcap", "ndjson", jobs, p) // csv has no durations
			if n := s.Durations.Dwell[0][reassembly.Established].Count(); n != 2 {
				t.Errorf("%d jobs: the times of %d connections, want 2", jobs, n)
			}
		}
		if lines := strings.Split(atOnce, "\n"); !strings.HasPrefix(lines[1], "1,") || !strings.HasPrefix(lines[2], "3,") || len(lines) != 4 {
			t.Errorf("%d jobs: %s", jobs, atOnce)
		}
	}
}

// What comes late for a connection belongs to it: it is told if and only if the
// connection was.
func TestPickLate(t *testing.T) {
	frames := generate(7, taste{Frames: 6000, Active: 50, Hosts: 5, Lost: 50, Doubled: 50, Repeated: 80, Noise: 30,
		Backwards: 30, BackwardsSpan: time.Minute, Pause: 5, Leap: 1, VLANs: 3})
	even := func(c *report.Connection) bool { return c.Tuple.SrcPort%2 == 0 }
	run := func(jobs int, pick func(c *report.Connection) bool) (lines []string, sum *report.Summary) {
		t.Helper()
		f, err := report.New("ndjson")
		if err != nil {
			t.Fatal(err)
		}
		var out bytes.Buffer
		cfg := &Config{Source: play(frames), Profile: reassembly.Linux, Format: f, Output: &out, Jobs: jobs, Report: report.Options{Inputs: []string{"x"}}}
		if pick != nil {
			cfg.Select = func() report.Picker { return picker{pick: pick} }
		}
		if sum, err = Run(context.Background(), cfg); err != nil {
			t.Fatal(err)
		}
		return strings.Split(out.String(), "\n"), sum
	}
	want, all := run(1, nil)
	for _, jobs := range []int{1, 5} {
		evens, a := run(jobs, even)
		odds, b := run(jobs, func(c *report.Connection) bool { return !even(c) })
		printed := map[string]bool{}
		for _, l := range append(evens, odds...) {
			printed[l] = true
		}
		late := 0
		for _, l := range want {
			if strings.Contains(l, `"type":"summary"`) {
				continue
			}
			if !printed[l] {
				t.Fatalf("%d jobs: neither half has %.200s", jobs, l)
			}
			if strings.HasPrefix(l, `{"type":"late"`) {
				late++
			}
		}
		if late == 0 || a.LateGroups+b.LateGroups != all.LateGroups || a.LateGroups == 0 || b.LateGroups == 0 || a.Connections+b.Connections != all.Connections {
			t.Errorf("%d jobs: %d late groups in all, %d and %d in the halves", jobs, all.LateGroups, a.LateGroups, b.LateGroups)
		}
	}
}

// What was reported is remembered as long as something may come late for it, and no
// longer.
func TestPickedForgets(t *testing.T) {
	p := newPicked(&Config{Select: func() report.Picker { return nil }, Profile: reassembly.Profile{FINRetrySpan: time.Minute}})
	at := func(s int) wire.Time { return wire.Time(0).Add(time.Duration(s) * time.Second) }
	p.add(&report.Digest{UID: "a"})
	p.advance(at(61))
	p.add(&report.Digest{UID: "b"})
	p.advance(at(100))
	if !p.has("a") || !p.has("b") || p.has("c") {
		t.Error("forgotten too soon")
	}
	p.advance(at(122))
	if p.has("a") || !p.has("b") {
		t.Error("a is remembered too long, or b too short")
	}
	p.advance(at(184))
	if p.has("b") || len(p.now)+len(p.before) != 0 {
		t.Error("b is remembered too long")
	}
	var all *picked
	all.add(&report.Digest{UID: "x"})
	all.advance(at(1))
	if !all.has("anything") {
		t.Error("without a selection everything is reported")
	}
}

// An incident is told where something of it was asked for.
func TestPickConcerned(t *testing.T) {
	a, b := netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("10.0.0.2")
	all := []incident.Incident{
		{Scope: incident.Scope{Server: b, Port: 443}},
		{Scope: incident.Scope{Client: a}},
		{Scope: incident.Scope{Client: b}},
		{Scope: incident.Scope{Server: b, Port: 80}},
		{Scope: incident.Scope{Client: a, Encap: []string{"vlan:1"}}},
		{},
	}
	p := newPicked(&Config{Select: func() report.Picker { return nil }})
	if some := p.concerned(all); len(some) != 0 {
		t.Errorf("nothing was reported: %v", some)
	}
	p.pairs[pair{a, b, 443, ""}] = true
	var ports []uint16
	for _, in := range p.concerned(all) {
		ports = append(ports, in.Scope.Port)
	}
	if d := cmp.Diff(ports, []uint16{443, 0, 0}); d != "" {
		t.Error(d)
	}
	if p.pairs = nil; len(p.concerned(all)) != len(all) {
		t.Error("too many pairs: all incidents are told")
	}
}
