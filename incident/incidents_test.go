package incident_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tcplife/tcplife/finding"
	"github.com/tcplife/tcplife/incident"
	"github.com/tcplife/tcplife/pipeline"
	"github.com/tcplife/tcplife/reassembly"
	"github.com/tcplife/tcplife/report"
	"github.com/tcplife/tcplife/wire"
)

const scripts = "../testdata/incidents"

func trafficFiles(t testing.TB) (names []string) {
	t.Helper()
	all, err := filepath.Glob(scripts + "/*.txt")
	if err != nil || len(all) == 0 {
		t.Fatalf("no traffic scripts in %s: %v", scripts, err)
	}
	return all
}

// analyze takes frames all the way through.
func analyze(t testing.TB, frames []wire.Frame, name, format string, jobs int) (string, *report.Summary) {
	t.Helper()
	f, err := report.New(format)
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	s, err := pipeline.Run(context.Background(), &pipeline.Config{Source: &recorded{frames: frames}, Name: name, Jobs: jobs, Profile: reassembly.Linux,
		Format: f, Output: &out, Report: report.Options{Inputs: []string{name}, Width: 100}})
	if err != nil {
		t.Fatal(err)
	}
	return out.String(), s
}

// brief puts an incident into the form of an expectation.
func brief(in *incident.Incident) string {
	return strings.TrimSpace(fmt.Sprintf("%s %s %s %s %s count %d", in.Rule.ID, in.Catalogue, in.Severity, in.Confidence, in.Scope, in.Count))
}

func TestIncidents(t *testing.T) {
	for _, path := range trafficFiles(t) {
		name := strings.TrimSuffix(filepath.Base(path), ".txt")
		t.Run(name, func(t *testing.T) {
			script, err := readTraffic(path)
			if err != nil {
				t.Fatal(err)
			}
			frames := script.frames(t)
			out, s := analyze(t, frames, name+".pcap", "ndjson", 1)
			if again, _ := analyze(t, frames, name+".pcap", "ndjson", 8); again != out {
				t.Errorf("with 8 jobs the report differs: %s", cmp.Diff(out, again))
			}
			var got []string
			for i := range s.Incidents {
				got = append(got, brief(&s.Incidents[i])+": "+s.Incidents[i].Message)
			}
			used := map[int]bool{}
			for _, e := range script.expect {
				script.met(t, e, s.Incidents, used)
			}
			for i := range s.Incidents {
				in := &s.Incidents[i]
				whole(t, in)
				if script.none || slices.Contains(script.absent, in.Rule.ID) || !used[i] && in.Severity > finding.Info {
					t.Errorf("not expected: %s", brief(in))
				}
			}
			if t.Failed() {
				t.Logf("found:\n%s", strings.Join(got, "\n"))
			}
		})
	}
}

// met looks for an expected incident.
func (t *traffic) met(tb *testing.T, e expectation, all []incident.Incident, used map[int]bool) {
	for i := range all {
		in := &all[i]
		if used[i] || in.Rule.ID != e.id || in.Scope.String() != t.scope(e.scope) {
			continue
		}
		used[i] = true
		if in.Catalogue != e.catalogue || in.Severity.String() != e.severity || e.confidence != "" && in.Confidence.String() != e.confidence || e.count > 0 && in.Count != uint64(e.count) {
			tb.Errorf("%s, want %s %s %s count %d", brief(in), e.catalogue, e.severity, e.confidence, e.count)
		}
		for _, s := range e.says {
			if !strings.Contains(in.Message+" "+in.Reason, s) {
				tb.Errorf("%q does not say %q", in.Message+" "+in.Reason, s)
			}
		}
		return
	}
	tb.Errorf("no %s %s of %s", e.id, e.catalogue, t.scope(e.scope))
}

// whole checks that an incident says all it must.
func whole(t *testing.T, in *incident.Incident) {
	t.Helper()
	switch {
	case in.Message == "" || in.Reason == "" || in.Falsify == "":
		t.Errorf("%s is not whole: %+v", in.Rule.ID, in)
	case !strings.HasSuffix(in.Message, ".") || strings.Contains(in.Message, "  ") || strings.Contains(in.Message, "%!"):
		t.Errorf("%s: not sentences: %q", in.Rule.ID, in.Message)
	case strings.HasSuffix(in.Reason, "."):
		t.Errorf("%s: the reason ends with a full stop: %q", in.Rule.ID, in.Reason)
	case !slices.Contains(in.Rule.Catalogue, in.Catalogue) || in.Severity > in.Rule.Severity:
		t.Errorf("%s: %s, %s is not the rule's", in.Rule.ID, in.Catalogue, in.Severity)
	case len(in.UIDs) == 0 || len(in.UIDs) > 10 || len(in.Frames) == 0 || !slices.IsSorted(in.Frames):
		t.Errorf("%s: uids %v, frames %v", in.Rule.ID, in.UIDs, in.Frames)
	case in.First == 0 || in.Last < in.First:
		t.Errorf("%s: from %v to %v", in.Rule.ID, in.First, in.Last)
	case in.Count == 0:
		t.Errorf("%s: it concerns nothing", in.Rule.ID)
	}
}

// Every rule has a script that fires and one that must not.
func TestRulesHaveScripts(t *testing.T) {
	for _, r := range incident.All() {
		fires, misses := false, false
		for _, path := range trafficFiles(t) {
			name := strings.TrimSuffix(filepath.Base(path), ".txt")
			rest, mine := strings.CutPrefix(name, r.ID)
			if !mine || rest != "" && rest[0] != '-' {
				continue
			}
			script, err := readTraffic(path)
			if err != nil {
				t.Fatal(err)
			}
			if strings.HasPrefix(rest, "-miss") {
				misses = misses || script.none || slices.Contains(script.absent, r.ID)
			} else {
				fires = fires || slices.ContainsFunc(script.expect, func(e expectation) bool { return e.id == r.ID })
			}
		}
		if !fires || !misses {
			t.Errorf("%s: a script that fires: %t; one that must not: %t", r.ID, fires, misses)
		}
	}
}

// Every catalogue number of a rule is found in some script.
func TestNumbersHaveScripts(t *testing.T) {
	found := map[string]bool{}
	for _, path := range trafficFiles(t) {
		script, err := readTraffic(path)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range script.expect {
			found[e.id+" "+e.catalogue] = true
		}
	}
	for _, r := range incident.All() {
		for _, n := range r.Catalogue {
			if !found[r.ID+" "+n] {
				t.Errorf("%s: no script expects %s", r.ID, n)
			}
		}
	}
}

// golden are scripts whose whole text report is kept.
var golden = []string{"close-wait-leak", "port-exhaustion", "closed-all-at-once", "idle-timeout", "accept-queue-full"}

func TestGoldenReports(t *testing.T) {
	for _, name := range golden {
		script, err := readTraffic(filepath.Join(scripts, name+".txt"))
		if err != nil {
			t.Fatal(err)
		}
		got, _ := analyze(t, script.frames(t), name+".pcap", "text", 2)
		path := filepath.Join("../testdata/golden", "incident-"+name+".text")
		if incident.Update() {
			if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(want), got); diff != "" {
			t.Errorf("%s differs (-want +got):\n%s", path, diff)
		}
		// Who looks at the first ten lines must know the cause.
		head := strings.Join(strings.SplitN(got, "\n", 11)[:10], "\n")
		if !strings.Contains(head, " "+name+" (") {
			t.Errorf("%s: the first ten lines do not name it:\n%s", name, head)
		}
	}
}
