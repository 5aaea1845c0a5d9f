package main

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tcplife/tcplife/report"
)

const goldenDir = "../../testdata/golden"

// TestGolden compares whole reports of real and compiled captures with what is in
// the repository. It proves nothing of its own: it shows in a diff what a change
// does to what users see.
func TestGolden(t *testing.T) {
	for _, name := range []string{
		"lost-final-ack", "half-close", "several-connections", "kernel-rst-injected", "kernel-capture-duplicates", "kernel-cut-end",
	} {
		path := filepath.Join(pcapDir, name+".pcap")
		for _, format := range []string{"text", "json", "ndjson"} {
			golden(t, name+"."+format, "--format", format, "--name", name+".pcap", path)
		}
	}
	two := []string{pcapDir + "/lost-final-ack.pcap", pcapDir + "/several-connections.pcap"}
	for _, format := range report.Formats() {
		golden(t, "two-files."+format, append(two, "--format", format, "--name", "two")...)
	}
	golden(t, "two-files.timeline", append(two, "--name", "two", "--connection", "frame:lost-final-ack.pcap:4")...)
	for _, format := range []string{"text", "json"} {
		golden(t, "two-files.inventory."+format, append(two, "--inventory", "--format", format, "--name", "two")...)
	}
	path := filepath.Join(pcapDir, "lost-final-ack.pcap")
	golden(t, "lost-final-ack.census", "--census", "--at", "+50ms", "--every", "100ms", "--name", "lost-final-ack.pcap", path)
	golden(t, "lost-final-ack.durations", "--dwell", "--rtt", "--name", "lost-final-ack.pcap", path)
	golden(t, "lost-final-ack.timeline", "--connection", "1", "--name", "lost-final-ack.pcap", path)
	path = filepath.Join(pcapDir, "kernel-rst-injected.pcap")
	golden(t, "kernel-rst-injected.timeline", "--connection", "frame:8", "--name", "kernel-rst-injected.pcap", path)
}

func golden(t *testing.T, name string, args ...string) {
	t.Run(name, func(t *testing.T) {
		var out, errOut bytes.Buffer
		if code := run(context.Background(), append([]string{"analyze"}, args...), strings.NewReader(""), &out, &errOut); code != exitOK || errOut.Len() > 0 {
			t.Fatalf("exit code %d: %s", code, &errOut)
		}
		path := filepath.Join(goldenDir, name)
		if *update {
			if err := os.MkdirAll(goldenDir, 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, out.Bytes(), 0o644); err != nil {
				t.Fatal(err)
			}
			return
		}
		want, err := os.ReadFile(path)
		if err != nil {
			t.Fatalf("%v (make golden writes it)", err)
		}
		if d := cmp.Diff(string(want), out.String()); d != "" {
			t.Errorf("%s differs (-want +got); if that is meant, make golden and read the diff:\n%s", path, d)
		}
	})
}
