package pipeline

import (
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/tcplife/tcplife/incident"
	"github.com/tcplife/tcplife/report"
)

// usualJudge is how often a live run looks at what many connections show together: the
// rules take some milliseconds, and what they read has waited for a minute of TIME_WAIT.
const usualJudge = 10 * time.Second

// mostScopes bounds for how many incidents is remembered that they were told. Of each rule
// the gravest few are told apart, so a run would have to last for long.
const mostScopes = 1024

// judges reports whether incidents are told while the run goes on.
func (l *Live) judges() bool { return l != nil && l.Incident != nil }

func (l *Live) judge() time.Duration {
	if l.Judge > 0 {
		return l.Judge
	}
	return usualJudge
}

// newSums returns sums of nothing.
func (w *worker) newSums() *incident.Sums {
	return incident.New(incident.Config{Profile: w.cfg.Profile, Networks: w.cfg.Networks, Part: w.cfg.incidentPart(), Together: together(w.jobs), Seed: w.seed})
}

// hand gives the merger what the worker has counted since it was asked last: sums in
// parts are as good as whole ones.
func (w *worker) hand(b *batch) {
	if b.judge && w.sums != nil {
		w.countAll()
		w.result.sums = w.sums
		w.begin(w.newSums())
	}
}

// gather adds what the workers have handed over.
func (m *merger) gather(b *batch) {
	for i := range b.results {
		m.gatherSums(b.results[i].sums)
		b.results[i].sums = nil
	}
}

func (m *merger) gatherSums(s *incident.Sums) {
	switch {
	case s == nil:
	case m.sums == nil:
		m.sums = s
	default:
		m.sums.Merge(s)
	}
}

// judge tells the incidents that are new, or graver than they were told, and those that
// what has settled since then does not show any more.
func (m *merger) judge(b *batch) {
	m.gather(b)
	if m.sums == nil {
		return
	}
	now := m.picked.concerned(incident.Grade(m.sums.Incidents(m.cfg.incidentRules(), b.layers), m.cfg.Grades))
	seen := make(map[string]bool, len(now))
	folded := map[string]bool{} // rules of which some scopes are told with others
	for i := range now {
		in := &now[i]
		name := nameOf(in)
		seen[name] = true
		for _, f := range in.Folds {
			folded[f.ID] = true
		}
		if in.More.Scopes > 0 {
			folded[in.Rule.ID] = true
		}
		before, told := m.told[name]
		if told && in.Severity <= before.Severity || !told && len(m.told) >= mostScopes {
			continue
		}
		m.told[name] = *in
		m.cfg.Live.Incident(&report.LiveIncident{At: b.clock, Incident: in})
	}
	for _, name := range slices.Sorted(maps.Keys(m.told)) {
		in := m.told[name]
		if seen[name] || folded[in.Rule.ID] {
			continue
		}
		delete(m.told, name)
		m.cfg.Live.Incident(&report.LiveIncident{At: b.clock, Incident: &in, Withdrawn: true})
	}
}

// nameOf is what an incident is known by from one look to the next.
func nameOf(in *incident.Incident) string {
	return in.Rule.ID + " " + in.Scope.String() + " " + strings.Join(in.Scope.Encap, " ")
}
