package check

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/tcplife/tcplife/finding"
	"github.com/tcplife/tcplife/incident"
	"github.com/tcplife/tcplife/report"
)

var _ = registerSection("findings", "which findings are forbidden, allowed and required", loadFindings)

// pattern says which findings are meant; what is not given fits any.
type pattern struct {
	at       Position
	rules    []string // IDs; nil for all
	severity finding.Severity
	sure     finding.Confidence
	// endpoint is a word of the JSON, port the server's; 0 for any.
	endpoint string
	port     uint16
	// least and most bound how many there are; most is -1 where nothing is said.
	least, most int64
	words       []string
}

// String returns the pattern as it was written.
func (p *pattern) String() string { return strings.Join(p.words, ", ") }

// foundOne is a finding of any kind: on a connection, across many, about the capture.
type foundOne struct {
	rule       string
	severity   finding.Severity
	confidence finding.Confidence
	endpoint   string
	ports      []uint16 // of the server; nil where there is none to speak of
	capture    bool
	show       func() Evidence
}

func (p *pattern) fits(f *foundOne) bool {
	switch {
	case p.rules != nil && !slices.Contains(p.rules, f.rule):
		return false
	case f.capture && p.rules == nil:
		return false // how the capture was made is no trouble of the network: by its name alone
	case f.severity < p.severity || f.confidence < p.sure:
		return false
	case p.endpoint != "" && p.endpoint != f.endpoint:
		return false
	}
	return p.port == 0 || slices.Contains(f.ports, p.port)
}

// findingsWanted is the whole section.
type findingsWanted struct {
	at                           Position
	forbidden, allowed, required []*pattern
}

func loadFindings(l *loader, x *Expectations, k, value *yaml.Node) {
	w := &findingsWanted{at: l.at(k)}
	before := len(l.faults)
	if r := resolve(value); r.Kind == yaml.ScalarNode {
		if _, ok := l.oneOf(r, "findings", []string{"none"}); ok {
			w.forbidden = []*pattern{{at: l.at(k), most: -1, words: []string{"any finding"}}}
		}
	} else {
		l.keys(value, "findings",
			key{"forbidden", func(_, v *yaml.Node) { w.forbidden = l.findingPatterns(v, "forbidden") }},
			key{"allowed", func(_, v *yaml.Node) { w.allowed = l.findingPatterns(v, "allowed") }},
			key{"required", func(_, v *yaml.Node) { w.required = l.findingPatterns(v, "required") }})
		if w.forbidden == nil && w.allowed != nil {
			// Who lists what is allowed does not mean that all else is, too.
			w.forbidden = []*pattern{{at: l.at(k), most: -1, words: []string{"any other finding"}}}
		}
	}
	if len(l.faults) == before {
		x.wanted = append(x.wanted, w)
	}
}

func (l *loader) findingPatterns(n *yaml.Node, list string) (all []*pattern) {
	l.list(n, list, func(e *yaml.Node) {
		p := &pattern{at: l.at(e), most: -1}
		if list == "required" {
			p.least = 1
		}
		if e.Kind == yaml.ScalarNode {
			l.findingName(p, e)
			all = append(all, p)
			return
		}
		keys := []key{
			{"id", func(_, v *yaml.Node) { l.findingName(p, resolve(v)) }},
			{"severity", func(_, v *yaml.Node) {
				if w, ok := l.oneOf(v, "severity", severityWords()); ok {
					p.severity = finding.Severity(slices.Index(severityWords(), w))
					p.words = append(p.words, "severity "+w+" and above")
				}
			}},
			{"confidence", func(_, v *yaml.Node) {
				words := []string{finding.Possible.String(), finding.Likely.String(), finding.Certain.String()}
				if w, ok := l.oneOf(v, "confidence", words); ok {
					p.sure = finding.Confidence(slices.Index(words, w))
					p.words = append(p.words, "at least "+w)
				}
			}},
			{"endpoint", func(_, v *yaml.Node) {
				if w, ok := l.oneOf(v, "endpoint", append([]string{finding.Both.String()}, sides...)); ok {
					p.endpoint = w
					p.words = append(p.words, "of "+w)
				}
			}},
			{"port", func(_, v *yaml.Node) {
				if w, ok := l.word(v, "port"); ok {
					n, err := strconv.ParseUint(w, 10, 16)
					if err != nil || n == 0 {
						l.fail(resolve(v), "port: %q is no port from 1 to 65535", w)
						return
					}
					p.port = uint16(n)
					p.words = append(p.words, "port "+w)
				}
			}},
		}
		if list != "forbidden" {
			keys = append(keys, key{"at_most", func(_, v *yaml.Node) { p.most = l.number(v, "at_most") }})
		}
		if list == "required" {
			keys = append(keys, key{"at_least", func(_, v *yaml.Node) { p.least = l.number(v, "at_least") }})
		}
		before := len(l.faults)
		l.keys(e, "a pattern of "+list+" findings", keys...)
		if p.most >= 0 && p.least > p.most {
			l.fail(e, "at_least %d and at_most %d: no number is both", p.least, p.most)
		}
		if list == "required" && p.least == 0 && p.most < 0 {
			l.fail(e, "at_least 0 requires nothing: leave it out, or give a number from 1")
		}
		if len(p.words) == 0 && len(l.faults) == before {
			if list == "forbidden" {
				l.fail(e, "nothing says which findings are forbidden: give id or severity")
			}
			p.words = []string{"any finding"}
		}
		all = append(all, p)
	})
	return all
}

func (l *loader) number(n *yaml.Node, where string) int64 {
	w, ok := l.word(n, where)
	if !ok {
		return 0
	}
	v, err := strconv.ParseInt(w, 10, 32)
	if err != nil || v < 0 {
		l.fail(resolve(n), "%s: %q is no number from 0", where, w)
		return 0
	}
	return v
}

// findingName reads an ID, a number of the catalogue or, for itself, a severity.
func (l *loader) findingName(p *pattern, n *yaml.Node) {
	w, ok := l.word(n, "a finding")
	if !ok {
		return
	}
	p.words = append([]string{w}, p.words...)
	if i := slices.Index(severityWords(), w); i >= 0 {
		p.severity = finding.Severity(i)
		p.words[0] = "severity " + w + " and above"
		return
	}
	for _, r := range ruleInfos() {
		if r.id == w || slices.ContainsFunc(r.catalogue, func(c string) bool { return strings.EqualFold(c, w) }) {
			p.rules = append(p.rules, r.id)
		}
	}
	if p.rules == nil {
		var ids []string
		for _, r := range ruleInfos() {
			ids = append(ids, r.id)
		}
		if near := report.Nearest(w, append(ids, severityWords()...)); near != "" {
			l.fail(n, "there is no finding %q; did you mean %q?", w, near)
		} else {
			l.fail(n, "there is no finding %q: give an ID ('tcplife explain' lists them) or a severity (%s)", w, strings.Join(severityWords(), ", "))
		}
	}
}

func severityWords() []string {
	return []string{finding.Info.String(), finding.Warning.String(), finding.Error.String()}
}

// ruleInfo is what a rule of any kind says of itself.
type ruleInfo struct {
	id, title, meaning, advice string
	catalogue                  []string
	severity                   finding.Severity
}

// ruleInfos are all rules: on connections, across many, about captures.
func ruleInfos() (all []ruleInfo) {
	for _, r := range finding.All() {
		all = append(all, ruleInfo{r.ID, r.Title, r.Meaning, r.Advice, r.Catalogue, r.Severity})
	}
	for _, r := range incident.All() {
		all = append(all, ruleInfo{r.ID, r.Title, r.Meaning, r.Advice, r.Catalogue, r.Severity})
	}
	for _, r := range finding.AllCapture() {
		all = append(all, ruleInfo{r.ID, r.Title, r.Meaning, r.Advice, []string{r.Catalogue}, r.Severity})
	}
	return all
}

func (w *findingsWanted) begin(*Run) judge {
	j := &findingsJudge{findingsWanted: w}
	j.bad, j.more, j.there = make([]samples, len(w.forbidden)), make([]samples, len(w.allowed)), make([]samples, len(w.required))
	return j
}

type findingsJudge struct {
	*findingsWanted
	// What fits the patterns of each list. Of what is allowed, all of it counts.
	bad, more, there []samples
}

func (j *findingsJudge) see(l *life) {
	for i := range l.Findings {
		f := &l.Findings[i]
		j.count(&foundOne{rule: f.Rule.ID, severity: f.Severity, confidence: f.Confidence, endpoint: f.Endpoint.String(), ports: []uint16{l.Tuple.DstPort}, show: func() Evidence {
			e := l.evidence(f.Frames, f.Rule.ID+": "+f.Message)
			e.Rule, e.Severity = f.Rule.ID, f.Severity
			return e
		}})
	}
}

func (j *findingsJudge) count(f *foundOne) {
	for i, p := range j.required {
		if p.fits(f) {
			j.there[i].add(f.show)
		}
	}
	allowed := false
	for i, p := range j.allowed {
		if p.fits(f) {
			j.more[i].add(f.show)
			allowed = true
		}
	}
	// What is required must be there, so it cannot be forbidden as well.
	if allowed || slices.ContainsFunc(j.required, func(p *pattern) bool { return p.fits(f) }) {
		return
	}
	for i, p := range j.forbidden {
		if p.fits(f) {
			j.bad[i].add(f.show)
			return // the first pattern that it fits tells it
		}
	}
}

func (j *findingsJudge) verdicts(s *report.Summary) (all []Verdict) {
	for i := range s.Incidents {
		in := &s.Incidents[i]
		f := &foundOne{rule: in.Rule.ID, severity: in.Severity, confidence: in.Confidence, show: func() Evidence {
			return Evidence{Frames: in.Frames, Text: fmt.Sprintf("%s: %s", in.Rule.ID, in.Message), Rule: in.Rule.ID, Severity: in.Severity, Scope: in.Scope.String()}
		}}
		if in.Scope.Port != 0 {
			f.ports = []uint16{in.Scope.Port}
		}
		j.count(f)
	}
	for _, c := range s.CaptureFindings() {
		j.count(&foundOne{rule: c.Rule.ID, severity: c.Severity, confidence: c.Confidence, capture: true, show: func() Evidence {
			return Evidence{Frames: slices.Clone(c.Frames), Text: c.Rule.ID + ": " + c.Message, Rule: c.Rule.ID, Severity: c.Severity}
		}})
	}
	verdict := func(what string, p *pattern, s *samples) Verdict {
		v := Verdict{What: "findings " + what + " " + p.String(), At: p.at, Kind: "findings", Found: plural(s.count, "finding", "findings")}
		if s.count == 0 {
			v.Found = "none"
		}
		return v
	}
	for i, p := range j.forbidden {
		v := verdict("forbidden:", p, &j.bad[i])
		v.Expected = "none"
		if len(j.allowed)+len(j.required) > 0 {
			v.Expected = "none but those that are allowed or required"
		}
		if v.Failed = j.bad[i].count > 0; v.Failed {
			j.bad[i].into(&v)
		}
		all = append(all, v)
	}
	for i, p := range j.allowed {
		if p.most < 0 {
			continue
		}
		v := verdict("allowed:", p, &j.more[i])
		v.Expected = fmt.Sprintf("at most %d", p.most)
		if v.Failed = j.more[i].count > uint64(p.most); v.Failed {
			j.more[i].into(&v)
		}
		all = append(all, v)
	}
	for i, p := range j.required {
		v := verdict("required:", p, &j.there[i])
		v.Expected = fmt.Sprintf("at least %d", p.least)
		if p.most >= 0 {
			v.Expected += fmt.Sprintf(" and at most %d", p.most)
		}
		over := p.most >= 0 && j.there[i].count > uint64(p.most)
		if v.Failed = over || j.there[i].count < uint64(p.least); over {
			j.there[i].into(&v)
		}
		all = append(all, v)
	}
	return all
}
