package rosetta_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/tcplife/tcplife/capture"
	"github.com/tcplife/tcplife/pipeline"
	"github.com/tcplife/tcplife/report"
)

// connection is what these tests read of a report.
type connection struct {
	Type       string
	FirstFrame int `json:"first_frame"`
	Client     peer
	Server     peer
	Encap      []string
	Start      string
	Zeek       struct {
		ConnState  string `json:"conn_state"`
		History    string
		Duration   float64
		Originator string
		Rows       int
	}
	Wireshark struct {
		Stream, Completeness, Streams int
	}
	Tcptrace struct {
		Complete    string
		Connections int
	}
}

// ends names the pair of endpoints, whoever is the client.
func (c *connection) ends() string {
	a, b := c.Client.String(), c.Server.String()
	return min(a, b) + " " + max(a, b)
}

type peer struct {
	IP   string
	Port int
}

func (p peer) String() string {
	ip, err := netip.ParseAddr(p.IP)
	if err != nil {
		return p.IP
	}
	return netip.AddrPortFrom(ip, uint16(p.Port)).String()
}

// connectionsOf analyzes a capture. Damage and what cannot be read are not the
// question here: what there is, is returned.
func connectionsOf(t *testing.T, path string) (list []connection) {
	t.Helper()
	src, err := capture.Open(path)
	if err != nil {
		return nil
	}
	defer src.Close()
	format, err := report.New("ndjson")
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	options := report.Options{Inputs: []string{"x"}, Peers: report.Peers()}
	if _, err := pipeline.Run(context.Background(), &pipeline.Config{Source: src, Name: "x", Jobs: 1, Format: format, Output: &out, Report: options}); err != nil {
		t.Fatal(err)
	}
	for line := range bytes.Lines(out.Bytes()) {
		var c connection
		if err := json.Unmarshal(line, &c); err != nil {
			t.Fatalf("%v in %s", err, line)
		}
		if c.Type == "connection" {
			list = append(list, c)
		}
	}
	return list
}

// What tshark itself says of the captures of this repository. It reads them twice
// (-2): only then a stream's last frame shows the stream's value.
func TestWiresharkSaysTheSame(t *testing.T) {
	if _, err := exec.LookPath("tshark"); err != nil {
		t.Skip("wants tshark, to ask it for streams and completeness")
	}
	files, err := filepath.Glob("../testdata/pcaps/*.pcap*")
	if err != nil || len(files) < 20 {
		t.Fatal(len(files), "captures", err)
	}
	for i, file := range files {
		if i%8 != 0 {
			continue // it takes a second to start
		}
		out, err := exec.Command("tshark", "-2", "-n", "-r", file, "-Y", "tcp and not icmp and not icmpv6", "-T", "fields", "-e", "frame.number", "-e", "tcp.stream", "-e", "tcp.completeness").Output()
		if err != nil {
			t.Fatal(err)
		}
		stream, completeness := map[int]int{}, map[int]int{}
		lines := bufio.NewScanner(bytes.NewReader(out))
		for lines.Scan() {
			var n [3]int
			for i, f := range strings.Split(lines.Text(), "\t") {
				if n[i], err = strconv.Atoi(f); err != nil {
					t.Fatalf("%s: tshark says %q", file, lines.Text())
				}
			}
			stream[n[0]], completeness[n[1]] = n[1], n[2]
		}
		list := connectionsOf(t, file)
		lives := map[string]int{}
		for _, c := range list {
			lives[c.ends()]++
		}
		for _, c := range list {
			want := stream[c.FirstFrame]
			if c.Wireshark.Stream != want {
				t.Errorf("%s: the connection of frame %d is in stream %d, want %d", file, c.FirstFrame, c.Wireshark.Stream, want)
			}
			// Of several lives of a tuple each has its own segments here; Wireshark has
			// what an old life still sends in the newest stream.
			if lives[c.ends()] == 1 && c.Wireshark.Completeness != completeness[want] {
				t.Errorf("%s: stream %d has completeness %d, want %d", file, want, c.Wireshark.Completeness, completeness[want])
			}
		}
	}
}

// row is one of the oracles kept beside the shared captures.
type row struct {
	Capture, Test  string
	Strict         bool
	Bare           bool
	Orig, Resp     peer
	Src, Dst, A, B peer
	Quirk          string
	Completeness   int
	ConnState      *string `json:"conn_state"`
	History        *string
	Duration       *float64
	Packets        [2]int
	Complete       string
}

// rows reads an oracle and hands out the rows of one pair of endpoints together, with
// the connections of that pair.
func rows(t *testing.T, oracle string, ends func(*row) (string, peer, peer), visit func(rows []*row, list []connection)) {
	t.Helper()
	dir := filepath.Join("..", "..", "shared", "corpus")
	f, err := os.Open(filepath.Join(dir, "oracle", oracle))
	if err != nil {
		t.Skipf("wants other tools' answers for the shared captures: %v", err)
	}
	defer f.Close()
	type key struct{ group, capture, a, b string }
	of := func(group, capture string, a, b peer) key {
		x, y := a.String(), b.String()
		return key{group, capture, min(x, y), max(x, y)}
	}
	groups := map[key][]*row{}
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		r := new(row)
		if err := json.Unmarshal(lines.Bytes(), r); err != nil {
			t.Fatal(err)
		}
		group, a, b := ends(r)
		groups[of(group, r.Capture, a, b)] = append(groups[of(group, r.Capture, a, b)], r)
	}
	have := map[string]map[key][]connection{}
	for k, list := range groups {
		if have[k.capture] == nil {
			have[k.capture] = map[key][]connection{}
			for _, c := range connectionsOf(t, filepath.Join(dir, "pcap", k.capture)) {
				k := of("", k.capture, c.Client, c.Server)
				have[k.capture][k] = append(have[k.capture][k], c)
			}
		}
		if c := have[k.capture][key{"", k.capture, k.a, k.b}]; len(c) > 0 {
			visit(list, c)
		}
	}
}

// share fails the test unless enough of what was compared agrees.
func share(t *testing.T, what string, same, all int, least float64) {
	t.Helper()
	if all == 0 || float64(same) < least*float64(all) {
		t.Errorf("%s: %d of %d agree, want at least %.1f %%", what, same, all, 100*least)
	}
	t.Logf("%s: %d of %d agree", what, same, all)
}

// Zeek's own test baselines. What differs is in docs/compatibility.md.
func TestZeekSaysTheSame(t *testing.T) {
	var state, states, history, payload, histories, number, numbers, duration, durations int
	rows(t, "zeek.jsonl", func(r *row) (string, peer, peer) { return r.Test, r.Orig, r.Resp }, func(rows []*row, list []connection) {
		made := 0
		for _, c := range list {
			made += max(c.Zeek.Rows, 1)
		}
		if !rows[0].Strict {
			return
		}
		numbers++
		if made == len(rows) {
			number++
		}
		if len(rows) != 1 || len(list) != 1 {
			return // which row is which is the comparison script's business
		}
		r, z := rows[0], list[0].Zeek
		if r.ConnState != nil {
			states++
			if *r.ConnState == z.ConnState {
				state++
			}
		}
		if r.History != nil {
			histories++
			if *r.History == z.History {
				history++
				payload++
			} else {
				t.Logf("%s: %s, Zeek has %s", r.Capture, z.History, *r.History)
				// X also marks limits of Zeek's application analyzers, which payload decides.
				if strings.ReplaceAll(*r.History, "X", "") == z.History {
					payload++
				}
			}
		}
		if r.Duration != nil {
			durations++
			if d := *r.Duration - z.Duration; d < 2e-6 && d > -2e-6 {
				duration++
			}
		}
	})
	share(t, "conn_state", state, states, 0.98)
	share(t, "history", history, histories, 0.96)
	share(t, "history but for what payload decides", payload, histories, 0.99)
	share(t, "number of rows", number, numbers, 0.98)
	share(t, "duration", duration, durations, 0.98)
}

// tcptrace's answers.
func TestTcptraceSaysTheSame(t *testing.T) {
	var same, all, number, numbers int
	rows(t, "tcptrace.jsonl", func(r *row) (string, peer, peer) { return "", r.A, r.B }, func(rows []*row, list []connection) {
		made := 0
		for _, c := range list {
			made += max(c.Tcptrace.Connections, 1)
		}
		numbers++
		if made == len(rows) {
			number++
		}
		if len(rows) != 1 || len(list) != 1 {
			return
		}
		all++
		if rows[0].Complete == list[0].Tcptrace.Complete {
			same++
		} else {
			t.Logf("%s %v %v: %s, tcptrace has %s", rows[0].Capture, rows[0].A, rows[0].B, list[0].Tcptrace.Complete, rows[0].Complete)
		}
	})
	share(t, "complete conn", same, all, 0.99)
	share(t, "number of connections", number, numbers, 0.99)
}

// tshark's completeness for the shared captures.
func TestWiresharkSaysTheSameOfOtherCaptures(t *testing.T) {
	var same, all int
	rows(t, "wireshark.jsonl", func(r *row) (string, peer, peer) { return "", r.Src, r.Dst }, func(rows []*row, list []connection) {
		if len(rows) != len(list) {
			return
		}
		for _, r := range rows {
			if r.Quirk != "" {
				return
			}
		}
		if len(rows) != 1 {
			return
		}
		all++
		if rows[0].Completeness == list[0].Wireshark.Completeness {
			same++
		} else {
			t.Logf("%s %v %v: %d, tshark has %d", rows[0].Capture, rows[0].Src, rows[0].Dst, list[0].Wireshark.Completeness, rows[0].Completeness)
		}
	})
	share(t, "completeness", same, all, 0.998)
}
