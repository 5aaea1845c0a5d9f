package report

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/tcplife/tcplife/finding"
	"github.com/tcplife/tcplife/incident"
)

// maxHappened is how many things the part "What happened" names: what fits into the
// head of a report.
const maxHappened = 5

// matter is one line of "What happened": an incident, or a finding on single
// connections that belongs to none.
type matter struct {
	severity finding.Severity
	id       string
	text     string
}

// happened says first of all what went wrong.
func (p *printer) happened(all []matter) {
	if len(p.s.Selection) > 0 {
		p.heading("What happened, with all connections of these hosts")
	} else {
		p.heading("What happened")
	}
	for i, m := range all {
		if i == maxHappened {
			p.prose("  ", "  ", "and "+plural(uint64(len(all)-i), "more matter", "more matters")+", see below.")
			break
		}
		p.prose(fmt.Sprintf("  %d. ", i+1), "     ", fmt.Sprintf("%s (%s): %s", p.paint(severityColors[m.severity], m.id), m.severity, printable(m.text)))
	}
}

// matters returns what happened: the incidents, the gravest first, and among equally
// grave ones behind them what single connections show and no incident explains.
func (p *printer) matters() (all []matter) {
	more := map[string]uint64{}
	for i := range p.s.Incidents {
		in := &p.s.Incidents[i]
		if in.Severity > finding.Info {
			all = append(all, matter{in.Severity, in.Rule.ID, sentence(in.Message)})
			continue
		}
		// Of what is only worth knowing, one of each kind.
		if more[in.Rule.ID]++; more[in.Rule.ID] == 1 {
			all = append(all, matter{in.Severity, in.Rule.ID, sentence(in.Message)})
		}
	}
	for _, f := range p.s.Findings() {
		if f.Worst == finding.Info || len(f.Examples) == 0 {
			continue
		}
		if n, _ := p.s.folded(f); n == f.Count {
			continue
		}
		e := &f.Examples[0]
		where := fmt.Sprintf("(connection #%s)", number(e.ID))
		if f.Connections > 1 {
			where = fmt.Sprintf("(connection #%s, one of %s)", number(e.ID), number(f.Connections))
		}
		all = append(all, matter{f.Worst, f.Rule.ID, strings.TrimSuffix(sentence(e.Message), ".") + " " + where + "."})
	}
	// Equal ones stay in this order: an incident says more than a connection.
	slices.SortStableFunc(all, func(a, b matter) int { return int(b.severity) - int(a.severity) })
	return all
}

// sentence returns the first sentence of a text.
func sentence(text string) string {
	for i := 0; i+1 < len(text); i++ {
		if text[i] == '.' && text[i+1] == ' ' {
			return text[:i+1]
		}
	}
	return text
}

// incidents lists them with all that is known of each.
func (p *printer) incidents() {
	for i := range p.s.Incidents {
		in := &p.s.Incidents[i]
		head := in.Rule.Title
		if scope := in.Scope.String(); scope != "" {
			head = scope + ": " + head
		}
		p.prose("  "+p.paint(severityColors[in.Severity], left(in.Severity.String(), 7))+"  "+p.paint(bold, in.Rule.ID)+"  ",
			blanks(11), fmt.Sprintf("%s (%s, %s)", head, in.Catalogue, in.Confidence))
		p.prose(blanks(13), blanks(13), printable(in.Message))
		if in.Reason != "" {
			p.prose(blanks(13)+"Why "+in.Confidence.String()+": ", blanks(15), printable(in.Reason)+".")
		}
		if len(in.Frames) > 0 {
			p.prose(blanks(13)+"For example: ", blanks(15), frameList(in.Frames, p.multi, maxFramesText)+
				" (tcplife analyze --connection frame:N shows the connection).")
		}
		if in.More.Scopes > 0 {
			p.prose(blanks(13), blanks(15), fmt.Sprintf("... and %s, with %s", plural(in.More.Scopes, "more of this kind", "more of this kind"), plural(in.More.Count, "connection", "connections")))
		}
		if f := foldList(in.Folds); f != "" {
			p.prose(blanks(13)+"Belongs to it: ", blanks(15), f+".")
		}
		p.prose(blanks(11)+"What to do: ", blanks(13), opening(aimed(in.Rule.Advice, in.Catalogue))+" More: tcplife explain "+in.Rule.ID)
	}
}

// foldList names what belongs to an incident.
func foldList(folds []incident.Fold) string {
	var words []string
	for _, f := range folds {
		words = append(words, f.ID+hard+number(f.Count))
	}
	return strings.Join(words, ", ")
}

// numbered is where advice turns to one or several variants, by their catalogue numbers.
var numbered = regexp.MustCompile(`(?:^|[.;]\s)((?:[A-Z]\d\d[a-z]?(?:, )?)+): `)

// aimed leaves out of advice what it says of other variants than the one with a catalogue
// number, if it says something of that one.
func aimed(advice, catalogue string) string {
	at := numbered.FindAllStringSubmatchIndex(advice, -1)
	for i, m := range at {
		if !slices.Contains(strings.Split(advice[m[2]:m[3]], ", "), catalogue) {
			continue
		}
		end := len(advice)
		if i+1 < len(at) {
			end = at[i+1][2]
		}
		return advice[:at[0][2]] + capital(strings.TrimSpace(advice[m[1]:end]))
	}
	return advice
}
