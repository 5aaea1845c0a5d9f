package check_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/tcplife/tcplife/check"
	_ "github.com/tcplife/tcplife/internal/property"
	"github.com/tcplife/tcplife/internal/scenario"
)

// again is a second connection of the first client, from its next port, after the
// healthy one.
const again = `+1.000   a:2 > b  S   0:0(0)   win 64240 <mss 1460,sackOK,nop,wscale 7>
+0.010   b > a:2  S.  0:0(0)   ack 1 win 65160 <mss 1460,sackOK,nop,wscale 7>
+0.001   a:2 > b  .   1:1(0)   ack 1
+0.001   a:2 > b  P.  1:51(50) ack 1
+0.010   b > a:2  .   1:1(0)   ack 51
+0.020   b > a:2  F.  1:1(0)   ack 51
+0.001   a:2 > b  F.  51:51(0) ack 2
+0.010   b > a:2  .   2:2(0)   ack 52
`

const wholesome = healthy + again

// remembered is what a baseline keeps of a capture.
func remembered(t testing.TB, file []byte) *check.Lives {
	t.Helper()
	run := check.Begin()
	run.Remember()
	read(t, "a.pcap", file, run)
	l, err := run.Remembered("a.pcap")
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// baselineOf goes through the file, as users do.
func baselineOf(t testing.TB, file []byte) *check.Baseline {
	t.Helper()
	b := check.NewBaseline(check.DefaultTolerance)
	b.Captures = append(b.Captures, remembered(t, file))
	var text bytes.Buffer
	if err := b.Write(&text); err != nil {
		t.Fatal(err)
	}
	b, err := check.LoadBaseline("baseline.json", text.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// compared returns the changes, a line each; nothing when all is as before.
func compared(t testing.TB, b *check.Baseline, file []byte) (lines []string) {
	t.Helper()
	for _, v := range b.Compare(b.Of("a.pcap", true), remembered(t, file), b.Tolerance) {
		if !v.Failed {
			continue
		}
		for _, c := range v.Changes {
			lines = append(lines, fmt.Sprintf("%s: %s: %s > %s", strings.TrimPrefix(v.What, "baseline a.pcap: "), c.What, c.Old, c.New))
		}
	}
	return lines
}

// What changes nothing of the lives is as before.
func TestHarmlessMutations(t *testing.T) {
	plain := script(t, wholesome, scenario.Variant{})
	b := baselineOf(t, plain)
	variants := map[string][]byte{"itself": plain}
	for _, v := range []scenario.Variant{
		{ISN: scenario.ISNZero}, {ISN: scenario.ISNBelow31}, {ISN: scenario.ISNBelow32}, {V6: true}, {Double: true}, {Format: scenario.PcapNG}, {Format: scenario.PcapMicros},
		{Snap: 128}, {Double: true, ISN: scenario.ISNBelow32, V6: true, Format: scenario.PcapNG},
	} {
		variants[v.String()] = script(t, wholesome, v)
	}
	vlans := 0
	for _, l := range scenario.Links() {
		if l.V4 {
			variants["link "+l.Name] = script(t, wholesome, scenario.Variant{Link: l.Name})
			if strings.Contains(l.Name, "vlan") || strings.Contains(l.Name, "qinq") {
				vlans++
			}
		}
	}
	if vlans == 0 {
		t.Error("no link of scenario's has a VLAN tag")
	}
	// Other addresses: the same frames with each 10.0.0.x turned into 10.77.3.x. The
	// checksums are made wrong by that, which captures of offloading hosts have, too.
	variants["addresses"] = bytes.ReplaceAll(plain, []byte{10, 0, 0}, []byte{10, 77, 3})
	if bytes.Equal(variants["addresses"], plain) {
		t.Error("no address was changed")
	}
	// Times that a scheduler adds: some milliseconds here and there.
	variants["times"] = script(t, strings.NewReplacer("+0.001 ", "+0.009 ", "+0.020 ", "+0.028 ").Replace(wholesome), scenario.Variant{})
	for name, file := range variants {
		if lines := compared(t, b, file); len(lines) > 0 {
			t.Errorf("%s:\n%s", name, strings.Join(lines, "\n"))
		}
	}
}

// What changes the lives is told, with its cause.
func TestHarmfulMutations(t *testing.T) {
	plain := script(t, wholesome, scenario.Variant{})
	b := baselineOf(t, plain)
	// replaced has one line otherwise; an empty one leaves it out of the capture.
	replaced := func(old, new string) string {
		if strings.Count(wholesome, old) != 1 {
			t.Fatalf("%q stands %d times in the script", old, strings.Count(wholesome, old))
		}
		return strings.Replace(wholesome, old, new, 1)
	}
	const (
		clientFIN = "+0.050   a > b  F.  101:101(0) ack 501\n"
		serverFIN = "+0.002   b > a  F.  501:501(0) ack 102\n"
		lastACK   = "+0.001   a > b  .   102:102(0) ack 502\n"
		synack    = "+0.010   b > a  S.  0:0(0) "
	)
	unseen := func(line string) string { return replaced(line, strings.TrimSuffix(line, "\n")+" {unseen}\n") }
	for _, x := range []struct{ name, packets, want string }{
		{"the client's FIN is dropped", unseen(clientFIN), "connection 1, client 1 > server 1:443: captured: whole > without segments that were acknowledged"},
		{"the server's FIN is dropped", unseen(serverFIN), "connection 1, client 1 > server 1:443: captured: whole > without segments that were acknowledged"},
		{"the server never closes", healthy[:strings.Index(healthy, serverFIN)] + again, "connection 1, client 1 > server 1:443: close: orderly > half-closed"},
		{"the last ACK is dropped", unseen(lastACK), "connection 1, client 1 > server 1:443: finding:  > lost-final-ack (info, likely, server)"},
		{"a RST is added", replaced(clientFIN, "+0.010   b > a  R.  501:501(0) ack 101 win 509 {forged}\n"+clientFIN), "connection 1, client 1 > server 1:443: finding:  > reset-injected (warning, certain, both)"},
		{"the server aborts", healthy[:strings.Index(healthy, clientFIN)] + "+0.010   b > a  R.  501:501(0) ack 101 win 509\n" + again, "connection 1, client 1 > server 1:443: close: orderly > abort"},
		{"the client resets at the end", replaced(lastACK, "+0.001   a > b  R   102:102(0) win 0\n"), "connection 1, client 1 > server 1:443: finding:  > fin-answered-by-reset (info, certain, server)"},
		{"the handshake takes 300 ms more", replaced(synack, "+0.310   b > a  S.  0:0(0) "), "connection 1, client 1 > server 1:443: time of handshake: 11 ms > 311 ms"},
		{"the answer takes a second", replaced("+0.020   b > a  P.", "+1.020   b > a  P."), "connection 1, client 1 > server 1:443: time of server ESTABLISHED: 82 ms > 1.08 s"},
		{"the SYN is repeated", replaced(synack, "+1.000   a > b  S   0:0(0)     win 64240 <mss 1460,sackOK,nop,wscale 7>\n"+synack), "connection 1, client 1 > server 1:443: finding:  > slow-connect (warning, certain, both)"},
		{"a port is used again at once", healthy + "new a isn 500000 b isn 70000\n" + strings.ReplaceAll(again, "a:2", "a"), "connection 1, client 1 > server 1:443: finding:  > port-reuse (info, certain, both)"},
		{"the end is cut off", healthy[:strings.Index(healthy, clientFIN)], "connection 1, client 1 > server 1:443: close: orderly > open-at-end"},
		{"the second connection is cut off in its handshake", healthy + again[:strings.Index(again, "+0.001")], "connection 2, client 1 > server 1:443: handshake: complete > pending"},
		{"the second connection is missing", healthy, "its connection 2, client 1 > server 1:443: connection: handshake complete, orderly, closed first by the server, FIN > "},
		{"one connection more", wholesome + refused, "new connection 3, client 2 > server 1:444: connection:  > handshake refused, refused, closed first by the server, RST"},
		{"the first connection is missing", "0.000" + again[len("+1.000"):], "its connection 1, client 1 > server 1:443: connection: handshake complete, orderly, closed first by the client, FIN > "},
		{"another port", strings.ReplaceAll(wholesome, "b ", "b:2 "), "new connection 1, client 1 > server 1:444: connection:  > handshake complete, orderly, closed first by the client, FIN"},
	} {
		t.Run(x.name, func(t *testing.T) {
			lines := compared(t, b, script(t, x.packets, scenario.Variant{}))
			if !slices.Contains(lines, x.want) {
				t.Errorf("the changes do not name the cause, which is\n%s\nbut say\n%s", x.want, strings.Join(lines, "\n"))
			}
		})
	}
}

// Each scenario's capture is as before with other numbers, over IPv6, with every frame
// twice, in a VLAN and in another container; whatever happens in it.
func TestHarmlessMutationsOfScenarios(t *testing.T) {
	scripts, err := scenario.Load("../testdata/scenarios")
	if err != nil {
		t.Fatal(err)
	}
	vlan := slices.IndexFunc(scenario.Links(), func(l scenario.Link) bool { return strings.Contains(l.Name, "vlan") })
	for _, s := range scripts {
		file := func(v scenario.Variant) []byte {
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
		b := baselineOf(t, file(scenario.Variant{}))
		for _, v := range []scenario.Variant{
			{ISN: scenario.ISNBelow32, V6: true, Format: scenario.PcapNG},
			{Double: true},
			{Link: scenario.Links()[vlan].Name, ISN: scenario.ISNBelow31},
		} {
			if lines := compared(t, b, file(v)); len(lines) > 0 {
				t.Errorf("%s, %s:\n%s", s.Name(), v, strings.Join(lines, "\n"))
			}
		}
	}
}

// No SYN and no FIN can be missing from the capture without being missed.
func TestDroppedControlSegments(t *testing.T) {
	plain := script(t, wholesome, scenario.Variant{})
	b := baselineOf(t, plain)
	records, dropped := pcapRecords(plain), 0
	for i, r := range records {
		const flags = 16 + 14 + 20 + 13 // behind the record's header, Ethernet and IPv4
		if r[flags]&0x03 == 0 {
			continue
		}
		dropped++
		file := append(bytes.Clone(plain[:24]), bytes.Join(slices.Delete(slices.Clone(records), i, i+1), nil)...)
		if lines := compared(t, b, file); len(lines) == 0 {
			t.Errorf("frame %d is missing, and all is as before", i+1)
		}
	}
	if dropped != 8 {
		t.Errorf("%d segments with SYN or FIN, and there are 8", dropped)
	}
}

// pcapRecords returns the records of a little-endian pcap, headers included.
func pcapRecords(file []byte) (all [][]byte) {
	for rest := file[24:]; len(rest) > 0; {
		n := 16 + int(binary.LittleEndian.Uint32(rest[8:]))
		all, rest = append(all, rest[:n]), rest[n:]
	}
	return all
}

// One connection more or less at the beginning does not shift the rest, however many
// there are.
func TestAlignment(t *testing.T) {
	var many strings.Builder
	many.WriteString(wholesome)
	for i := 3; i < 40; i++ {
		next := again
		if i%3 == 0 {
			next = strings.Replace(again, "+0.020   b > a:2  F.  1:1(0)   ack 51\n+0.001   a:2 > b  F.  51:51(0) ack 2\n+0.010   b > a:2  .   2:2(0)   ack 52\n", "+0.020   b > a:2  R.  1:1(0) ack 51\n", 1)
		}
		many.WriteString(strings.ReplaceAll(next, "a:2", fmt.Sprintf("a:%d", i)))
	}
	b := baselineOf(t, script(t, many.String(), scenario.Variant{}))
	without := "0.000" + many.String()[len(healthy)+len("+1.000"):]
	lines := compared(t, b, script(t, without, scenario.Variant{}))
	if len(lines) != 1 || !strings.HasPrefix(lines[0], "its connection 1, ") {
		t.Errorf("the first connection is missing, and the changes are:\n%s", strings.Join(lines, "\n"))
	}
}

// Whatever pairs connections: each stands in one pair, and equal lists are equal.
func TestPairs(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		draw := func(name string) *check.Lives {
			return check.LivesOf(rapid.SliceOfN(rapid.StringMatching(`[abc]:[12]`), 0, 12).Draw(t, name))
		}
		was, is := draw("was"), draw("is")
		b := check.NewBaseline(check.DefaultTolerance)
		changed := 0
		for _, v := range b.Compare(was, is, b.Tolerance) {
			if v.Failed {
				changed++
			}
		}
		if least := max(len(was.Connections), len(is.Connections)) - min(len(was.Connections), len(is.Connections)); changed < least {
			t.Fatalf("%d changes between %d and %d connections", changed, len(was.Connections), len(is.Connections))
		}
		for _, v := range b.Compare(is, is, b.Tolerance) {
			if v.Failed {
				t.Fatalf("a list differs from itself: %+v", v)
			}
		}
	})
}

func TestTolerance(t *testing.T) {
	for text, want := range map[string]string{"50%+100ms": "50%+100ms", "100ms": "0%+100ms", "20%": "20%+0s", "0%": "0%+0s", "12.5% + 2s": "12.5%+2s"} {
		got, err := check.ParseTolerance(text)
		if err != nil || got.String() != want {
			t.Errorf("%q is %v (%v), want %s", text, got, err, want)
		}
	}
	for _, bad := range []string{"", "x", "-1%", "-1s", "50", "50%+", "NaN%"} {
		if got, err := check.ParseTolerance(bad); err == nil {
			t.Errorf("%q is %v", bad, got)
		}
	}
}

// A baseline that is damaged is no baseline; where it is so is said.
func TestBrokenBaselines(t *testing.T) {
	var text bytes.Buffer
	if err := baselineOf(t, script(t, healthy, scenario.Variant{})).Write(&text); err != nil {
		t.Fatal(err)
	}
	good := text.String()
	for _, x := range []struct{ name, text, want string }{
		{"empty", "", "b.json:1:1: it ends too soon"},
		{"no object", "[]", "b.json:1:1: the whole has another type here, a JSON array; write it anew"},
		{"cut", good[:len(good)/2], ": it ends too soon"},
		{"no JSON", "{\n \"type\": nope\n}", "b.json:2:11: this is no JSON"},
		{"another file", `{"type":"connection"}`, "b.json:1:1: it is no baseline: its type is"},
		{"unknown field", strings.Replace(good, `"outcome"`, `"outcame"`, 1), `unknown field "outcame"`},
		{"wrong type", strings.Replace(good, `"life": 1`, `"life": "one"`, 1), "connections.life has another type here, a JSON string"},
		{"newer", strings.Replace(good, `"schema": 1`, `"schema": 2`, 1), "it is of schema 2, and this program reads 1"},
		{"tolerance", strings.Replace(good, "50%+100ms", "wide", 1), `"wide" is neither a share`},
		{"two", good + good, "something stands behind its end"},
		{"null", `{"type":"baseline","schema":1,"captures":[null]}`, "a capture in it is null"},
	} {
		_, err := check.LoadBaseline("b.json", []byte(x.text))
		if err == nil || !strings.Contains(err.Error(), x.want) || !strings.Contains(err.Error(), "--write-baseline") {
			t.Errorf("%s: %v, want %s", x.name, err, x.want)
		}
	}
}

func FuzzLoadBaseline(f *testing.F) {
	var text bytes.Buffer
	if err := baselineOf(f, script(f, healthy, scenario.Variant{})).Write(&text); err != nil {
		f.Fatal(err)
	}
	f.Add(text.Bytes())
	f.Add([]byte(`{"type":"baseline","schema":1,"captures":[{"connections":[{"times":{"a":1e300}}]}]}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		b, err := check.LoadBaseline("b.json", text)
		if err != nil {
			return
		}
		for _, l := range b.Captures {
			for _, v := range b.Compare(l, l, b.Tolerance) {
				if v.Failed {
					t.Errorf("it differs from itself: %+v", v)
				}
			}
		}
	})
}
