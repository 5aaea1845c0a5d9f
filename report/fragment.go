package report

import (
	"sync"

	"github.com/tcplife/tcplife/finding"
	"github.com/tcplife/tcplife/reassembly"
)

// Fragments of JSON that depend on one or two words only. Joined once, they are one
// copy for each place instead of three.
var (
	// stateTexts begin a transition, up to the value of "at".
	stateTexts = func() (texts [reassembly.StateCount]string) {
		for i := range texts {
			texts[i] = `{"state":"` + reassembly.State(i).String() + `","at":`
		}
		return texts
	}()

	evidenceTexts = func() (texts [reassembly.Assumed + 1]string) {
		for i := range texts {
			texts[i] = `,"evidence":"` + reassembly.Evidence(i).String() + `"`
		}
		return texts
	}()

	// eventTexts say whose an event is, and which.
	eventTexts = func() (texts [2][reassembly.KindICMP + 1]string) {
		for side := range texts {
			for kind := range texts[side] {
				texts[side][kind] = `,"from":"` + reassembly.Side(side).String() + `","event":"` + reassembly.Kind(kind).String() + `"`
			}
		}
		return texts
	}()

	// gradeTexts say how grave and how sure a finding is, and whose, from inside of the
	// value of "severity" to the key "frames".
	gradeTexts = func() (texts [finding.Error + 1][finding.Certain + 1][finding.Both + 1]string) {
		for s := range texts {
			for c := range texts[s] {
				for e := range texts[s][c] {
					texts[s][c][e] = finding.Severity(s).String() + `","confidence":"` + finding.Confidence(c).String() +
						`","endpoint":"` + finding.Endpoint(e).String() + `","frames":`
				}
			}
		}
		return texts
	}()
)

// ruleText is what all findings of a rule have in common: up to the value of
// "catalogue", from there into that of "severity", and from "advice" to the end.
type ruleText struct{ id, title, advice string }

// ruleTexts has the text of every registered rule.
var ruleTexts = sync.OnceValue(func() map[*finding.Rule]*ruleText {
	texts := make(map[*finding.Rule]*ruleText)
	for _, r := range finding.All() {
		texts[r] = &ruleText{string(appendRuleID(nil, r)), string(appendRuleTitle(nil, r)), string(appendRuleAdvice(nil, r))}
	}
	return texts
})

func appendRuleID(b []byte, r *finding.Rule) []byte {
	b = append(b, `{"id":`...)
	b = appendString(b, r.ID)
	return append(b, `,"catalogue":`...)
}

func appendRuleTitle(b []byte, r *finding.Rule) []byte {
	b = append(b, `,"title":`...)
	b = appendString(b, r.Title)
	return append(b, `,"severity":"`...)
}

func appendRuleAdvice(b []byte, r *finding.Rule) []byte {
	b = append(b, `,"advice":`...)
	b = appendString(b, r.Advice)
	b = append(b, `,"rfc":`...)
	b = appendString(b, r.RFC)
	return append(b, '}')
}
