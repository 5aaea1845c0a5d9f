package report

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/tcplife/tcplife/incident"
)

// maxHappened is how many things the part "What happened" names: what fits into the
// head of a report.
const maxHappened = 5

// happened says first of all what went wrong.
func (p *printer) happened(all []Matter) {
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
		p.prose(fmt.Sprintf("  %d. ", i+1), "     ", fmt.Sprintf("%s (%s): %s", p.paint(severityColors[m.Severity], m.ID), m.Severity, printable(m.Text)))
	}
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
