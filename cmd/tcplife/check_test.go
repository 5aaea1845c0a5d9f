package main

import (
	"bytes"
	"context"
	"strings"
	"testing"
)

// TestJudgesNothingHalfRead interrupts check and diff before they have read anything:
// nothing is as expected then, and no baseline is written.
func TestJudgesNothingHalfRead(t *testing.T) {
	const example = "../../examples/check/"
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	for _, x := range []struct {
		args   []string
		stdout string
	}{
		{[]string{"check", example + "healthy.pcap", "--expect", example + "expect.yaml"}, "not checked: interrupted before its end"},
		{[]string{"check", example + "healthy.pcap", "--baseline", example + "baseline.json", "--format", "tap"}, "not ok 1"},
		{[]string{"check", example + "healthy.pcap", "--write-baseline", t.TempDir() + "/b.json"}, "not checked"},
		{[]string{"diff", example + "healthy.pcap", example + "reset.pcap"}, ""},
	} {
		var out, errOut bytes.Buffer
		if code := run(ctx, x.args, strings.NewReader(""), &out, &errOut); code != exitInterrupted {
			t.Errorf("%q: exit code %d", x.args, code)
		}
		if !strings.Contains(out.String(), x.stdout) || strings.Contains(out.String(), "as expected") || x.stdout == "" && out.Len() > 0 {
			t.Errorf("%q prints %q", x.args, out.String())
		}
		if !strings.Contains(errOut.String(), "is not judged") || strings.Contains(errOut.String(), "is written") {
			t.Errorf("%q says %q", x.args, errOut.String())
		}
	}
}
