package report

import (
	"bytes"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tcplife/tcplife/finding"
	"github.com/tcplife/tcplife/reassembly"
	"github.com/tcplife/tcplife/wire"
)

// Take leaves nothing of what was there before.
func TestDigestTakesAll(t *testing.T) {
	var used Digest
	for _, d := range documents() {
		for _, st := range d.steps {
			if st.c == nil {
				continue
			}
			used.Stream = 7
			used.Take(st.c)
			if want := NewDigest(st.c); !reflect.DeepEqual(want, used) {
				t.Fatalf("%+v, want %+v", used, want)
			}
		}
	}
}

func TestSummaryCounts(t *testing.T) {
	all := documents()
	d := all[len(all)-1]
	var s Summary
	for _, st := range d.steps {
		if st.c == nil {
			s.AddLate(st.late)
			continue
		}
		dg := NewDigest(st.c)
		s.Add(st.id, &dg)
	}
	s.Inputs = d.inputs
	if s.Connections != 28 || s.Outcomes != [3]uint64{1, 2, 25} {
		t.Errorf("%d connections, outcomes %v", s.Connections, s.Outcomes)
	}
	if want := (Closers{FIN: [2]uint64{2, 1}, RST: [2]uint64{0, 25}}); s.Closers != want {
		t.Errorf("closers %+v, want %+v", s.Closers, want)
	}
	if got := s.Census[cl][reassembly.CloseWait]; got != 1 {
		t.Errorf("%d clients in CLOSE_WAIT, want 1", got)
	}
	if n := s.Census[sv][reassembly.Closed]; n != 3 {
		t.Errorf("%d servers are counted, want 3: an endpoint without a timeline has no state", n)
	}
	if want := (Quality{Duplicates: 3, MissingBytes: 2000, MissingConnections: 1, MidStream: 1}); s.Quality != want {
		t.Errorf("quality %+v, want %+v", s.Quality, want)
	}
	if want := (Limits{Evicted: 1, DroppedEvents: 7, CutLogs: 1}); s.Limits != want {
		t.Errorf("limits %+v, want %+v", s.Limits, want)
	}
	var ids []string
	for _, f := range s.Findings() {
		ids = append(ids, fmt.Sprintf("%s %d", f.Rule.ID, f.Connections))
		if len(f.Examples) > MaxExamples {
			t.Errorf("%s: %d examples", f.Rule.ID, len(f.Examples))
		}
	}
	if diff := cmp.Diff([]string{"refused 25", "lost-final-ack 1", "close-wait 1"}, ids); diff != "" {
		t.Error(diff)
	}
}

func TestSummaryKeepsTheGravestExamples(t *testing.T) {
	rule := &finding.Rule{ID: "x"}
	var s Summary
	grades := []finding.Finding{
		{Severity: finding.Info, Confidence: finding.Certain}, {Severity: finding.Warning, Confidence: finding.Possible},
		{Severity: finding.Error, Confidence: finding.Likely}, {Severity: finding.Error, Confidence: finding.Certain},
	}
	for id := range 40 {
		f := grades[id%4]
		f.Rule, f.Frames = rule, make([]wire.FrameID, 100)
		s.Add(uint64(id), &Digest{Findings: []finding.Finding{f, f}})
	}
	x := s.Findings()[0]
	if x.Count != 80 || x.Connections != 40 {
		t.Errorf("%d findings on %d connections, want 80 on 40", x.Count, x.Connections)
	}
	var ids []uint64
	for _, e := range x.Examples {
		ids = append(ids, e.ID)
		if len(e.Frames) != maxExampleFrames {
			t.Errorf("an example keeps %d frames", len(e.Frames))
		}
	}
	if diff := cmp.Diff([]uint64{3, 3, 7, 7, 11}, ids); diff != "" {
		t.Errorf("examples (-want +got): %s", diff)
	}
}

// What the text report keeps must not grow with the number of connections, and a
// flood of one kind must not push out the only one of another.
func TestTextKeepsFewRows(t *testing.T) {
	f := new(text)
	if err := f.Begin(new(bytes.Buffer), &Options{}); err != nil {
		t.Fatal(err)
	}
	for id := range uint64(5000) {
		d := Digest{Outcome: reassembly.OutcomeFailure, Reason: reassembly.CloseRefused}
		switch {
		case id == 4321:
			d.Reason = reassembly.CloseKeepaliveDead
		case id%10 == 0:
			d.Outcome = reassembly.OutcomeSuccess
		}
		if err := f.Add(5000-id, &d, nil); err != nil {
			t.Fatal(err)
		}
	}
	if len(f.rows) != maxAlike+1 || len(f.few) != maxRows {
		t.Errorf("%d rows and %d more are kept", len(f.rows), len(f.few))
	}
	var ids []uint64
	for _, r := range f.rows {
		ids = append(ids, r.id)
	}
	if diff := cmp.Diff([]uint64{1, 2, 3, 4, 5, 5000 - 4321}, ids); diff != "" {
		t.Errorf("rows (-want +got): %s", diff)
	}
}

func TestNewNamesTheNearest(t *testing.T) {
	for given, want := range map[string]string{"jsn": `"json"?`, "NDJSON": `"ndjson"?`, "txt": `"text"?`} {
		_, err := New(given)
		if err == nil || !strings.HasSuffix(err.Error(), "did you mean "+want) {
			t.Errorf("New(%q): %v, want it to suggest %s", given, err, want)
		}
	}
	if _, err := New("spreadsheet"); err == nil || strings.Contains(err.Error(), "did you mean") {
		t.Errorf("New(spreadsheet): %v, want no suggestion", err)
	}
	if names := Formats(); !slices.IsSorted(names) || !slices.Contains(names, "text") {
		t.Errorf("Formats() = %v", names)
	}
}

type brokenWriter struct{ err error }

func (w brokenWriter) Write([]byte) (int, error) { return 0, w.err }

// The caller tells a closed pipe from a full disk by the error itself.
func TestWriteErrorsComeBack(t *testing.T) {
	broken := errors.New("no room")
	for _, name := range Formats() {
		f, err := New(name)
		if err != nil {
			t.Fatal(err)
		}
		d := documents()[1]
		if err := d.print(brokenWriter{broken}, f); !errors.Is(err, broken) {
			t.Errorf("%s: %v, want the writer's error", name, err)
		}
	}
}

func TestQuantities(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "0 s", 250: "250 ns", 34 * time.Microsecond: "34 µs", 3400 * time.Microsecond: "3.4 ms", 34 * time.Millisecond: "34 ms",
		999600 * time.Microsecond: "1 s", 1200 * time.Millisecond: "1.2 s", 59960 * time.Millisecond: "1 min", 200 * time.Second: "3 min 20 s",
		2*time.Hour + 5*time.Minute: "2 h 5 min", 76 * time.Hour: "3 d 4 h", -time.Millisecond: "-1 ms", 999999 * time.Nanosecond: "1 ms",
	} {
		if got := span(d); got != want {
			t.Errorf("span(%d) = %q, want %q", d, got, want)
		}
	}
	for n, want := range map[uint64]string{0: "0 B", 999: "999 B", 1000: "1.0 kB", 1_234_567: "1.2 MB", 999_999: "1.0 MB", 1 << 63: "9223.4 PB"} {
		if got := octets(n); got != want {
			t.Errorf("octets(%d) = %q, want %q", n, got, want)
		}
	}
	for n, want := range map[uint64]string{0: "0", 999: "999", 1000: "1,000", 1234567: "1,234,567"} {
		if got := number(n); got != want {
			t.Errorf("number(%d) = %q, want %q", n, got, want)
		}
	}
	if got := printable("a\x1b[31m\u202eb\xff"); got != `a\x1b[31m\u202eb\xff` {
		t.Errorf("printable keeps what steers a terminal: %q", got)
	}
}
