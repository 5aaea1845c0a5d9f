package scenario

import (
	"bytes"
	"slices"
)

// Update returns the script with the expectations that were not met rewritten to
// what was seen. Packets, prose, comments and every line that was met stay as they
// are: what changes is what a reader of the diff must judge.
func (s *Script) Update(text []byte, seen *Observed, withFindings bool) ([]byte, error) {
	head, _, _ := bytes.Cut(text, []byte("\n-- states --\n"))
	n := *s
	n.updateStates(seen)
	n.updateClose(seen)
	n.updateConns(seen)
	if withFindings {
		n.updateFindings(seen)
	}
	_, tail, _ := bytes.Cut(n.Print(), []byte("\n-- states --\n"))
	out := slices.Concat(head, []byte("\n-- states --\n"), tail)
	// What was written must parse: a host whose name is unknown would not.
	_, err := Parse(s.File, out)
	return out, err
}

func (s *Script) updateStates(seen *Observed) {
	numbered := len(seen.Conns) > 1
	var lines []StateLine
	have := map[string]bool{}
	for _, l := range s.States {
		if l.Host != "" {
			got, ok := seen.timeline(l.Conn, l.Host)
			if !ok {
				continue
			}
			have[connPrefix(l.Conn, true)+l.Host] = true
			if !l.agrees(got) {
				l.Steps = restate(l.Steps, got)
			}
			l.Numbered = l.Numbered || numbered
		}
		lines = append(lines, l)
	}
	for i := range seen.Conns {
		c := &seen.Conns[i]
		for side, e := range []Endpoint{c.Client, c.Server} {
			if !have[connPrefix(i+1, true)+e.Host] {
				lines = append(lines, StateLine{Conn: i + 1, Numbered: numbered, Host: e.Host, Steps: restate(nil, c.Timelines[side])})
			}
		}
	}
	s.States = lines
}

// restate returns the seen steps in as much detail as the old line had.
func restate(old, seen []Step) []Step {
	evidence, frames := false, false
	for _, st := range old {
		evidence = evidence || st.Evidence != ""
		frames = frames || st.Frame >= 0
	}
	steps := slices.Clone(seen)
	for i := range steps {
		if !evidence {
			steps[i].Evidence = ""
		}
		if !frames || steps[i].Frame == 0 {
			steps[i].Frame = -1
		}
	}
	return steps
}

func (s *Script) updateClose(seen *Observed) {
	var lines []CloseLine
	for _, l := range s.Close {
		if l.Key != "" {
			if l.Conn > len(seen.Conns) {
				continue
			}
			l.Value = seen.Conns[l.Conn-1].Close[l.Key]
		}
		lines = append(lines, l)
	}
	s.Close = lines
}

func (s *Script) updateConns(seen *Observed) {
	if len(s.compareConns(seen)) == 0 {
		return
	}
	s.Conns = slices.DeleteFunc(slices.Clone(s.Conns), func(l ConnLine) bool { return l.Conn > 0 || l.Late })
	for i := range seen.Conns {
		c := &seen.Conns[i]
		s.Conns = append(s.Conns, ConnLine{Conn: i + 1, Client: c.Client, Server: c.Server, First: c.First, Last: c.Last})
	}
	for _, l := range seen.Late {
		s.Conns = append(s.Conns, ConnLine{Late: true, Client: l.A, Server: l.B, First: l.First, Last: l.Last})
	}
}

// updateFindings drops lines that were not met and adds what was not expected.
func (s *Script) updateFindings(seen *Observed) {
	if len(s.compareFindings(seen)) == 0 {
		return
	}
	met := make([][]bool, len(seen.Conns))
	for i := range seen.Conns {
		met[i] = make([]bool, len(seen.Conns[i].Findings))
	}
	var lines []FindingLine
	for _, l := range s.Findings {
		switch l.Kind {
		case FindingBlank:
			lines = append(lines, l)
		case FindingNot:
			if !slices.ContainsFunc(seen.Conns, func(c ObservedConn) bool {
				return slices.ContainsFunc(c.Findings, func(f ObservedFinding) bool { return f.ID == l.ID })
			}) {
				lines = append(lines, l)
			}
		case FindingWant:
			if take(seen, met, &l) {
				lines = append(lines, l)
			}
		}
	}
	listed := slices.ContainsFunc(lines, func(l FindingLine) bool { return l.Kind == FindingWant })
	for i := range seen.Conns {
		for j := range seen.Conns[i].Findings {
			f := &seen.Conns[i].Findings[j]
			if met[i][j] || f.Severity == "info" {
				continue
			}
			listed = true
			lines = append(lines, FindingLine{
				Kind: FindingWant, Conn: i + 1, Numbered: len(seen.Conns) > 1, ID: f.ID, Endpoint: f.Endpoint,
				Frames: f.Frames, Confidence: f.Confidence, Catalogue: f.Catalogue,
			})
		}
	}
	if !listed {
		lines = append(lines, FindingLine{Kind: FindingNoneWarning})
	}
	s.Findings = lines
}
