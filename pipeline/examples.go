package pipeline

import (
	"slices"

	"github.com/tcplife/tcplife/finding"
	"github.com/tcplife/tcplife/report"
)

// examples finds, for one worker, the connections whose findings the summary may show.
// It shows a few of each rule: the gravest and surest, among equals those that were
// settled first. So a finding that as many as it shows of the worker's own stand before
// is none; of those that settle in one batch the one with the lower stamp is first.
type examples struct {
	rules map[*finding.Rule]*shown
}

// shown is what is known of the findings of one rule.
type shown struct {
	// before counts what was picked in the batches before, by grade: no more than a few.
	before [grades]uint8
	// best are the best of the present batch.
	batch uint64
	best  []example
}

type example struct {
	grade int
	stamp uint64
}

// grades is how many grades there are: a higher severity counts more than any
// confidence.
const grades = (int(finding.Error) + 1) * confidences
const confidences = int(finding.Certain) + 1

func gradeOf(f *finding.Finding) int { return int(f.Severity)*confidences + int(f.Confidence) }

// pick reports whether one of a connection's findings may be shown.
func (e *examples) pick(batch, stamp uint64, found []finding.Finding) (yes bool) {
	for i := range found {
		f := &found[i]
		s := e.rules[f.Rule]
		if s == nil {
			if e.rules == nil {
				e.rules = make(map[*finding.Rule]*shown)
			}
			s = &shown{}
			e.rules[f.Rule] = s
		}
		yes = s.pick(batch, example{gradeOf(f), stamp}) || yes
	}
	return yes
}

func (s *shown) pick(batch uint64, x example) bool {
	if s.batch != batch {
		for _, y := range s.best {
			s.before[y.grade]++
		}
		s.batch, s.best = batch, s.best[:0]
	}
	better := 0
	for _, n := range s.before[x.grade:] {
		better += int(n)
	}
	at := 0
	for at < len(s.best) && (s.best[at].grade > x.grade || s.best[at].grade == x.grade && s.best[at].stamp <= x.stamp) {
		at++
	}
	if better+at >= report.MaxExamples {
		return false
	}
	if len(s.best) == report.MaxExamples {
		s.best = s.best[:report.MaxExamples-1]
	}
	s.best = slices.Insert(s.best, at, x)
	return true
}
