package pipeline

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/tcplife/tcplife/finding"
	"github.com/tcplife/tcplife/incident"
	"github.com/tcplife/tcplife/report"
	"github.com/tcplife/tcplife/wire"
)

// refusals makes frames of connections that a listener refuses, one every 100 ms.
func refusals(n int) (frames []wire.Frame) {
	at := wire.Time(1_700_000_000_000_000_000)
	for i := range n {
		a := actor{steps: plots["refused"], seqs: [2]uint32{uint32(i) * 7919, 0}}
		a.src, a.dst, a.srcPort, a.dstPort = 0x0a000001+uint32(i%3), 0x0a800001, uint16(40000+i), 443
		for step := 0; !a.over(); step++ {
			p := a.frame()
			data, length := p.append(nil)
			frames = append(frames, wire.Frame{At: at.Add(time.Duration(i)*100*time.Millisecond + time.Duration(step)*time.Millisecond), Link: wire.LinkEthernet, Data: data, Length: length})
		}
	}
	return number(frames)
}

// TestIncidentsWhileItRuns: what many connections show is told while they come, once, for
// any number of jobs, and what the report says in the end is what it says without.
func TestIncidentsWhileItRuns(t *testing.T) {
	frames := refusals(1800) // three minutes
	want := look(t, stage(frames), "ndjson", 2, 1, nil)
	var first string
	for jobs := 1; jobs < 4; jobs++ {
		var told []report.LiveIncident
		s := stage(frames)
		got := look(t, s, "ndjson", jobs, uint64(jobs), func(cfg *Config) {
			cfg.Live.Incident = func(in *report.LiveIncident) { told = append(told, *in) }
		})
		if want.report != got.report {
			t.Fatalf("%d jobs: %s", jobs, firstDifference(want.report, got.report))
		}
		i := slices.IndexFunc(told, func(in report.LiveIncident) bool { return in.Incident.Rule.ID == "service-unreachable" })
		if i < 0 {
			t.Fatalf("%d jobs: told %v", jobs, told)
		}
		if after := told[i].At.Sub(frames[0].At); after > 2*time.Minute {
			t.Errorf("%d jobs: it is told after %v", jobs, after)
		}
		words := ""
		for _, in := range told {
			words += fmt.Sprintln(in.At, in.Withdrawn, in.Incident.Rule.ID, in.Incident.Scope, in.Incident.Severity, in.Incident.Count, in.Incident.Message)
		}
		if len(told) > 4 {
			t.Errorf("%d jobs: the same is told %d times:\n%s", jobs, len(told), words)
		}
		if first == "" {
			first = words
		} else if words != first {
			t.Errorf("%d jobs: told\n%s, with one job\n%s", jobs, words, first)
		}
	}
}

// TestIncidentsComeAndGo: one is told when it is new and when it has become graver, and
// when it is found no more.
func TestIncidentsComeAndGo(t *testing.T) {
	looks := 0
	severities := []int{-1, 0, 0, 1, 1, 0, -1, -1, 0, 0}
	rule := &incident.Rule{ID: "comes-and-goes", Catalogue: []string{"H01"}, Title: "x", Severity: finding.Error}
	rule.Check = func(_ *incident.Sums, tell func(incident.Incident)) {
		if s := severities[min(looks, len(severities)-1)]; s >= 0 {
			tell(incident.Incident{Severity: finding.Severity(s), Count: 1, Catalogue: "H01"})
		}
		looks++
	}
	var got []string
	look(t, stage(refusals(1200)), "ndjson", 2, 1, func(cfg *Config) {
		cfg.Incidents = []*incident.Rule{rule}
		cfg.Live.Incident = func(in *report.LiveIncident) {
			word := in.Incident.Severity.String()
			if in.Withdrawn {
				word = "withdrawn " + word
			}
			got = append(got, word)
		}
	})
	if want := []string{"info", "warning", "withdrawn warning", "info"}; !slices.Equal(got, want) || looks < len(severities) {
		t.Errorf("%d looks told %q, want %q", looks, got, want)
	}
}
