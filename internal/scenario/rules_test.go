package scenario

import (
	"slices"
	"strings"
	"testing"

	"github.com/tcplife/tcplife/finding"
	"github.com/tcplife/tcplife/reassembly"
)

// rules is what scenarios are checked with: every registered rule. They run side by
// side, so each has a set of its own.
func rules(c *reassembly.Conn) []finding.Finding { return finding.NewSet(finding.All()).Check(c) }

// TestRulesHaveScenarios demands of every rule a script in which it fires and a
// near miss in which it must not.
func TestRulesHaveScenarios(t *testing.T) {
	scripts := load(t)
	// has reports whether a script whose name begins with the rule's ID has such a
	// line.
	has := func(id string, prefix string, kind FindingKind) bool {
		return slices.ContainsFunc(scripts, func(s *Script) bool {
			return (s.Name() == prefix || strings.HasPrefix(s.Name(), prefix+"-")) &&
				slices.ContainsFunc(s.Findings, func(l FindingLine) bool { return l.ID == id && l.Kind == kind })
		})
	}
	// No script can tell of them, with the reason and the test that does.
	elsewhere := map[string]string{
		"self-connect": "a script's hosts do not send to themselves; TestSelfConnect in package finding",
	}
	for _, r := range finding.All() {
		if elsewhere[r.ID] != "" {
			continue
		}
		if !has(r.ID, r.ID, FindingWant) {
			t.Errorf("rule %s: no %s*.txt in which it fires", r.ID, r.ID)
		}
		if !has(r.ID, r.ID+"-miss", FindingNot) {
			t.Errorf("rule %s: no %s-miss*.txt with the line \"no %s\"", r.ID, r.ID, r.ID)
		}
	}
}
