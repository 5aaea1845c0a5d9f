package selection

import (
	"math"
	"sync"
	"time"

	"github.com/tcplife/tcplife/finding"
	"github.com/tcplife/tcplife/reassembly"
	"github.com/tcplife/tcplife/report"
	"github.com/tcplife/tcplife/wire"
)

// The entries of lists, with the names of the JSON. A test compares them with the
// schema.

type stateRow struct {
	State     string    `expr:"state"`
	At        time.Time `expr:"at"`
	T         float64   `expr:"t"`
	Dwell     float64   `expr:"dwell"`
	Frame     float64   `expr:"frame"`
	Evidence  string    `expr:"evidence"`
	Proof     float64   `expr:"proof"`
	Rewritten bool      `expr:"rewritten"`
}

type eventRow struct {
	At        time.Time `expr:"at"`
	T         float64   `expr:"t"`
	Frame     int       `expr:"frame"`
	From      string    `expr:"from"`
	Event     string    `expr:"event"`
	Count     int       `expr:"count"`
	LastFrame int       `expr:"last_frame"`
	LastT     float64   `expr:"last_t"`
	Seq       float64   `expr:"seq"`
	End       float64   `expr:"end"`
	Ack       float64   `expr:"ack"`
	Len       int       `expr:"len"`
	Win       int       `expr:"win"`
	Flags     string    `expr:"flags"`
	ICMP      icmpRow   `expr:"icmp"`
	Marks     []string  `expr:"marks"`
}

type icmpRow struct {
	Type        float64 `expr:"type"`
	Code        float64 `expr:"code"`
	Meaning     string  `expr:"meaning"`
	Reporter    string  `expr:"reporter"`
	MTU         float64 `expr:"mtu"`
	Unreachable bool    `expr:"unreachable"`
}

type findingRow struct {
	ID         string `expr:"id"`
	Catalogue  string `expr:"catalogue"`
	Title      string `expr:"title"`
	Severity   string `expr:"severity"`
	Confidence string `expr:"confidence"`
	Endpoint   string `expr:"endpoint"`
	Frames     []int  `expr:"frames"`
	Message    string `expr:"message"`
	Falsify    string `expr:"falsify"`
	Advice     string `expr:"advice"`
	RFC        string `expr:"rfc"`
}

// list is how a field's list looks in an expression.
type list struct {
	empty any // of its type
	rows  variable
}

// listOf returns how the list of a field looks.
func listOf(f *report.Field) list {
	switch f.Name {
	case "states.client":
		return list{[]stateRow(nil), func(c *report.Connection) any { return stateRows(c, reassembly.Client) }}
	case "states.server":
		return list{[]stateRow(nil), func(c *report.Connection) any { return stateRows(c, reassembly.Server) }}
	case "events":
		return list{[]eventRow(nil), func(c *report.Connection) any { return eventRows(c) }}
	case "findings":
		return list{[]findingRow(nil), func(c *report.Connection) any { return findingRows(c) }}
	case "missing.client":
		return ranges(reassembly.Client, func(e *reassembly.Endpoint) []reassembly.Range { return e.Missing })
	case "missing.server":
		return ranges(reassembly.Server, func(e *reassembly.Endpoint) []reassembly.Range { return e.Missing })
	case "repeated.client":
		return ranges(reassembly.Client, func(e *reassembly.Endpoint) []reassembly.Range { return e.Repeated })
	case "repeated.server":
		return ranges(reassembly.Server, func(e *reassembly.Endpoint) []reassembly.Range { return e.Repeated })
	case "encap":
		return list{[]string(nil), func(c *report.Connection) any { return append([]string{}, c.Encap...) }}
	}
	return list{[]string(nil), func(c *report.Connection) any {
		if v := f.Get(c); v.Kind != report.KindUnknown {
			return v.Words()
		}
		return []string(nil)
	}}
}

func ranges(side reassembly.Side, of func(e *reassembly.Endpoint) []reassembly.Range) list {
	return list{[][]int(nil), func(c *report.Connection) any {
		var rows [][]int
		base, _ := report.SequenceBase(c.Conn, side)
		for _, r := range of(&c.Ends[side]) {
			rows = append(rows, []int{int(uint32(r.From - base)), int(uint32(r.To - base))})
		}
		return rows
	}}
}

func stateRows(c *report.Connection, side reassembly.Side) []stateRow {
	tl := c.Ends[side].Timeline
	rows := make([]stateRow, len(tl))
	for i := range tl {
		t := &tl[i]
		rows[i] = stateRow{State: t.State.String(), At: t.At.Std(), T: seconds(t.At.Sub(c.Start)), Dwell: math.NaN(),
			Frame: frameOrNone(t.Frame), Evidence: t.Evidence.String(), Proof: frameOrNone(t.Proof), Rewritten: t.Rewritten}
		if i+1 < len(tl) {
			rows[i].Dwell = seconds(tl[i+1].At.Sub(t.At))
		}
	}
	return rows
}

func frameOrNone(f wire.FrameID) float64 {
	if f == 0 {
		return math.NaN()
	}
	return float64(f.Number())
}

func eventRows(c *report.Connection) []eventRow {
	rows := make([]eventRow, 0, len(c.Events)+len(c.ICMP))
	errors := c.ICMP
	var base [2]wire.Seq
	var based [2]bool
	for side := range base {
		base[side], based[side] = report.SequenceBase(c.Conn, reassembly.Side(side))
	}
	relative := func(n wire.Seq, side reassembly.Side) float64 {
		if !based[side&1] {
			return math.NaN()
		}
		return float64(uint32(n - base[side&1]))
	}
	icmp := func(e *reassembly.ICMP) eventRow {
		return eventRow{At: e.At.Std(), T: seconds(e.At.Sub(c.Start)), Frame: int(e.Frame.Number()), From: e.From.String(), Event: reassembly.KindICMP.String(),
			Count: int(e.Count), LastFrame: int(e.LastFrame.Number()), LastT: seconds(e.LastAt.Sub(c.Start)), Seq: relative(e.Seq, e.From), End: math.NaN(), Ack: math.NaN(),
			ICMP: icmpRow{Type: float64(e.Type), Code: float64(e.Code), Meaning: report.ICMPMeaning(e, c.Tuple.V6), Reporter: e.Reporter.Netip(c.Tuple.V6).String(),
				MTU: float64(e.MTU), Unreachable: e.Unreachable}}
	}
	for i := range c.Events {
		e := &c.Events[i]
		for ; len(errors) > 0 && errors[0].Frame < e.Frame; errors = errors[1:] {
			rows = append(rows, icmp(&errors[0]))
		}
		row := eventRow{At: e.At.Std(), T: seconds(e.At.Sub(c.Start)), Frame: int(e.Frame.Number()), From: e.From.String(), Event: e.Kind.String(),
			Count: int(e.Count), LastFrame: int(e.LastFrame.Number()), LastT: seconds(e.LastAt.Sub(c.Start)),
			Seq: relative(e.Seq, e.From), End: relative(e.End, e.From), Ack: math.NaN(), Len: int(e.Len), Win: int(e.Window), Flags: e.Flags.String(),
			ICMP: icmpRow{Type: math.NaN(), Code: math.NaN(), MTU: math.NaN()}, Marks: report.MarkNames(e.Marks)}
		if e.Flags.Has(wire.ACK) {
			row.Ack = relative(e.Ack, e.From.Peer())
		}
		rows = append(rows, row)
	}
	for i := range errors {
		rows = append(rows, icmp(&errors[i]))
	}
	return rows
}

func findingRows(c *report.Connection) []findingRow {
	rows := make([]findingRow, len(c.Findings))
	for i := range c.Findings {
		f := &c.Findings[i]
		rows[i] = findingRow{ID: f.Rule.ID, Catalogue: f.Catalogue, Title: f.Rule.Title, Severity: f.Severity.String(), Confidence: f.Confidence.String(),
			Endpoint: f.Endpoint.String(), Message: f.Message, Falsify: f.Falsify, Advice: f.Rule.Advice, RFC: f.Rule.RFC}
		for _, frame := range f.Frames {
			rows[i].Frames = append(rows[i].Frames, int(frame.Number()))
		}
	}
	return rows
}

// rowWords are the closed lists of the entries' fields, by name.
var rowWords = sync.OnceValue(func() map[string][]string {
	return map[string][]string{
		"state":      report.LookupField("final.client").Words,
		"evidence":   names(int(reassembly.Assumed)+1, func(i int) string { return reassembly.Evidence(i).String() }),
		"event":      names(int(reassembly.KindICMP)+1, func(i int) string { return reassembly.Kind(i).String() }),
		"from":       {"client", "server"},
		"severity":   names(int(finding.Error)+1, func(i int) string { return finding.Severity(i).String() }),
		"confidence": names(int(finding.Certain)+1, func(i int) string { return finding.Confidence(i).String() }),
		"endpoint":   names(int(finding.Both)+1, func(i int) string { return finding.Endpoint(i).String() }),
		"id":         ruleIDs(),
	}
})

func names(n int, name func(int) string) (all []string) {
	for i := range n {
		all = append(all, name(i))
	}
	return all
}

// unknownIn says what may have been meant by the name of an entry's field.
func unknownIn(typ, name string) string {
	for t, of := range rowFields() {
		if typ == t {
			s := "an entry of that list has no field " + name
			if near := nearest(name, of); near != "" {
				return s + "; did you mean ." + near + "?"
			}
			return s
		}
	}
	return typeWords.Replace("a " + typ + " has no field " + name)
}
