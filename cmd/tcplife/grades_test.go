package main

import (
	"slices"
	"testing"

	"github.com/tcplife/tcplife/finding"
)

// Whatever the file holds: an error with its reason, or choices that exist.
func FuzzParseGrades(f *testing.F) {
	for _, text := range []string{"", "only: [abort]\n", "ignore: [half-close, port-scan]\nseverity:\n  abort: info\n", "severity: 3", "only: {a: b}", "- a", "only: [*a]", "\x00", "only: &a [*a]"} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		var g finding.Grades
		if parseGrades(text, &g) != nil {
			return
		}
		for _, id := range slices.Concat(g.Only, g.Ignore) {
			if gradable(id) != nil {
				t.Errorf("%q is no finding", id)
			}
		}
		for id, s := range g.Severity {
			if gradable(id) != nil || s > finding.Error {
				t.Errorf("%q is as grave as %d", id, s)
			}
		}
	})
}
