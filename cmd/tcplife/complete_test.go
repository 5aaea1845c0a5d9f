package main

import (
	"slices"
	"strings"
	"testing"
)

// TestCompletion asks for completions as the scripts of all shells do.
func TestCompletion(t *testing.T) {
	capture := pcapDir + "/lost-final-ack.pcap"
	for _, x := range []struct {
		args []string // the last is the word under the cursor
		want []string // among those offered
		not  string   // is not
	}{
		{[]string{"ana"}, []string{"analyze\tReport on the TCP connections of capture files"}, ""},
		{[]string{"explain", "lost"}, []string{"lost-final-ack\tThe last ACK of the close did not arrive", "states\tThe states of an endpoint", "close.reason\ttext"}, ""},
		{[]string{"analyze", capture, "--connection", ""}, []string{"1\t10.86.210.101:38885 > 172.16.210.17:3306 orderly lost-final-ack fin-in-time-wait"}, ""},
		{[]string{"live", "--events", "opened,cl"}, []string{"opened,closing", "opened,closed"}, "opened,reset"},
		{[]string{"live", "--format", ""}, []string{"text", "ndjson"}, "csv"},
		{[]string{"analyze", "-c", ""}, []string{"frame:\tthe connection of a frame"}, "1"},
		{[]string{"analyze", "missing.pcap", "-c", ""}, nil, "1"},
		{[]string{"analyze", "--finding", ""}, []string{"warning", "abort\tA socket was aborted"}, "close-wait-leak"},
		{[]string{"analyze", "--fail-on", ""}, []string{"close-wait-leak\tA program does not close its connections: CLOSE_WAIT grows"}, ""},
		{[]string{"analyze", "--format", ""}, []string{"ndjson", "markdown"}, ""},
		{[]string{"analyze", "--columns", "id,close.r"}, []string{"id,close.reason\ttext"}, "id,close.by"},
		{[]string{"analyze", "--group-by", "server,clo"}, []string{"server,closer\twho began to close"}, ""},
		{[]string{"analyze", "--sort=-dur"}, []string{"-duration\tseconds"}, ""},
		{[]string{"analyze", "--filter", "close.re"}, []string{"close.reason\ttext"}, "close.by"},
		{[]string{"analyze", "--filter", "duration > 5 && dw"}, []string{"duration > 5 && dwell(\tdwell(\"server\", \"CLOSE_WAIT\")"}, ""},
		{[]string{"analyze", "--filter", `close.reason == "ab`}, []string{`close.reason == "abort"`, `close.reason == "abort-unread"`}, `close.reason == "orderly"`},
		{[]string{"analyze", "--filter", `dwell("s`}, []string{`dwell("server"`}, ""},
		{[]string{"analyze", "--filter", `dwell("server", "CLOSE`}, []string{`dwell("server", "CLOSE_WAIT"`}, ""},
		{[]string{"analyze", "--filter", `finding("lost`}, []string{`finding("lost-final-ack"`}, ""},
		{[]string{"analyze", "--filter", `uid == "`}, nil, `uid == ""`},
	} {
		code, out, _ := invoke(t, nil, append([]string{"__complete"}, x.args...)...)
		lines := strings.Split(out, "\n")
		for _, w := range x.want {
			if !slices.Contains(lines, w) {
				t.Errorf("%q: %q is not offered:\n%s", x.args, w, out)
			}
		}
		if code != exitOK || x.not != "" && slices.ContainsFunc(lines, func(l string) bool { l, _, _ = strings.Cut(l, "\t"); return l == x.not }) {
			t.Errorf("%q: exit code %d:\n%s", x.args, code, out)
		}
	}
}

// The scripts of all shells are there.
func TestCompletionScripts(t *testing.T) {
	for _, shell := range []string{"bash", "zsh", "fish", "powershell"} {
		if code, out, errOut := invoke(t, nil, "completion", shell); code != exitOK || !strings.Contains(out, "__complete") || errOut != "" {
			t.Errorf("%s: exit code %d, %d octets, %s", shell, code, len(out), errOut)
		}
	}
}
