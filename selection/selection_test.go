package selection

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tcplife/tcplife/capture"
	"github.com/tcplife/tcplife/finding"
	"github.com/tcplife/tcplife/pipeline"
	"github.com/tcplife/tcplife/report"
	"github.com/tcplife/tcplife/wire"
)

// each calls do with every connection of a capture.
func each(t testing.TB, name string, do func(c *report.Connection)) {
	t.Helper()
	all, read := connections[name]
	if !read {
		all = load(t, name)
		connections[name] = all
	}
	for _, c := range all {
		do(c)
	}
}

var connections = map[string][]*report.Connection{}

func load(t testing.TB, name string) (all []*report.Connection) {
	t.Helper()
	keep := func(c *report.Connection) {
		v := *c
		v.Conn = c.Clone()
		peers := *c.Peers
		peers.Zeek.History = slices.Clone(peers.Zeek.History)
		v.Peers = &peers
		all = append(all, &v)
	}
	src, err := capture.Open(filepath.Join("../testdata/pcaps", name))
	if err != nil {
		t.Fatal(err)
	}
	defer src.Close()
	cfg := &pipeline.Config{Source: src, Name: name, Jobs: 1, Format: &visitor{do: keep}, Output: io.Discard}
	if _, err := pipeline.Run(context.Background(), cfg); err != nil {
		t.Fatal(err)
	}
	return all
}

// visitor is a format that looks at connections and prints nothing.
type visitor struct {
	pipeline.Discard
	do func(c *report.Connection)
}

func (v *visitor) Encode(_ *report.Buffer, c *report.Connection) { v.do(c) }

// picked returns the client ports of the connections that a wish picks, in order.
func picked(t testing.TB, name string, w *Wish) (ports []int) {
	t.Helper()
	s, err := New(w)
	if err != nil {
		t.Fatal(err)
	}
	p := s.Picker()
	each(t, name, func(c *report.Connection) {
		if yes, later := p.Pick(c); yes && (later == nil || later(1, 0)) {
			ports = append(ports, int(c.Tuple.SrcPort))
		}
	})
	if err := s.Fault(); err != nil {
		t.Errorf("%v: %v", w, err)
	}
	slices.Sort(ports)
	return ports
}

// several-connections.pcap has three: 40000 and 40001 to port 443, and 40000 again, to
// port 22, which is refused.
// lost-final-ack.pcap has three, 38885, 55377 and 35657, each of which lost its last
// ACK; the first two were closed by the client.
var expressions = []struct {
	capture, filter string
	want            []int
}{
	{"lost-final-ack.pcap", `close.closer == "client"`, []int{38885, 55377}},
	{"lost-final-ack.pcap", `close.closer != "client"`, []int{35657}},
	{"lost-final-ack.pcap", `close.reason == "orderly" && server.port == 3306 && duration > 0.41`, []int{38885, 55377}},
	{"lost-final-ack.pcap", `duration > 5`, nil},
	{"lost-final-ack.pcap", `client.port in [38885, 35657]`, []int{35657, 38885}},
	{"lost-final-ack.pcap", `client.port in 38000..39000`, []int{38885}},
	{"lost-final-ack.pcap", `ttl.client in 60..64`, []int{35657, 38885, 55377}},
	{"lost-final-ack.pcap", `ttl.client == 64 and handshake.options.client.mss in [1460]`, []int{35657, 38885, 55377}},
	{"lost-final-ack.pcap", `client.ip == "10.86.210.101"`, []int{35657, 38885, 55377}},
	{"lost-final-ack.pcap", `client.ip startsWith "10.86." and not (client.port == 38885)`, []int{35657, 55377}},
	{"lost-final-ack.pcap", `finding("lost-final-ack")`, []int{35657, 38885, 55377}},
	{"lost-final-ack.pcap", `finding("C05b")`, []int{35657, 38885, 55377}},
	{"lost-final-ack.pcap", `finding("warning")`, []int{35657, 38885, 55377}},
	{"lost-final-ack.pcap", `finding("error")`, nil},
	{"lost-final-ack.pcap", `any(findings, .id == "lost-final-ack" && .endpoint == "server" && 12 in .frames)`, []int{38885}},
	{"lost-final-ack.pcap", `len(findings) == 2`, []int{35657, 38885, 55377}},
	{"lost-final-ack.pcap", `"lost-final-ack" in map(findings, .id)`, []int{35657, 38885, 55377}},
	{"lost-final-ack.pcap", `dwell("server", "LAST_ACK") > 0.21`, []int{38885, 55377}},
	{"lost-final-ack.pcap", `was("client", "TIME_WAIT")`, []int{38885, 55377}},
	{"lost-final-ack.pcap", `any(states.client, .state == "LAST_ACK" && .dwell > 0.2)`, []int{35657}},
	{"lost-final-ack.pcap", `any(states.server, .rewritten)`, []int{38885, 55377}},
	{"lost-final-ack.pcap", `states.client[0].state == "SYN_SENT" && states.client[0].evidence == "sent"`, []int{35657, 38885, 55377}},
	{"lost-final-ack.pcap", `count(events, .event == "fin" && .from == "server") == 2`, []int{38885, 55377}},
	{"lost-final-ack.pcap", `any(events, "retransmission" in .marks && .frame == 12)`, []int{38885}},
	{"lost-final-ack.pcap", `final.client == "TIME_WAIT"`, []int{38885, 55377}},
	{"lost-final-ack.pcap", `first_frame < 14`, []int{38885}},
	{"lost-final-ack.pcap", `start < date("2026-11-20T23:25:16Z")`, []int{38885}},
	{"lost-final-ack.pcap", `start.Year() == 2026 and bytes.client + bytes.server > 100`, []int{55377}},
	{"lost-final-ack.pcap", `cidr(client.ip, "10.0.0.0/8") && cidr(server.ip, "172.16.0.0/12")`, []int{35657, 38885, 55377}},
	{"lost-final-ack.pcap", `net("10.0.0.0/16")`, nil},
	{"lost-final-ack.pcap", `host("172.16.210.17") && port(38885)`, []int{38885}},
	{"lost-final-ack.pcap", `let big = bytes.server; big > 100`, []int{55377}},
	{"lost-final-ack.pcap", `id == 1 && client.port == 38885`, []int{38885}},
	{"lost-final-ack.pcap", `wireshark.stream == 0 && id < 2 && client.port != 38885`, []int{35657, 55377}},
	{"lost-final-ack.pcap", `zeek.history matches "^ShADad" && zeek.conn_state == "SF"`, []int{35657, 38885, 55377}},
	{"lost-final-ack.pcap", `open || evicted || handshake.cookie`, nil},
	{"lost-final-ack.pcap", `"vlan:1" in encap`, nil},
	{"several-connections.pcap", `known(handshake.rtt)`, []int{40000, 40001}},
	// What is unknown is neither less nor more.
	{"several-connections.pcap", `handshake.rtt < 1000000`, []int{40000, 40001}},
	{"several-connections.pcap", `handshake.rtt >= 0`, []int{40000, 40001}},
	{"several-connections.pcap", `handshake.outcome == "refused"`, []int{40000}},
	{"several-connections.pcap", `not known(close.unacked.server)`, []int{40000}},
}

func TestExpressions(t *testing.T) {
	for _, x := range expressions {
		if d := cmp.Diff(x.want, picked(t, x.capture, &Wish{Filters: []string{x.filter}})); d != "" {
			t.Errorf("%s: %s (-want +got)\n%s", x.capture, x.filter, d)
		}
	}
}

func TestWishes(t *testing.T) {
	all := []int{35657, 38885, 55377}
	for _, x := range []struct {
		w    Wish
		want []int
	}{
		{Wish{}, all},
		{Wish{Hosts: []string{"10.86.210.101"}}, all},
		{Wish{Hosts: []string{"10.86.210.102"}}, nil},
		{Wish{Hosts: []string{"10.86.210.102", "172.16.210.17"}}, all},
		{Wish{Hosts: []string{"10.86.210.101"}, Ports: []string{"55377"}}, []int{55377}},
		{Wish{Ports: []string{"3306"}}, all},
		{Wish{Ports: []string{"38000-39000", "35657"}}, []int{35657, 38885}},
		{Wish{Nets: []string{"172.16.0.0/12"}}, all},
		{Wish{Nets: []string{"172.16.210.18"}}, nil},
		{Wish{Services: []string{"mysql"}}, all},
		{Wish{Services: []string{"MySQL"}}, all},
		{Wish{Services: []string{"https"}}, nil},
		{Wish{Services: []string{"172.16.210.17:3306"}}, all},
		{Wish{Services: []string{"3306"}, Findings: []string{"fin-in-time-wait"}}, all},
		{Wish{Services: []string{"55377"}}, nil}, // the client's port is no service
		{Wish{Findings: []string{"error"}}, nil},
		{Wish{Filters: []string{`close.closer == "client"`, "client.port > 50000"}}, []int{55377}},
	} {
		if d := cmp.Diff(x.want, picked(t, "lost-final-ack.pcap", &x.w)); d != "" {
			t.Errorf("%+v (-want +got)\n%s", x.w, d)
		}
	}
}

func TestBetween(t *testing.T) {
	var first wire.Time
	each(t, "lost-final-ack.pcap", func(c *report.Connection) {
		if c.Tuple.SrcPort == 38885 {
			first = c.Start
		}
	})
	for _, x := range []struct {
		from, to time.Duration
		want     int
	}{{0, time.Hour, 3}, {-time.Hour, 0, 1}, {-time.Hour, -1, 0}, {500 * time.Millisecond, time.Second, 0}, {time.Second, time.Hour, 2}, {time.Hour, 2 * time.Hour, 0}} {
		s, err := New(&Wish{})
		if err != nil {
			t.Fatal(err)
		}
		s.Between(first.Add(x.from), first.Add(x.to), "--since", "--until")
		p, n := s.Picker(), 0
		each(t, "lost-final-ack.pcap", func(c *report.Connection) {
			if yes, _ := p.Pick(c); yes {
				n++
			}
		})
		if n != x.want || len(s.Words()) != 2 {
			t.Errorf("from %v to %v: %d connections, want %d; in words %v", x.from, x.to, n, x.want, s.Words())
		}
	}
}

// A mistake is said with what may have been meant, and where it is.
func TestMistakes(t *testing.T) {
	for filter, want := range map[string]string{
		`close.reson == "abort"`:                   "column 1: there is no field close.reson; did you mean close.reason? ('tcplife explain fields' lists them)\n  close.reson == \"abort\"\n  ^",
		`duration > 5 && sever.port == 443`:        "column 17: there is no field sever.port; did you mean server.port?",
		`reason == "abort"`:                        "column 1: there is no field reason; did you mean close.reason?",
		`close == "abort"`:                         "column 1: close holds several fields: close.reason, close.closer, close.by and more",
		`bytes > 5`:                                "column 1: bytes holds several fields: bytes.client, bytes.server",
		`handshake.options.mss == 1460`:            "column 1: there is no field handshake.options.mss; did you mean handshake.options.client.mss?",
		`duration.foo == 1`:                        "column 1: duration holds a seconds and no field foo",
		`findings.id == "abort"`:                   "column 1: findings is a list: any(findings, .id ...) asks whether one of it has something",
		`close.reason == "abrt"`:                   `column 17: close.reason is never "abrt"; did you mean "abort"?`,
		`"orderli" == close.reason`:                `column 1: close.reason is never "orderli"; did you mean "orderly"?`,
		`close.reason in ["abort", "refuse"]`:      `column 27: close.reason is never "refuse"; did you mean "refused"?`,
		`final.client != "time_wait"`:              `column 17: final.client is never "time_wait"; did you mean "TIME_WAIT"?`,
		`any(states.client, .state == "CLOSWAIT")`: `column 30: .state is never "CLOSWAIT"; did you mean "CLOSE_WAIT"?`,
		`any(findings, .id == "lost-final-akc")`:   `.id is never "lost-final-akc"; did you mean "lost-final-ack"?`,
		`any(events, .evnt == "rst")`:              "an entry of that list has no field evnt; did you mean .event?",
		`finding("lost-final-akc")`:                `column 9: finding: there is no finding "lost-final-akc"; did you mean "lost-final-ack"?`,
		`finding("capture-loss")`:                  "capture-loss is about the capture as a whole",
		`finding("close-wait-leak")`:               "close-wait-leak is shown by many connections together",
		`finding(close.reason)`:                    "finding: it wants a text in quotes",
		`finding()`:                                "finding takes 1 arguments and 0 are given",
		`dwell("sever", "CLOSE_WAIT") > 1`:         `the side is "sever": give "client" or "server"`,
		`dwell("server", "CLOSEWAIT") > 1`:         `there is no state "CLOSEWAIT"; did you mean "CLOSE_WAIT"?`,
		`cidr(uid, "10.0.0.0/8")`:                  "its first argument is client.ip or server.ip",
		`cidr(client.ip, "10.0.0/8")`:              `"10.0.0/8" is no network`,
		`host("example.org")`:                      "names are not looked up",
		`port(70000)`:                              "a number from 0 to 65535",
		`fnding("x")`:                              "column 1: there is no function fnding; did you mean finding(...)?",
		`duration`:                                 "it gives a number, not yes or no: compare it with something",
		`close.reason == 5`:                        "column 14: invalid operation: == (mismatched types text and int)",
		`duration > "5"`:                           "mismatched types number and text",
		`close.reason == abort`:                    `there is no field close.reason or`,
		`close.reason = "abort"`:                   "= assigns nothing here: compare with ==",
		`start > "2026-01-01"`:                     `an instant is written date("2026-01-02T03:04:05Z")`,
		`duration >`:                               "it ends too soon",
		`now() > start`:                            "now",
		``:                                         "it ends too soon",
		"duration > 5 &&\nsever.port == 443":       "line 2, column 1: there is no field sever.port",
	} {
		_, err := New(&Wish{Filters: []string{filter}})
		if err == nil {
			t.Errorf("%s: no error, want %s", filter, want)
			continue
		}
		if strings.HasPrefix(want, "there is no field close.reason or") {
			want = `there is no field abort; as a value of close.reason it stands in quotes: "abort"`
		}
		if !strings.HasPrefix(err.Error(), "--filter: ") || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v\nwant: %s", filter, err, want)
		}
	}
	for flag, w := range map[string]*Wish{
		"--host x: \"x\" is no IP address (names are not looked up)":                                    {Hosts: []string{"x"}},
		"--host 10.0.0.0/8: \"10.0.0.0/8\" is a network: ask with net":                                  {Hosts: []string{"10.0.0.0/8"}},
		"--net 10.0.0: \"10.0.0\" is no network such as 10.0.0.0/8 or 2001:db8::/32":                    {Nets: []string{"10.0.0"}},
		"--port 9-8: give a port from 0 to 65535, or a range such as 8000-8080":                         {Ports: []string{"9-8"}},
		"--service postgre: there is no service of that name here; did you mean postgresql? (or give a": {Services: []string{"postgre"}},
		"--finding abrot: there is no finding \"abrot\"":                                                {Findings: []string{"abrot"}},
	} {
		if _, err := New(w); err == nil || !strings.HasPrefix(err.Error(), flag) {
			t.Errorf("%+v: %v, want %s", w, err, flag)
		}
	}
}

// What cannot be evaluated is told, and leaves the connection out.
func TestFault(t *testing.T) {
	s, err := New(&Wish{Filters: []string{`states.client[1].state == "ESTABLISHED"`}})
	if err != nil {
		t.Fatal(err)
	}
	p, n := s.Picker(), 0
	each(t, "several-connections.pcap", func(c *report.Connection) {
		if yes, _ := p.Pick(c); yes {
			n++
		}
	})
	if err := s.Fault(); n != 2 || err != nil {
		t.Errorf("%d picked, %v", n, err) // the refused one has SYN_SENT and CLOSED
	}
	s, err = New(&Wish{Filters: []string{`findings[0].id != "abort-unread-data"[0:3]`}})
	if err != nil {
		t.Fatal(err)
	}
	p = s.Picker()
	each(t, "clean-close-four.pcap", func(c *report.Connection) {
		if yes, _ := p.Pick(c); yes {
			t.Error("picked, though it has no finding at all")
		}
	})
	if err := s.Fault(); err == nil || !strings.Contains(err.Error(), "on one connection, which is left out (it begins with frame 1: ") {
		t.Errorf("fault: %v", err)
	}
}

// Every field of the contract can be asked for, and compares equal to what the
// report says of it.
func TestEveryField(t *testing.T) {
	for _, name := range []string{"several-connections.pcap", "lost-final-ack.pcap", "icmp-refusal.pcap", "kernel-cut-end.pcap", "capture-loss-data.pcap", "option-lost-multipath.pcap"} {
		each(t, name, func(c *report.Connection) {
			for _, f := range report.Fields() {
				v := f.Get(c)
				if f.Numbered() {
					v = f.Number(1, 2)
				}
				var filters []string
				switch {
				case f.Kind == report.KindList:
					filters = []string{fmt.Sprintf("len(%s) == %d", f.Name, len(strings.Fields(v.Text)))}
				case v.Kind == report.KindUnknown:
					filters = []string{"!known(" + f.Name + ")"}
				default:
					filters = []string{"known(" + f.Name + ")", f.Name + " == " + literal(f, v)}
				}
				for _, filter := range filters {
					if f.Name == "encap" {
						continue
					}
					s, err := New(&Wish{Filters: []string{filter}})
					if err != nil {
						t.Fatal(err)
					}
					yes, later := s.Picker().Pick(c)
					if later != nil {
						yes = later(1, 2)
					}
					if !yes {
						t.Errorf("%s, frame %d: %s does not hold", name, c.First.Number(), filter)
					}
				}
			}
		})
	}
}

// literal writes a value as the language has it.
func literal(f *report.Field, v report.Value) string {
	switch f.Kind {
	case report.KindText:
		return fmt.Sprintf("%q", v.Text)
	case report.KindFlag:
		return fmt.Sprint(v.N != 0)
	case report.KindInstant:
		return fmt.Sprintf("date(%q)", wire.Time(v.N).Std().Format(time.RFC3339Nano))
	case report.KindSeconds:
		return strconv.FormatFloat(float64(v.N)/1e9, 'f', -1, 64)
	case report.KindFrame:
		return fmt.Sprint(wire.FrameID(v.N).Number())
	}
	return fmt.Sprint(v.N)
}

// The entries of lists have the fields of the JSON.
func TestRowsAreTheSchema(t *testing.T) {
	var s struct {
		Defs map[string]struct{ Properties map[string]json.RawMessage } `json:"$defs"`
	}
	var raw struct {
		Defs map[string]json.RawMessage `json:"$defs"`
	}
	if err := json.Unmarshal(report.SchemaJSON, &raw); err != nil {
		t.Fatal(err)
	}
	s.Defs = map[string]struct{ Properties map[string]json.RawMessage }{}
	for object, row := range map[string]any{"state": stateRow{}, "event": eventRow{}, "icmp": icmpRow{}, "finding": findingRow{}} {
		var o struct{ Properties map[string]json.RawMessage }
		if err := json.Unmarshal(raw.Defs[object], &o); err != nil {
			t.Fatal(err)
		}
		var want []string
		for name := range o.Properties {
			want = append(want, name)
		}
		have := tags(reflect.TypeOf(row))
		slices.Sort(want)
		slices.Sort(have)
		if d := cmp.Diff(want, have); d != "" {
			t.Errorf("%s (-schema +row):\n%s", object, d)
		}
	}
}

// Every function is explained by a call that can be compiled.
func TestFunctions(t *testing.T) {
	for _, f := range Functions {
		filter := f.Usage
		if f.Name == "dwell" {
			filter += " > 1"
		}
		if _, err := New(&Wish{Filters: []string{filter}}); err != nil {
			t.Errorf("%s: %v", f.Usage, err)
		}
		if !strings.HasPrefix(f.Usage, f.Name+"(") || !strings.HasSuffix(f.Meaning, ".") {
			t.Errorf("%s: %s: %s", f.Name, f.Usage, f.Meaning)
		}
	}
	if !known(1.5) || known(math.NaN()) || known("") || !known([]string{}) || known([]string(nil)) || known(time.Time{}) {
		t.Error("known")
	}
	if EntryFields(report.LookupField("encap")) != nil || !slices.Contains(EntryFields(report.LookupField("findings")), "severity") {
		t.Error("EntryFields")
	}
	if finding.Lookup("lost-final-ack") == nil {
		t.Error("lost-final-ack is gone")
	}
}

// Whatever is typed, the answer is an error or a selection that works.
func FuzzFilter(f *testing.F) {
	for _, x := range expressions {
		f.Add(x.filter)
	}
	f.Add(`any(events, any(.marks, # == "gap"))`)
	f.Add(`close["reason"] == "abort"`)
	f.Fuzz(func(t *testing.T, filter string) {
		if len(filter) > 200 {
			return
		}
		s, err := New(&Wish{Filters: []string{filter}})
		if err != nil {
			if strings.Contains(err.Error(), "\x00") {
				return
			}
			if err.Error() == "" {
				t.Error("an empty error")
			}
			return
		}
		p := s.Picker()
		each(t, "clean-close-three.pcap", func(c *report.Connection) { p.Pick(c) })
	})
}

func BenchmarkPick(b *testing.B) {
	for _, filter := range []string{`close.reason == "abort" && server.port == 443 && duration > 5`, `finding("lost-final-ack")`, `any(states.client, .state == "LAST_ACK" && .dwell > 0.2)`} {
		b.Run(filter, func(b *testing.B) {
			s, err := New(&Wish{Filters: []string{filter}})
			if err != nil {
				b.Fatal(err)
			}
			p := s.Picker()
			var held *report.Connection
			each(b, "several-connections.pcap", func(c *report.Connection) { held = c })
			b.ReportAllocs()
			for b.Loop() {
				p.Pick(held)
			}
		})
	}
}
