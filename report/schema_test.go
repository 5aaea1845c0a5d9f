package report

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/santhosh-tekuri/jsonschema/v6"
	"pgregory.net/rapid"

	"github.com/tcplife/tcplife/finding"
	"github.com/tcplife/tcplife/reassembly"
	"github.com/tcplife/tcplife/rosetta"
	"github.com/tcplife/tcplife/wire"
)

func compileSchema(t testing.TB, part string) *jsonschema.Schema {
	t.Helper()
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(SchemaJSON))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	c.DefaultDraft(jsonschema.Draft2020)
	if err := c.AddResource("tcplife.json", doc); err != nil {
		t.Fatal(err)
	}
	s, err := c.Compile("tcplife.json" + part)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// kinds are the parts of the schema that a line can be, by its type.
func kinds(t testing.TB) map[string]*jsonschema.Schema {
	m := make(map[string]*jsonschema.Schema)
	for _, k := range []string{"connection", "late", "summary"} {
		m[k] = compileSchema(t, "#/$defs/"+k)
	}
	m["finding"] = compileSchema(t, "#/$defs/incident")
	for _, k := range []string{"event", "incident", "census", "gap"} {
		m[k] = compileSchema(t, "#/$defs/live_"+k)
	}
	return m
}

func checkLines(lines []byte, kinds map[string]*jsonschema.Schema) error {
	types := []string{}
	for l := range bytes.Lines(lines) {
		v, err := jsonschema.UnmarshalJSON(bytes.NewReader(l))
		if err != nil {
			return fmt.Errorf("%w in %s", err, l)
		}
		kind, _ := v.(map[string]any)["type"].(string)
		types = append(types, kind)
		s := kinds[kind]
		if s == nil {
			return fmt.Errorf("line of unknown type %q", kind)
		}
		if err := s.Validate(v); err != nil {
			return fmt.Errorf("%w in %s", err, l)
		}
	}
	if n := slices.Index(types, "summary"); n != len(types)-1 {
		return fmt.Errorf("the summary is line %d of %d, want the last", n+1, len(types))
	}
	return nil
}

func TestOutputsMatchSchema(t *testing.T) {
	whole, kinds := compileSchema(t, ""), kinds(t)
	for _, d := range documents() {
		t.Run(d.name, func(t *testing.T) {
			var lines, doc bytes.Buffer
			if err := d.print(&lines, new(ndjson)); err != nil {
				t.Fatal(err)
			}
			if err := checkLines(lines.Bytes(), kinds); err != nil {
				t.Errorf("ndjson: %v", err)
			}
			for l := range bytes.Lines(lines.Bytes()) {
				v, _ := jsonschema.UnmarshalJSON(bytes.NewReader(l))
				if err := whole.Validate(v); err != nil {
					t.Errorf("a line does not match the whole schema: %v", err)
				}
			}
			if err := d.print(&doc, new(document)); err != nil {
				t.Fatal(err)
			}
			v, err := jsonschema.UnmarshalJSON(&doc)
			if err != nil {
				t.Fatal(err)
			}
			if err := whole.Validate(v); err != nil {
				t.Errorf("json: %v", err)
			}
		})
	}
}

// Both formats must say the same of each object.
func TestFormatsAgree(t *testing.T) {
	for _, d := range documents() {
		var lines, doc bytes.Buffer
		if err := d.print(&lines, new(ndjson)); err != nil {
			t.Fatal(err)
		}
		if err := d.print(&doc, new(document)); err != nil {
			t.Fatal(err)
		}
		var whole struct {
			Connections, Late, Findings []json.RawMessage
			Summary                     json.RawMessage
		}
		if err := json.Unmarshal(doc.Bytes(), &whole); err != nil {
			t.Fatal(err)
		}
		var conns, late, findings []string
		for l := range strings.Lines(lines.String()) {
			l = strings.TrimSpace(l)
			switch {
			case strings.HasPrefix(l, `{"type":"connection"`):
				conns = append(conns, l)
			case strings.HasPrefix(l, `{"type":"late"`):
				late = append(late, l)
			case strings.HasPrefix(l, `{"type":"finding"`):
				findings = append(findings, l)
			default:
				if string(whole.Summary) != l {
					t.Errorf("%s: the summaries differ", d.name)
				}
			}
		}
		texts := func(ms []json.RawMessage) (out []string) {
			for _, m := range ms {
				out = append(out, string(m))
			}
			return out
		}
		if diff := cmp.Diff(conns, texts(whole.Connections)); diff != "" {
			t.Errorf("%s: connections differ: %s", d.name, diff)
		}
		if diff := cmp.Diff(late, texts(whole.Late)); diff != "" {
			t.Errorf("%s: late groups differ: %s", d.name, diff)
		}
		if diff := cmp.Diff(findings, texts(whole.Findings)); diff != "" {
			t.Errorf("%s: incidents differ: %s", d.name, diff)
		}
	}
}

func TestRandomConnectionsMatchSchema(t *testing.T) {
	kinds := kinds(t)
	rapid.Check(t, func(t *rapid.T) {
		d := testDocument{options: Options{Inputs: make([]string, rapid.IntRange(1, 2).Draw(t, "inputs"))}}
		if rapid.Bool().Draw(t, "peers") {
			d.options.Peers = Peers()
		}
		for range rapid.IntRange(1, 3).Draw(t, "connections") {
			d.steps = append(d.steps, step{id: rapid.Uint64().Draw(t, "id"), c: randomConnection(t)})
		}
		var out bytes.Buffer
		if err := d.print(&out, new(ndjson)); err != nil {
			t.Fatal(err)
		}
		if err := checkLines(out.Bytes(), kinds); err != nil {
			t.Fatal(err)
		}
		// The other formats must at least survive the same connections.
		if err := d.print(&out, new(text)); err != nil {
			t.Fatal(err)
		}
		for _, s := range d.steps {
			if err := Timeline(&out, s.c, s.id, nil, &d.options); err != nil {
				t.Fatal(err)
			}
		}
	})
}

func randomConnection(t *rapid.T) *Connection {
	u32 := func() uint32 { return rapid.Uint32().Draw(t, "u32") }
	num := func(n int) int { return rapid.IntRange(0, n-1).Draw(t, "choice") }
	yes := func() bool { return rapid.Bool().Draw(t, "yes") }
	frame := func() wire.FrameID {
		return wire.NewFrameID(num(2), rapid.Uint64Range(1, 1<<39).Draw(t, "frame"))
	}
	at := func() wire.Time { return wire.Time(rapid.Int64Range(0, 4e18).Draw(t, "at")) }
	text := func() string { return rapid.String().Draw(t, "text") }
	c := &Connection{Conn: &reassembly.Conn{First: frame(), Last: frame(), Start: at(), End: at(), Until: at(), Dropped: u32()},
		UID: text(), CommunityID: text(), Capture: text(), PreviousUID: text(), NextUID: text(), Provisional: yes()}
	c.Tuple = wire.Tuple{Src: wire.Addr{Hi: uint64(u32()), Lo: rapid.Uint64().Draw(t, "lo")}, SrcPort: uint16(u32()), DstPort: uint16(u32()), V6: yes()}
	c.RoleBy, c.Outcome = reassembly.RoleBy(num(4)), reassembly.Outcome(num(outcomeCount))
	c.Ended = reassembly.Ended(num(4))
	if yes() {
		c.Peers = &rosetta.Views{Zeek: rosetta.Zeek{State: "SF", History: []byte("ShADadFf"), Duration: at().Sub(0), Originator: reassembly.Side(num(2)), Rows: uint16(num(3))},
			Wireshark: rosetta.Wireshark{Completeness: rosetta.Completeness(num(64)), Streams: uint16(num(3))}}
	}
	c.Encap = rapid.SliceOfN(rapid.String(), 0, 3).Draw(t, "encap")
	c.Handshake = reassembly.Handshake{Outcome: reassembly.HandshakeOutcome(num(handshakeCount)), RTT: at().Sub(0), SYNs: u32(), Cookie: yes(), FastOpen: yes()}
	c.Close = reassembly.Close{Reason: reassembly.CloseReason(num(closeCount)), HasCloser: yes(), Closer: reassembly.Side(num(2)), By: []string{"fin", "rst"}[num(2)], At: at(), Reset: num(2), ResetBy: reassembly.Side(num(2))}
	for i := range c.Ends {
		e := &c.Ends[i]
		e.Packets, e.Bytes, e.MissingBytes = uint64(u32()), rapid.Uint64().Draw(t, "bytes"), uint64(u32())
		e.HasISN, e.HasNext, e.HasAcked, e.HasSYN = yes(), yes(), yes(), yes()
		e.ISN, e.First, e.Next, e.Acked = wire.Seq(u32()), wire.Seq(u32()), wire.Seq(u32()), wire.Seq(u32())
		e.SYN = wire.Options{Set: wire.OptionSet(u32()), MSS: uint16(u32()), UserTimeout: uint16(u32())}
		if yes() {
			e.Missing = []reassembly.Range{{From: wire.Seq(u32()), To: wire.Seq(u32())}}
		}
		now := c.Start
		for range num(4) {
			now = now.Add(at().Sub(0) >> 8)
			tr := reassembly.Transition{State: reassembly.State(num(reassembly.StateCount)), At: now, Evidence: reassembly.Evidence(num(5)), Rewritten: yes()}
			if yes() {
				tr.Frame = frame()
			}
			if yes() {
				tr.Proof = frame()
			}
			e.Timeline = append(e.Timeline, tr)
		}
	}
	for range num(5) {
		c.Events = append(c.Events, reassembly.Event{At: at(), Frame: frame(), LastAt: at(), LastFrame: frame(), Count: u32(), Len: u32(), Seq: wire.Seq(u32()),
			Ack: wire.Seq(u32()), Flags: wire.Flags(num(512)), Window: uint16(u32()), From: reassembly.Side(num(2)), Kind: reassembly.Kind(num(7)), Marks: reassembly.Marks(u32())})
	}
	for range num(3) {
		c.Findings = append(c.Findings, finding.Finding{Rule: &finding.Rule{ID: text(), Title: text(), Advice: text()}, Severity: finding.Severity(num(severityCount)),
			Confidence: finding.Confidence(num(confidenceCount)), Endpoint: finding.Endpoint(num(3)), Frames: []wire.FrameID{frame()}, Message: text(), Falsify: text()})
	}
	return c
}

// definition is as much of a schema object as these tests read.
type definition struct {
	Type                 any
	Description          string
	AdditionalProperties *bool
	Required             []string
	Properties           map[string]property
}

type property struct {
	Description string
	Ref         string `json:"$ref"`
	Enum        []string
	Items       struct {
		Enum []string
	}
}

func definitions(t *testing.T) map[string]definition {
	t.Helper()
	var s struct {
		Defs map[string]definition `json:"$defs"`
	}
	if err := json.Unmarshal(SchemaJSON, &s); err != nil {
		t.Fatal(err)
	}
	return s.Defs
}

// The schema is a contract and a manual: every object is closed, and every field
// says what it means.
func TestSchemaIsClosedAndDescribed(t *testing.T) {
	for name, d := range definitions(t) {
		if d.Description == "" {
			t.Errorf("%s has no description", name)
		}
		if d.Type != "object" {
			continue
		}
		if d.AdditionalProperties == nil || *d.AdditionalProperties {
			t.Errorf("%s allows other fields", name)
		}
		for p, v := range d.Properties {
			if v.Description == "" {
				t.Errorf("%s.%s has no description", name, p)
			}
		}
	}
}

// values lists the names of a Go enumeration, by asking for one after the other
// until there are no more.
func values(name func(int) string) (out []string) {
	defer func() { _ = recover() }() // an array of names ends with a panic
	for i := 0; ; i++ {
		s := name(i)
		if s == "?" {
			return out
		}
		out = append(out, s)
	}
}

func TestSchemaListsAreTheConstants(t *testing.T) {
	states := values(func(i int) string { return reassembly.State(i).String() })
	sides := []string{"client", "server"}
	scopes := []string{"all", "host", "listener", "client"}
	var marks, options []string
	for _, m := range markNames {
		marks = append(marks, m.name)
	}
	for _, o := range optionNames {
		options = append(options, o.name)
	}
	severities := values(func(i int) string { return finding.Severity(i).String() })
	confidences := values(func(i int) string { return finding.Confidence(i).String() })
	endpoints := values(func(i int) string { return finding.Endpoint(i).String() })
	outcomes := values(func(i int) string { return reassembly.Outcome(i).String() })
	handshakes := values(func(i int) string { return reassembly.HandshakeOutcome(i).String() })
	var skips []string
	for i := int(wire.SkipNone) + 1; i < wire.SkipCount; i++ {
		skips = append(skips, wire.Skip(i).String())
	}
	want := map[string][]string{
		"connection.role_by":       values(func(i int) string { return reassembly.RoleBy(i).String() }),
		"connection.outcome":       outcomes,
		"handshake.outcome":        handshakes,
		"close.reason":             reassembly.CloseReasons(),
		"close.closer":             sides,
		"close.reset_by":           sides,
		"close.by":                 {"fin", "rst"},
		"state.state":              states,
		"state.evidence":           values(func(i int) string { return reassembly.Evidence(i).String() }),
		"final.client":             states,
		"final.server":             states,
		"event.from":               sides,
		"event.event":              values(func(i int) string { return reassembly.Kind(i).String() }),
		"event.marks":              marks,
		"options.present":          options,
		"live_event.event":         EventNames(),
		"live_event.by":            sides,
		"live_event.reason":        reassembly.CloseReasons(),
		"finding.severity":         severities,
		"finding.confidence":       confidences,
		"finding.endpoint":         endpoints,
		"example.severity":         severities,
		"example.confidence":       confidences,
		"example.endpoint":         endpoints,
		"incident.severity":        severities,
		"incident.confidence":      confidences,
		"finding_count.severity":   severities,
		"finding_count.confidence": confidences,
		"file.format":              {"pcap", "pcapng", "snoop"},
		"file.packing":             {"gzip", "zstd", "lz4", "xz", "bzip2"},
		"zeek.conn_state":          rosetta.ZeekStates(),
		"zeek.originator":          sides,
		"conntrack.state":          rosetta.ConntrackStates(),
		"argus.state":              rosetta.ArgusStates(),
		"suricata.tcp_state":       rosetta.SuricataStates(),
		"suricata.flow_state":      rosetta.SuricataFlowStates(),
		"census_count.scope":       scopes,
		"peak.scope":               scopes,
		"peak.of":                  append(slices.Clone(states[1:]), "sockets", "open"), // all but CLOSED
	}
	defs := definitions(t)
	for name, d := range defs {
		for p, v := range d.Properties {
			enum := append(v.Enum, v.Items.Enum...)
			if len(enum) == 0 {
				continue
			}
			if diff := cmp.Diff(want[name+"."+p], enum); diff != "" {
				t.Errorf("%s.%s differs from the constants (-Go +schema):\n%s", name, p, diff)
			}
			delete(want, name+"."+p)
		}
	}
	for name := range want {
		t.Errorf("the schema has no list %s", name)
	}
	for name, list := range map[string][]string{"skipped": skips, "outcomes": outcomes, "handshakes": handshakes, "close_reasons": reassembly.CloseReasons(),
		"state_counts": states, "census_states": states, "severity_counts": severities, "confidence_counts": confidences} {
		if diff := cmp.Diff(list, defs[name].Required); diff != "" {
			t.Errorf("%s differs from the constants (-Go +schema):\n%s", name, diff)
		}
	}
	for name, n := range map[string][2]int{"outcomes": {outcomeCount, len(outcomes)}, "handshakes": {handshakeCount, len(handshakes)},
		"close reasons": {closeCount, len(reassembly.CloseReasons())}, "severities": {severityCount, len(severities)},
		"confidences": {confidenceCount, len(confidences)}} {
		if n[0] != n[1] {
			t.Errorf("the summary counts %d %s, there are %d", n[0], name, n[1])
		}
	}
}

// docs/data.md has a section for each object of the schema, and in it a row for
// each field.
func TestDataDocNamesEveryField(t *testing.T) {
	raw, err := os.ReadFile("../docs/data.md")
	if err != nil {
		t.Fatal(err)
	}
	sections := make(map[string]string)
	for s := range strings.SplitSeq("\n"+string(raw), "\n## ") {
		title, body, _ := strings.Cut(s, "\n")
		sections[strings.Trim(strings.TrimSpace(title), "`")] = body
	}
	for name, d := range definitions(t) {
		for p := range d.Properties {
			if !strings.Contains(sections[name], "\n| `"+p+"` |") {
				t.Errorf("docs/data.md: section %s has no row for %s", name, p)
			}
		}
	}
}
