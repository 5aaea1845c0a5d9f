package reassembly

import (
	"errors"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/tcplife/tcplife/capture"
	"github.com/tcplife/tcplife/wire"
)

// arcPlace names an arc: no two leave a state by the same stimulus.
type arcPlace struct {
	from State
	by   Stimulus
}

// walk says where an arc was walked.
type walk struct {
	evidence [Assumed + 1]bool
	where    []string // scenarios
}

// text prints the kinds of evidence and up to three of the scenarios.
func (w *walk) text() (evidence, scenarios string) {
	var kinds []string
	for e, seen := range w.evidence {
		if seen {
			kinds = append(kinds, Evidence(e).String())
		}
	}
	names := slices.Clone(w.where)
	slices.SortFunc(names, func(a, b string) int {
		if len(a) != len(b) {
			return len(a) - len(b)
		}
		return strings.Compare(a, b)
	})
	return strings.Join(kinds, ", "), strings.Join(names[:min(len(names), 3)], ", ")
}

// onTheWire says what shows that a stimulus took place.
var onTheWire = [stimulusEnd]string{
	sndSYN:          "its SYN; else the SYN-ACK that answers it",
	sndSYNACK:       "its SYN-ACK; else a segment that acknowledges one",
	sndFIN:          "its FIN; else a number beyond it",
	sndRST:          "its RST, if it sends nothing after it",
	rcvSYNACK:       "the SYN-ACK, and its next segment",
	rcvACKofSYN:     "the ACK, and its next segment but a SYN-ACK",
	rcvFIN:          "the FIN, and its acknowledgment",
	rcvACKofFIN:     "the ACK, and that it does not send its FIN again",
	rcvRST:          "a RST with a number that it must accept",
	rcvICMP:         "the ICMP error that quotes its SYN, and no SYN after it",
	timeout2MSL:     "nothing: the profile's 2MSL is over",
	timeoutDead:     "nothing: repetitions that stop, or the profile's time is over",
	midstream:       "a segment, and no SYN before it",
	midstreamClosed: "ACKs alone, the peer's FIN among what they cover, and silence",
	midstreamPeer:   "its data and FIN, the peer's ACKs alone, and silence",
	reopened:        "a new SYN of the pair, and its answer",
}

// unwalked are the arcs that no scenario walks, with the reason.
var unwalked = map[arcPlace]string{
	{SynReceived, sndFIN}:   "a server closes before the handshake's ACK only after a Fast Open",
	{SynReceived, rcvFIN}:   "the ACK in the FIN's segment is taken first and leads to ESTABLISHED",
	{Closing, rcvRST}:       "only a RST whose sender received the FIN, but whose ACK of it died",
	{SynReceived, reopened}: "a server answers the new SYN after the old attempt's timer, or not at all",
	{FinWait1, reopened}:    "as in LAST_ACK",
	{Closing, reopened}:     "as in LAST_ACK",
}

// walkedArcs tracks the scenarios' captures and lists the arcs that were walked.
func walkedArcs(t *testing.T) map[arcPlace]*walk {
	t.Helper()
	files, err := filepath.Glob("../testdata/pcaps/*.pcap")
	if err != nil || len(files) == 0 {
		t.Fatalf("no captures of scenarios (%v): run make pcaps", err)
	}
	walked := map[arcPlace]*walk{}
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".pcap")
		if strings.HasPrefix(name, "kernel-") {
			continue // not made from a script
		}
		tr := New(Config{Settled: func(c *Conn, _ uint64) {
			for side := range c.Ends {
				from := Closed
				for _, e := range c.Ends[side].Timeline {
					at := arcPlace{from, e.by}
					if walked[at] == nil {
						walked[at] = &walk{}
					}
					w := walked[at]
					w.evidence[e.Evidence] = true
					if !slices.Contains(w.where, name) {
						w.where = append(w.where, name)
					}
					from = e.State
				}
			}
		}})
		feedFile(t, tr, file)
	}
	return walked
}

func feedFile(t *testing.T, tr *Tracker, file string) {
	t.Helper()
	src, err := capture.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer src.Close()
	var d wire.Decoder
	var f wire.Frame
	var s wire.Segment
	for {
		if err := src.Next(&f); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		for skip, ok := d.Decode(&f, &s), true; ok; skip, ok = d.More(&f, &s) {
			switch skip {
			case wire.SkipNone:
				tr.Feed(&s)
				tr.Advance(s.At)
			case wire.SkipICMP:
				tr.Quoted(d.ICMP())
			}
		}
	}
	tr.Flush()
}

// TestEveryArcIsWalked demands a scenario for each arc, or a reason.
func TestEveryArcIsWalked(t *testing.T) {
	walked := walkedArcs(t)
	for _, a := range arcs {
		at := arcPlace{a.from, a.stimulus}
		switch why := unwalked[at]; {
		case walked[at] == nil && why == "":
			t.Errorf("%v, %v: no scenario walks this arc: write one, or say here why there is none", a.from, a.stimulus)
		case walked[at] != nil && why != "":
			t.Errorf("%v, %v: walked by %v, although there is a reason why not: %s", a.from, a.stimulus, walked[at].where, why)
		}
		if onTheWire[a.stimulus] == "" {
			t.Errorf("%v: nothing says what shows it", a.stimulus)
		}
	}
}
