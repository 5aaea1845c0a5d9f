package scenario

import (
	"fmt"
	"slices"
	"strings"
)

// Failure is a run whose result differs from the script's expectations.
type Failure struct {
	Script  *Script
	Variant Variant
	Seen    *Observed
	// Problems are the differences, one per line or group of lines.
	Problems []string
	// withFindings says whether rules were run.
	withFindings bool
}

// Error prints the differences, and then what was seen in the notation of the
// script: the packets with their frame numbers and the timelines.
func (f *Failure) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s [%s]\n", f.Script.File, f.Variant)
	for _, p := range f.Problems {
		b.WriteString("  " + strings.ReplaceAll(p, "\n", "\n  ") + "\n")
	}
	b.WriteString("packets by frame:\n" + f.Script.ladder())
	b.WriteString("seen:\n")
	for _, l := range f.Seen.lines(f.withFindings) {
		b.WriteString("  " + l + "\n")
	}
	return b.String()
}

// Run observes the script in one variant and compares. The error is a *Failure
// when the expectations are not met.
func (s *Script) Run(v Variant, check Check) error {
	seen, err := s.Observe(v, check)
	if err != nil {
		return err
	}
	if p := s.Compare(seen, check != nil); len(p) > 0 {
		return &Failure{s, v, seen, p, check != nil}
	}
	return nil
}

// Compare returns how what was seen differs from the expectations. Without rules
// findings are left out.
func (s *Script) Compare(seen *Observed, withFindings bool) []string {
	var p []string
	for _, sk := range seen.Skipped {
		p = append(p, "no segment in "+sk)
	}
	p = append(p, s.compareStates(seen)...)
	p = append(p, s.compareClose(seen)...)
	p = append(p, s.compareConns(seen)...)
	if withFindings {
		p = append(p, s.compareFindings(seen)...)
	}
	return p
}

// timeline returns the states of a host in a connection, counted from 1.
func (o *Observed) timeline(conn int, host string) (steps []Step, ok bool) {
	if conn > len(o.Conns) {
		return nil, false
	}
	c := &o.Conns[conn-1]
	switch host {
	case c.Client.Host:
		return c.Timelines[0], true
	case c.Server.Host:
		return c.Timelines[1], true
	}
	return nil, false
}

// agrees reports whether a seen step meets a wanted one.
func (s Step) agrees(seen Step) bool {
	return s.State == seen.State && (s.Evidence == "" || s.Evidence == seen.Evidence) &&
		(s.Frame < 0 || s.Frame == seen.Frame)
}

func (l *StateLine) agrees(seen []Step) bool {
	return slices.EqualFunc(l.Steps, seen, Step.agrees)
}

func (s *Script) compareStates(seen *Observed) []string {
	var p []string
	covered := make([]bool, len(seen.Conns))
	for i := range s.States {
		l := &s.States[i]
		if l.Host == "" {
			continue
		}
		got, ok := seen.timeline(l.Conn, l.Host)
		if !ok {
			p = append(p, fmt.Sprintf("%s:%d: connection %d with host %s is expected, there are %d connections",
				s.File, l.Number, l.Conn, l.Host, len(seen.Conns)))
			continue
		}
		covered[l.Conn-1] = true
		if !l.agrees(got) {
			p = append(p, fmt.Sprintf("%s:%d: states of %s%s\nwant %s\ngot  %s",
				s.File, l.Number, connPrefix(l.Conn, l.Numbered), l.Host, joinSteps(l.Steps), joinSteps(got)))
		}
	}
	for i, ok := range covered {
		if c := seen.Conns[i]; !ok {
			p = append(p, fmt.Sprintf("connection %d (%s > %s, frames %d-%d) is not expected", i+1, c.Client, c.Server, c.First, c.Last))
		}
	}
	return p
}

func (s *Script) compareClose(seen *Observed) []string {
	var p []string
	for _, l := range s.Close {
		if l.Key == "" {
			continue
		}
		if l.Conn > len(seen.Conns) {
			p = append(p, fmt.Sprintf("%s:%d: no connection %d", s.File, l.Number, l.Conn))
			continue
		}
		if got := seen.Conns[l.Conn-1].Close[l.Key]; !slices.Equal(got, l.Value) {
			p = append(p, fmt.Sprintf("%s:%d: want %s\ngot  %s %s", s.File, l.Number, l, l.Key, strings.Join(got, " ")))
		}
	}
	return p
}

func (s *Script) compareConns(seen *Observed) []string {
	if !s.HasConns {
		return nil
	}
	var p []string
	conns, late := 0, 0
	for _, l := range s.Conns {
		switch {
		case l.Late:
			if late++; late > len(seen.Late) {
				p = append(p, fmt.Sprintf("%s:%d: want %s\ngot  %d late groups", s.File, l.Number, l, len(seen.Late)))
			} else if g := seen.Late[late-1]; !l.agreesLate(g) {
				p = append(p, fmt.Sprintf("%s:%d: want %s\ngot  %s", s.File, l.Number, l, g.line()))
			}
		case l.Conn > 0:
			conns++
			if l.Conn > len(seen.Conns) {
				p = append(p, fmt.Sprintf("%s:%d: want %s\ngot  %d connections", s.File, l.Number, l, len(seen.Conns)))
			} else if c := &seen.Conns[l.Conn-1]; !l.agrees(c) {
				p = append(p, fmt.Sprintf("%s:%d: want %s\ngot  %s", s.File, l.Number, l, c.line(l.Conn)))
			}
		}
	}
	if conns != len(seen.Conns) || late != len(seen.Late) {
		p = append(p, fmt.Sprintf("connections: want %d and %d late groups, got %d and %d", conns, late, len(seen.Conns), len(seen.Late)))
	}
	return p
}

// agrees compares a connection. Where roles were chosen by port, a mirrored
// variant turns them around, and rightly so: they are not compared then.
func (l ConnLine) agrees(c *ObservedConn) bool {
	if l.First != c.First || l.Last != c.Last || l.RoleBy != "" && l.RoleBy != c.RoleBy {
		return false
	}
	return c.RoleBy == "port" || l.Client == c.Client && l.Server == c.Server
}

func (l ConnLine) agreesLate(g ObservedLate) bool {
	same := l.Client == g.A && l.Server == g.B || l.Client == g.B && l.Server == g.A
	return same && l.First == g.First && l.Last == g.Last
}

// agrees reports whether a seen finding meets a wanted one.
func (l *FindingLine) agrees(f *ObservedFinding) bool {
	for _, fr := range l.Frames {
		if !slices.Contains(f.Frames, fr) {
			return false
		}
	}
	return l.ID == f.ID && (l.Endpoint == "any" || l.Endpoint == f.Endpoint) && (l.Confidence == "" || l.Confidence == f.Confidence) &&
		(l.Catalogue == "" || l.Catalogue == f.Catalogue)
}

func (s *Script) compareFindings(seen *Observed) []string {
	var p []string
	met := make([][]bool, len(seen.Conns))
	for i := range seen.Conns {
		met[i] = make([]bool, len(seen.Conns[i].Findings))
	}
	none := false
	for i := range s.Findings {
		l := &s.Findings[i]
		switch l.Kind {
		case FindingNone:
			none = true
		case FindingNot:
			for c := range seen.Conns {
				for _, f := range seen.Conns[c].Findings {
					if f.ID == l.ID {
						p = append(p, fmt.Sprintf("%s:%d: want %s\ngot  %s", s.File, l.Number, l, f.line(c+1)))
					}
				}
			}
		case FindingWant:
			if !take(seen, met, l) {
				p = append(p, fmt.Sprintf("%s:%d: missing: %s", s.File, l.Number, l))
			}
		}
	}
	for c := range met {
		for i, ok := range met[c] {
			f := &seen.Conns[c].Findings[i]
			if !ok && (none || f.Severity != "info") {
				p = append(p, "unexpected: "+f.line(c+1))
			}
		}
	}
	return p
}

// take marks the first finding that meets the line and no other line has met.
func take(seen *Observed, met [][]bool, l *FindingLine) bool {
	if l.Conn > len(seen.Conns) {
		return false
	}
	for i := range seen.Conns[l.Conn-1].Findings {
		if !met[l.Conn-1][i] && l.agrees(&seen.Conns[l.Conn-1].Findings[i]) {
			met[l.Conn-1][i] = true
			return true
		}
	}
	return false
}

// ladder lists the packets with the numbers of their frames.
func (s *Script) ladder() string {
	var b strings.Builder
	for i := range s.plan.shots {
		sh := &s.plan.shots[i]
		n := "-"
		if len(sh.frames) > 0 {
			n = joinInts(sh.frames)
		}
		fmt.Fprintf(&b, "  %5s  %s\n", n, sh.packet)
	}
	return b.String()
}

// lines prints what was seen in the notation of the expectation sections.
func (o *Observed) lines(withFindings bool) []string {
	var out []string
	for i := range o.Conns {
		c := &o.Conns[i]
		out = append(out, c.line(i+1))
		for side, e := range []Endpoint{c.Client, c.Server} {
			out = append(out, fmt.Sprintf("  %s  %s", e.Host, joinSteps(c.Timelines[side])))
		}
		var facts []string
		for _, k := range closeKeys {
			facts = append(facts, k+" "+strings.Join(c.Close[k], " "))
		}
		out = append(out, "  "+strings.Join(facts, ", "))
		if withFindings {
			for j := range c.Findings {
				f := &c.Findings[j]
				out = append(out, fmt.Sprintf("  %s (%s): %s", f.line(i+1), f.Severity, f.Message))
			}
		}
	}
	for _, l := range o.Late {
		out = append(out, l.line())
	}
	return out
}

func (c *ObservedConn) line(number int) string {
	return ConnLine{Conn: number, Client: c.Client, Server: c.Server, First: c.First, Last: c.Last, RoleBy: c.RoleBy}.String()
}

func (l ObservedLate) line() string {
	return ConnLine{Late: true, Client: l.A, Server: l.B, First: l.First, Last: l.Last}.String()
}

func (f *ObservedFinding) line(conn int) string {
	return FindingLine{
		Kind: FindingWant, Conn: conn, Numbered: true, ID: f.ID, Endpoint: f.Endpoint,
		Frames: f.Frames, Confidence: f.Confidence, Catalogue: f.Catalogue,
	}.String()
}
