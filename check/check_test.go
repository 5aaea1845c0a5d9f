package check_test

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tcplife/tcplife/capture"
	"github.com/tcplife/tcplife/check"
	"github.com/tcplife/tcplife/internal/scenario"
	"github.com/tcplife/tcplife/pipeline"
	"github.com/tcplife/tcplife/report"
)

var update = flag.Bool("update", false, "rewrite the expected outputs; then read the diff, line by line")

const pcapDir = "../testdata/pcaps"

// read runs a format over a capture.
func read(t testing.TB, name string, file []byte, f report.Format) {
	t.Helper()
	src, err := capture.NewReader(bytes.NewReader(file), name)
	if err != nil {
		t.Fatal(err)
	}
	defer src.Close()
	if _, err := pipeline.Run(context.Background(), &pipeline.Config{Source: src, Name: name, Format: f, Output: io.Discard, Report: report.Options{Inputs: []string{name}}}); err != nil {
		t.Fatal(err)
	}
}

func pcap(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(pcapDir, name))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// judged holds a capture against expectations.
func judged(t testing.TB, name string, file []byte, expectations string) *check.Result {
	t.Helper()
	docs, err := check.Load("expect.yaml", []byte(expectations))
	if err != nil {
		t.Fatal(err)
	}
	run := check.Begin(docs...)
	read(t, name, file, run)
	return run.Result(name)
}

// script compiles packets.
func script(t testing.TB, packets string, v scenario.Variant) []byte {
	t.Helper()
	s, err := scenario.Parse("test.txt", []byte("A test.\n-- packets --\n"+packets+"-- states --\n-- findings --\n"))
	if err != nil {
		t.Fatal(err)
	}
	c, err := s.Compile(v)
	if err != nil {
		t.Fatal(err)
	}
	b, err := c.File()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// healthy is a connection to port 443 as it should be: 10 ms of handshake, a question,
// an answer, and a close that the client begins.
const healthy = `0.000    a > b  S   0:0(0)     win 64240 <mss 1460,sackOK,nop,wscale 7>
+0.010   b > a  S.  0:0(0)     ack 1 win 65160 <mss 1460,sackOK,nop,wscale 7>
+0.001   a > b  .   1:1(0)     ack 1
+0.001   a > b  P.  1:101(100) ack 1
+0.010   b > a  .   1:1(0)     ack 101
+0.020   b > a  P.  1:501(500) ack 101
+0.001   a > b  .   101:101(0) ack 501
+0.050   a > b  F.  101:101(0) ack 501
+0.010   b > a  .   501:501(0) ack 102
+0.002   b > a  F.  501:501(0) ack 102
+0.001   a > b  .   102:102(0) ack 502
`

// refused is a second client's attempt at a port where nobody listens.
const refused = `+1.000   c > b:2  S   0:0(0)  win 64240 <mss 1460>
+0.010   b:2 > c  R.  0:0(0)  ack 1
`

// aborted is a third client's connection, which the server resets.
const aborted = `+1.000   d > b  S   0:0(0)     win 64240 <mss 1460,sackOK,nop,wscale 7>
+0.010   b > d  S.  0:0(0)     ack 1 win 65160 <mss 1460,sackOK,nop,wscale 7>
+0.001   d > b  .   1:1(0)     ack 1
+0.001   d > b  P.  1:101(100) ack 1
+0.010   b > d  .   1:1(0)     ack 101
+0.500   b > d  R.  1:1(0)     ack 101 win 509
`

// Each line of expectations, and what of it is not met on the three connections above:
// the names of the verdicts and what was found.
func TestVerdicts(t *testing.T) {
	file := script(t, healthy+refused+aborted, scenario.Variant{})
	for _, x := range []struct {
		expect string
		failed []string // "what: found"; nil for none
	}{
		{"connections: {count: 3}", nil},
		{"connections: {count: '<= 2'}", []string{"connections count: 3 connections"}},
		{"connections: {outcomes: {success: 1, failure: 2, unknown: 0}}", nil},
		{"connections: {outcomes: {failure: '<= 50%'}}", []string{"connections outcome failure: 2 of 3 (66.7%)"}},
		{"connections: {outcomes: {success: all}}", []string{"connections outcome success: 1 of 3 (33.3%)"}},
		{"connections: {close: {refused: 1, reset: 1, orderly: '30%..40%', dead: none}}", nil},
		{"connections: {close: {refused: 0}}", []string{"connections close refused: 1 of 3 (33.3%)"}},
		{"connections: {close: {reset: '<= 1%'}}", []string{"connections close reset: 1 of 3 (33.3%)"}},
		{"connections: {close: {reset: '< 1'}}", []string{"connections close reset: 1 of 3 (33.3%)"}},
		{"connections: {close: {reset: '> 1'}}", []string{"connections close reset: 1 of 3 (33.3%)"}},
		{"connections: {closer: client}", []string{"connections closer: the client closed first in 1 of 2 (50.0%)"}},
		{"connections: {closer: {client: 1, server: 1, none: 1}}", nil},
		{"connections: {handshake: {complete: 2, refused: 1, repeated: 0}}", nil},
		{"connections: {handshake: {refused: 0}}", []string{"connections handshake refused: 1 of 3 (33.3%)"}},
		{"connections: {handshake: {rtt: {min: '>= 11ms', median: 11ms, p99.9: '<= 11ms', max: '< 12ms'}, rtt_server_side: {p50: 10ms}, rtt_client_side: {p50: 1ms}}}", nil},
		{"connections: {handshake: {rtt: {p99: '<= 10ms'}}}", []string{"connections handshake rtt p99: 11 ms, of 2"}},
		{"connections: {dwell: {server CLOSE_WAIT: {max: '<= 12ms'}, client ESTABLISHED: {p50: '>= 50ms'}}}", nil},
		{"connections: {dwell: {server CLOSE_WAIT: {max: '<= 1ms'}}}", []string{"connections dwell server CLOSE_WAIT max: 12 ms, of 1"}},
		{"connections: {dwell: {FIN_WAIT_2: {max: '< 1ms'}}}", []string{"connections dwell FIN_WAIT_2 max: 2 ms, of 1"}},
		{"connections: {dwell: {CLOSING: {max: '< 1ms'}}}", []string{"connections dwell CLOSING max: nobody was seen in that state"}},
		// The client's TIME_WAIT lasts: what was seen of it is enough to be too long.
		{"connections: {dwell: {client TIME_WAIT: {max: '<= 1s'}}}", []string{"connections dwell client TIME_WAIT max: 2.53 s, of 1 (1 of them last and count with what was seen of them)"}},
		{"connections: {dwell: {client TIME_WAIT: {min: '>= 1ms'}}}", []string{"connections dwell client TIME_WAIT min: nobody was seen in that state"}},
		{"listeners: {443: {count: 2}, https: {closer: {client: 1}}, '*:444': {close: {refused: all}}, '10.0.0.2:443': {outcomes: {success: '>= 50%'}}}", nil},
		{"listeners: {443: {close: {reset: 0}}}", []string{"listener 443 close reset: 1 of 2 (50.0%)"}},
		{"listeners: {8080: {close: {reset: 0}}}", []string{"listener 8080 has connections: 0 connections"}},
		{"listeners: {8080: {count: 0, close: {reset: 0}}}", nil},
		{"findings: {forbidden: [lost-final-ack]}", nil},
		{"findings: {required: [closed-port-reset, {id: closed-unread, at_least: 0, at_most: 0}]}", nil},
		{"findings: {required: [closed-port-reset, half-close]}", []string{"findings required: half-close: none"}},
		{"findings: {required: [{id: closed-port-reset, port: 443}]}", []string{"findings required: closed-port-reset, port 443: none"}},
		{"findings: {required: [{id: closed-port-reset, port: 444, endpoint: server, severity: info}]}", nil},
		{"findings: {required: [{id: closed-port-reset, at_least: 2}]}", []string{"findings required: closed-port-reset: 1 finding"}},
		{"findings: {forbidden: [closed-port-reset]}", []string{"findings forbidden: closed-port-reset: 1 finding"}},
		{"findings: {forbidden: [info], allowed: [closed-port-reset, abort, reset-provenance]}", nil},
		{"findings: {allowed: [abort, reset-provenance]}", []string{"findings forbidden: any other finding: 1 finding"}},
		{"findings: {allowed: [abort, reset-provenance, {id: closed-port-reset, at_most: 0}]}", []string{"findings allowed: closed-port-reset: 1 finding"}},
		{"findings: none", []string{"findings forbidden: any finding: 4 findings"}},
		{"filters: [{filter: close.reason == \"abort\" && duration > 0.5, count: 1}]", nil},
		{"filters: [{name: no long abort, filter: close.reason == \"abort\" && duration > 0.5, count: 0}]", []string{"filter no long abort: 1 of 3 (33.3%)"}},
		{"filters: [{filter: id > 1, count: 0}]", []string{"filter id > 1: 2 of 3 (66.7%)"}},
		{"filters: [{filter: 'wireshark.stream == 2', count: '>= 1'}]", nil},
		{"census: {end: {CLOSE_WAIT: 0, client TIME_WAIT: 1, sockets: 1}, peak: {sockets: '>= 2', TIME_WAIT: 1}}", nil},
		{"census: {end: {TIME_WAIT: 0}}", []string{"census end TIME_WAIT: 1 endpoint"}},
		{"census: {peak: {ESTABLISHED: '<= 1'}}", []string{"census peak ESTABLISHED: 2 endpoints, 11 ms after the first frame"}},
		{"capture: {complete: true, frames: 19, segments: 19, duplicates: 0, backwards: 0, snapped: 0}", nil},
		{"capture: {frames: '>= 100'}", []string{"capture frames: 19"}},
	} {
		r := judged(t, "a.pcap", file, x.expect)
		if len(r.Verdicts) == 0 {
			t.Errorf("%s: no verdict", x.expect)
		}
		var failed []string
		for _, v := range r.Verdicts {
			if v.At.Line == 0 || v.Expected == "" || v.Found == "" || v.Kind == "" {
				t.Errorf("%s: a verdict says too little: %+v", x.expect, v)
			}
			if v.Failed {
				failed = append(failed, v.What+": "+v.Found)
			}
		}
		if diff := cmp.Diff(x.failed, failed); diff != "" {
			t.Errorf("%s: not met (-want +got):\n%s", x.expect, diff)
		}
	}
}

// Of an expression that cannot be evaluated on a connection nobody knows whether it
// holds.
func TestUnknownIsNotMet(t *testing.T) {
	r := judged(t, "a.pcap", script(t, healthy+refused, scenario.Variant{}), "filters: [{filter: 'states.client[3].dwell > 100', count: 0}]")
	if r.Failed() != 1 || !strings.Contains(r.Verdicts[0].Found, "could not be evaluated on one connection") {
		t.Errorf("%+v", r.Verdicts)
	}
}

// What shows a failure are the connections that are the trouble, with their frames.
func TestEvidence(t *testing.T) {
	r := judged(t, "a.pcap", script(t, healthy+refused+aborted, scenario.Variant{}), `
connections: {close: {reset: 0, orderly: all}}
findings: {forbidden: [closed-port-reset]}
census: {end: {client TIME_WAIT: 0}}
`)
	var got []string
	for _, v := range r.Verdicts {
		for _, e := range v.Evidence {
			got = append(got, fmt.Sprintf("%s: %d %v %.60s", v.What, e.Connection, e.Frames, e.Text))
		}
	}
	want := []string{
		"connections close reset: 3 [19] abort, closed first by the server (RST)",
		"connections close orderly: 2 [12 13] refused",
		"connections close orderly: 3 [19] abort, closed first by the server (RST)",
		"findings forbidden: closed-port-reset: 2 [12 13] closed-port-reset: The server refused the",
		"census end client TIME_WAIT: 1 [10] the client is in TIME_WAIT",
	}
	for i := range want {
		if i >= len(got) || !strings.HasPrefix(got[i], want[i]) {
			t.Fatalf("evidence:\n%s\nwant:\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
	}
}

// The same capture gives the same verdicts, however many look at it.
func TestJobs(t *testing.T) {
	file := pcap(t, "lost-final-ack.pcap")
	docs, err := check.Load("e", []byte("findings: none\nconnections: {count: 3, handshake: {rtt: {p90: 1us}}}\nfilters: [{filter: id > 0, count: 0}]\n"))
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, jobs := range []int{1, 3, 8} {
		run := check.Begin(docs...)
		src, err := capture.NewReader(bytes.NewReader(file), "a")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := pipeline.Run(context.Background(), &pipeline.Config{Source: src, Name: "a", Jobs: jobs, Format: run, Output: io.Discard}); err != nil {
			t.Fatal(err)
		}
		all = append(all, fmt.Sprintf("%+v", run.Result("a").Verdicts))
	}
	if all[0] != all[1] || all[1] != all[2] {
		t.Errorf("the number of jobs shows:\n%s", strings.Join(all, "\n"))
	}
}

func TestCovers(t *testing.T) {
	docs, err := check.Load("e", []byte("captures: [shop-*.pcap, b/x.pcap]\nfindings: none\n---\nfindings: none\n---\n# nothing\n"))
	if err != nil || len(docs) != 2 {
		t.Fatal(docs, err)
	}
	for name, want := range map[string]bool{"shop-1.pcap": true, "a/shop-2.pcap": true, "b/x.pcap": true, "x.pcap": false, "a/b/x.pcap": false, "shop.pcap": false} {
		if docs[0].Covers(name) != want || !docs[1].Covers(name) {
			t.Errorf("%s: %v", name, !want)
		}
	}
}
