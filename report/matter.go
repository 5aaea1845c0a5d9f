package report

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/tcplife/tcplife/finding"
	"github.com/tcplife/tcplife/incident"
)

// Matter is one thing that the summary has to tell: an incident, or the findings of a
// rule on single connections.
type Matter struct {
	Severity finding.Severity
	ID       string
	// Text says in one sentence what happened.
	Text string
	// Incident or Finding is what it is about; the other is nil.
	Incident *incident.Incident
	Finding  *FindingCount
	// Of is the ID of the incident that all findings of the rule belong to; empty if
	// they belong to none.
	Of string
}

// Matters returns what happened: the incidents, the gravest first, and among equally
// grave ones behind them what single connections show and no incident explains.
func (s *Summary) Matters() (all []Matter) {
	more := map[string]uint64{}
	for i := range s.Incidents {
		in := &s.Incidents[i]
		// Of what is only worth knowing, one of each kind.
		if more[in.Rule.ID]++; in.Severity > finding.Info || more[in.Rule.ID] == 1 {
			all = append(all, Matter{Severity: in.Severity, ID: in.Rule.ID, Text: sentence(in.Message), Incident: in})
		}
	}
	for _, f := range s.Findings() {
		if f.Worst == finding.Info || len(f.Examples) == 0 {
			continue
		}
		if n, _ := s.folded(f); n == f.Count {
			continue
		}
		e := &f.Examples[0]
		where := fmt.Sprintf("(connection #%s)", number(e.ID))
		if f.Connections > 1 {
			where = fmt.Sprintf("(connection #%s, one of %s)", number(e.ID), number(f.Connections))
		}
		all = append(all, Matter{Severity: f.Worst, ID: f.Rule.ID, Text: strings.TrimSuffix(sentence(e.Message), ".") + " " + where + ".", Finding: f})
	}
	// Equal ones stay in this order: an incident says more than a connection.
	slices.SortStableFunc(all, func(a, b Matter) int { return int(b.Severity) - int(a.Severity) })
	return all
}

// Minor returns what Matters leaves out: findings that an incident explains, and those
// that are only worth knowing.
func (s *Summary) Minor() (all []Matter) {
	for _, f := range s.Findings() {
		n, in := s.folded(f)
		if n < f.Count && f.Worst > finding.Info {
			continue
		}
		m := Matter{Severity: f.Worst, ID: f.Rule.ID, Finding: f, Text: plural(f.Connections, "connection", "connections") + ": " + f.Rule.Title}
		if n == f.Count && in > 0 {
			m.Of = s.Incidents[in-1].Rule.ID
		}
		all = append(all, m)
	}
	return all
}

// WriteMatter writes all that is known of a matter: who, when, what, how sure, and what
// to do. It keeps to Options.Width.
func WriteMatter(w io.Writer, m *Matter, o *Options) error {
	p := printer{canvas: o.canvas(), o: o, multi: len(o.Inputs) > 1}
	switch {
	case m.Incident != nil:
		p.incidentPage(m.Incident)
	case m.Finding != nil:
		p.findingPage(m)
	}
	_, err := io.WriteString(w, p.finish())
	return err
}

// Title is that of the rule.
func (m *Matter) Title() string {
	if m.Incident != nil {
		return m.Incident.Rule.Title
	}
	return m.Finding.Rule.Title
}

// part writes a paragraph behind its name.
func (p *printer) part(name, text string) {
	const column = 12
	if text != "" {
		p.prose(p.paint(dim, name)+blanks(column-columns(name)), blanks(column), text)
	}
}

func (p *printer) incidentPage(in *incident.Incident) {
	who := in.Scope.String()
	if who == "" {
		who = "all hosts of the capture"
	}
	if len(in.Scope.Encap) > 0 {
		who += ", inside " + strings.Join(in.Scope.Encap, " ")
	}
	p.part("Who", fmt.Sprintf("%s (%s)", printable(who), plural(in.Count, "connection", "connections")))
	if in.First != 0 || in.Last != 0 {
		when := p.o.clock(in.First)
		if in.Last != in.First {
			when += " to " + p.o.clock(in.Last)
		}
		p.part("When", fmt.Sprintf("%s %s (%s)", when, p.o.zone(in.Last), span(in.Last.Sub(in.First))))
	}
	p.part("What", printable(in.Message))
	sure := in.Confidence.String()
	if in.Reason != "" {
		sure += ": " + printable(in.Reason)
	}
	p.part("How sure", strings.TrimSuffix(sure, ".")+".")
	p.part("What to do", aimed(in.Rule.Advice, in.Catalogue))
	p.part("Against it", capital(printable(in.Falsify)))
	if len(in.Frames) > 0 {
		p.part("Examples", frameList(in.Frames, p.multi, 2*maxFramesText))
	}
	if in.More.Scopes > 0 {
		p.part("Elsewhere", fmt.Sprintf("%s, with %s", plural(in.More.Scopes, "more of this kind", "more of this kind"), plural(in.More.Count, "connection", "connections")))
	}
	if f := foldList(in.Folds); f != "" {
		p.part("With it", f)
	}
}

func (p *printer) findingPage(m *Matter) {
	f := m.Finding
	who := plural(f.Connections, "connection", "connections")
	if f.Count != f.Connections {
		who += fmt.Sprintf(", %s times", number(f.Count))
	}
	if m.Of != "" {
		who += "; all belong to " + m.Of
	}
	p.part("Who", who)
	var sure []string
	for c := int(confidenceCount) - 1; c >= 0; c-- {
		if n := f.ByConfidence[c]; n > 0 {
			sure = append(sure, finding.Confidence(c).String()+" "+number(n))
		}
	}
	if len(f.Examples) > 0 {
		e := &f.Examples[0]
		p.part("What", strings.TrimSuffix(printable(e.Message), ".")+" (connection #"+number(e.ID)+").")
	}
	p.part("How sure", strings.Join(sure, ", "))
	p.part("What to do", f.Rule.Advice)
	for i := range f.Examples {
		e := &f.Examples[i]
		name, message := "", ": "+printable(e.Message)
		if i == 0 {
			name, message = "Examples", ""
		}
		p.part(name, fmt.Sprintf("#%s %s > %s, %s (%s)%s", number(e.ID), e.Tuple.Source(), e.Tuple.Destination(), frameList(e.Frames, p.multi, maxFramesText), e.Confidence, message))
	}
}

// WriteOverview writes what was read, how far it can be trusted, and the counts over all
// connections. It keeps to Options.Width.
func WriteOverview(w io.Writer, s *Summary, o *Options) error {
	p := printer{canvas: o.canvas(), s: s, o: o, multi: len(s.Inputs) > 1}
	p.read(true)
	p.quality()
	if s.Connections == 0 {
		p.nothing()
	} else {
		p.connections()
		p.dwell()
		p.rtt()
	}
	_, err := io.WriteString(w, p.finish())
	return err
}
