package main

import (
	"strings"
	"testing"

	"github.com/tcplife/tcplife/finding"
	"github.com/tcplife/tcplife/incident"
)

// The example that explain names shows what it explains.
func TestExamplesShowTheirRule(t *testing.T) {
	shown := map[string]string{}
	for _, r := range finding.All() {
		shown[r.ID] = r.Shown()
	}
	for _, r := range incident.All() {
		shown[r.ID] = r.Shown()
	}
	for id, capture := range shown {
		if capture == "" {
			continue
		}
		code, out, errs := invoke(t, nil, "analyze", "-f", "ndjson", "../../"+capture)
		if code != 0 || !strings.Contains(out, `"id":"`+id+`"`) {
			t.Errorf("%s does not show %s (exit code %d): %s", capture, id, code, errs)
		}
	}
}
