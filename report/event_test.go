package report

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/tcplife/tcplife/capture"
	"github.com/tcplife/tcplife/finding"
	"github.com/tcplife/tcplife/reassembly"
	"github.com/tcplife/tcplife/wire"
)

// happenings are an event of each kind, as they come in one run.
func happenings() (events []Event) {
	c := lostFinalACK()
	f := &c.Findings[0]
	base := Event{ID: 7, UID: c.UID, Tuple: c.Tuple, Start: c.Start, At: c.Start.Add(1500 * time.Millisecond), Frame: wire.NewFrameID(0, 12), Packets: [2]uint64{5, 6}, Bytes: [2]uint64{180, 2896},
		States: [2]reassembly.State{reassembly.FinWait1, reassembly.CloseWait}, HasState: [2]bool{true, true}}
	for k := range EventKinds {
		e := base
		e.Kind = k
		switch k {
		case EventOpened:
			e.RTT = 10 * time.Millisecond
		case EventRefused:
			e.Reason, e.HasState[reassembly.Server] = reassembly.CloseRefused, false
		case EventClosing:
			e.By, e.HasBy = reassembly.Server, true
		case EventClosed:
			e.Reason, e.HasBy, e.Encap = reassembly.CloseOrderly, true, []string{"vlan:12"}
		case EventReset:
			e.Reason, e.HasBy = reassembly.CloseAbort, true
		case EventDied:
			e.Reason, e.Settled = reassembly.CloseRetransmitDead, true
		case EventFinding, EventWithdrawn:
			e.Finding = f
		}
		events = append(events, e)
	}
	mid := base
	mid.At = mid.Start
	return append(events, mid)
}

func presents() []Present {
	p := Present{At: testStart, Started: true, Open: 1234, Opened: 56789, Settled: 55555, Evicted: 3, Frames: 1_000_000, Findings: [severityCount]uint64{finding.Info: 5, finding.Error: 1}, Counted: true,
		Losses: capture.Losses{Received: 1_000_012, Dropped: 12, Freezes: 1}, Gaps: 1}
	p.Census[reassembly.Client][reassembly.Established], p.Census[reassembly.Client][reassembly.TimeWait] = 1200, 34
	p.Census[reassembly.Server][reassembly.CloseWait] = 17
	return []Present{{}, p}
}

func gaps() []*capture.Gap {
	return []*capture.Gap{{Name: "eth0", What: "the interface went down", From: testStart}, {Name: "eth0", What: "the interface is up again", From: testStart, To: testStart.Add(time.Second)}, {Name: "x", What: "the ring was full", Frames: 9}}
}

// liveIncidents are one that was found, and one that did not last.
func liveIncidents() []LiveIncident {
	in := incidents()[0]
	tagged := in
	tagged.Scope.Encap = []string{"vlan:12"}
	return []LiveIncident{{At: testStart, Incident: &in}, {At: testStart.Add(10 * time.Second), Incident: &tagged, Withdrawn: true}}
}

func printLive(t *testing.T, f Follower) string {
	t.Helper()
	var out bytes.Buffer
	if err := f.(Format).Begin(&out, &Options{Inputs: []string{"eth0"}}); err != nil {
		t.Fatal(err)
	}
	for _, e := range happenings() {
		if err := f.Event(&e); err != nil {
			t.Fatal(err)
		}
	}
	for _, p := range presents() {
		if err := f.Present(&p); err != nil {
			t.Fatal(err)
		}
	}
	for _, in := range liveIncidents() {
		if err := f.Incident(&in); err != nil {
			t.Fatal(err)
		}
	}
	for _, g := range gaps() {
		if err := f.Gap(g); err != nil {
			t.Fatal(err)
		}
	}
	if out.Len() > 0 {
		t.Error("something was written before Flush")
	}
	if err := f.Flush(); err != nil {
		t.Fatal(err)
	}
	if err := f.Flush(); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

// TestEventsMatchSchema: what happens, how things stand and gaps are lines of the schema.
func TestEventsMatchSchema(t *testing.T) {
	lines := printLive(t, new(ndjson))
	if n := strings.Count(lines, "\n"); n != len(happenings())+len(presents())+len(liveIncidents())+len(gaps()) {
		t.Errorf("%d lines", n)
	}
	if err := checkLines([]byte(lines+`{"type":"summary"}`), kinds(t)); err == nil || !strings.Contains(err.Error(), "summary") {
		t.Errorf("ndjson: %v", err) // an empty summary is all that is wrong
	}
}

// TestEventsAsText: what people read while a live run goes on.
func TestEventsAsText(t *testing.T) {
	golden(t, "live.txt", []byte(printLive(t, new(text))))
}

// TestGapsInTheReport: a report says that its source was blind, so that nobody takes the
// silence for the network's; one of files says nothing of it.
func TestGapsInTheReport(t *testing.T) {
	for _, c := range []struct {
		sum        Summary
		text, json string
	}{
		{Summary{}, "", ""},
		{Summary{GapCount: 1, LastGap: gaps()[0]}, "the source was blind once (eth0: the interface went down): what passed meanwhile is in no count", `,"gaps":1}`},
		{Summary{GapCount: 3, LastGap: &capture.Gap{Name: "eth\x1b0", What: "the interface is up again"}}, "the source was blind 3 times, the last time (eth\\x1b0: the interface is up again): what passed meanwhile is in no count", `,"gaps":3}`},
	} {
		bad, _ := c.sum.Remarks()
		if got := strings.Join(bad, "; "); got != c.text {
			t.Errorf("the text says %q, want %q", got, c.text)
		}
		if got := string(appendQuality(nil, &c.sum)); !strings.HasSuffix(got, c.json) || c.json == "" && strings.Contains(got, "gaps") {
			t.Errorf("the JSON says %s, want %s", got, c.json)
		}
	}
}
