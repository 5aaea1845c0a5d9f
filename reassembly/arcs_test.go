package reassembly

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "rewrite the generated files (docs/states.md); read the diff before committing it: a changed line is a changed answer")

// impossible lists the cells that are in neither list of arcs.go: the packets tell
// no story that RFC 9293 allows. Each has its reason, so that a new stimulus or a
// new state cannot fall through the table unnoticed.
var impossible = []struct {
	stimulus Stimulus
	in       []State
	why      string
}{
	{sndSYN, []State{SynReceived}, "after the peer's SYN the own one is repeated with ACK (3.10.7.3, fourth)"},
	{sndSYN, []State{Established, FinWait1, FinWait2, CloseWait, Closing, LastAck, TimeWait}, "OPEN of a connection that exists is an error (3.10.1); such a SYN opens the next incarnation, which has a record of its own"},
	{sndSYNACK, []State{Established, FinWait1, FinWait2, CloseWait, Closing, LastAck, TimeWait}, "the SYN was acknowledged, so there is nothing to repeat (3.8.1), and a new SYN gets a challenge ACK (3.10.7.4, fourth)"},
	{sndFIN, []State{Closed}, "CLOSE without a connection is an error (3.10.4)"},
	{sndFIN, []State{SynSent}, "CLOSE in SYN-SENT deletes the TCB and sends nothing (3.10.4)"},
	{rcvSYNACK, []State{Closed}, "there is no SYN that it could answer; it meets a RST (3.10.7.1)"},
	{rcvACKofSYN, []State{Closed}, "no SYN was sent; the ACK meets a RST (3.10.7.1)"},
	{rcvACKofSYN, []State{SynSent}, "an ACK without the peer's SYN does not open (3.10.7.3, fifth)"},
	{rcvFIN, []State{Closed, SynSent}, "its number cannot be validated, it is dropped (3.10.7.4, eighth)"},
	{rcvACKofFIN, []State{SynSent, SynReceived, Established, CloseWait}, "no FIN was sent in this state"},
	{timeout2MSL, []State{SynSent, SynReceived, Established, FinWait1, FinWait2, CloseWait, Closing, LastAck}, "the timer is started on entering TIME-WAIT (3.10.8)"},
	{timeoutDead, []State{TimeWait}, "nothing is outstanding; the only timer is that of 2MSL (3.10.8)"},
}

// listenReason stands for LISTEN's whole row: see the comment on arcs.
const listenReason = "an endpoint without a connection is CLOSED here, so nothing is asked of LISTEN"

// TestEveryCellIsDecided: each (state, stimulus) is in exactly one list.
func TestEveryCellIsDecided(t *testing.T) {
	type at struct {
		state    State
		stimulus Stimulus
	}
	in := map[at][]string{}
	add := func(list string, s State, by Stimulus) { in[at{s, by}] = append(in[at{s, by}], list) }
	for _, a := range arcs {
		add("arcs", a.from, a.stimulus)
	}
	for _, l := range still {
		for _, s := range l.in {
			add("still", s, l.stimulus)
		}
		if l.why == "" {
			t.Errorf("still %v: no reason", l.stimulus)
		}
	}
	for _, l := range impossible {
		for _, s := range l.in {
			add("impossible", s, l.stimulus)
		}
	}
	for by := range stimulusEnd {
		add("impossible", Listen, by)
	}
	for s := range stateEnd {
		for by := range stimulusEnd {
			lists := in[at{s, by}]
			if len(lists) != 1 {
				t.Errorf("%v, %v: in %q, want exactly one of arcs, still (arcs.go) and impossible (here)", s, by, lists)
				continue
			}
			kind := map[string]uint8{"arcs": cellArc, "still": cellStill, "impossible": cellContradiction}[lists[0]]
			if got := cells[s][by].kind; got != kind {
				t.Errorf("%v, %v: the dense table says %d, the list is %s", s, by, got, lists[0])
			}
		}
	}
}

// TestNextFollowsTheArcs: next moves along an arc and nowhere else.
func TestNextFollowsTheArcs(t *testing.T) {
	for s := range stateEnd {
		for by := range stimulusEnd {
			want, moves := s, false
			for _, a := range arcs {
				if a.from == s && a.stimulus == by {
					want, moves = a.to, true
				}
			}
			if got, gotMoves := s.next(by); got != want || gotMoves != moves {
				t.Errorf("%v.next(%v) = %v, %v, want %v, %v", s, by, got, gotMoves, want, moves)
			}
		}
	}
}

// TestEveryStateIsReachedAndLeft, but for LISTEN, which no endpoint is in.
func TestEveryStateIsReachedAndLeft(t *testing.T) {
	reached := map[State]bool{Closed: true}
	for range arcs {
		for _, a := range arcs {
			if reached[a.from] {
				reached[a.to] = true
			}
		}
	}
	for s := range stateEnd {
		left := slices.ContainsFunc(arcs[:], func(a arc) bool { return a.from == s && a.to != s })
		switch {
		case s == Listen:
			if reached[s] || left {
				t.Errorf("LISTEN has an arc: %s", listenReason)
			}
		case !reached[s]:
			t.Errorf("%v cannot be reached from CLOSED", s)
		case !left:
			t.Errorf("%v cannot be left", s)
		}
	}
}

// TestFigure5 holds the table against the twenty arrows of RFC 9293 figure 5,
// written down here from the RFC and not from the table.
func TestFigure5(t *testing.T) {
	const (
		invisible = stimulusEnd // leaves nothing on the wire
		listen    = Closed      // LISTEN, as an endpoint without a connection is spelled here
	)
	figure := []struct {
		from  State
		label string // the figure's, event over action
		to    State
		as    Stimulus // how the tap sees it
		start State    // where the table has it leave from
		end   State    // and where to
	}{
		{Closed, "active OPEN / create TCB, snd SYN", SynSent, sndSYN, Closed, SynSent},
		{Closed, "passive OPEN / create TCB", Listen, invisible, 0, 0},
		{Listen, "CLOSE / delete TCB", Closed, invisible, 0, 0},
		{SynSent, "CLOSE / delete TCB", Closed, invisible, 0, 0},
		{Listen, "SEND / snd SYN", SynSent, sndSYN, listen, SynSent},
		{Listen, "rcv SYN / snd SYN,ACK", SynReceived, sndSYNACK, listen, SynReceived},
		{SynReceived, "rcv RST (note 1)", Listen, rcvRST, SynReceived, listen},
		{SynSent, "rcv SYN / snd SYN,ACK", SynReceived, sndSYNACK, SynSent, SynReceived},
		{SynSent, "rcv SYN,ACK / snd ACK", Established, rcvSYNACK, SynSent, Established},
		{SynReceived, "rcv ACK of SYN / x", Established, rcvACKofSYN, SynReceived, Established},
		{SynReceived, "CLOSE / snd FIN", FinWait1, sndFIN, SynReceived, FinWait1},
		{Established, "CLOSE / snd FIN", FinWait1, sndFIN, Established, FinWait1},
		{Established, "rcv FIN / snd ACK", CloseWait, rcvFIN, Established, CloseWait},
		{FinWait1, "rcv ACK of FIN / x", FinWait2, rcvACKofFIN, FinWait1, FinWait2},
		{FinWait1, "rcv FIN / snd ACK", Closing, rcvFIN, FinWait1, Closing},
		{CloseWait, "CLOSE / snd FIN", LastAck, sndFIN, CloseWait, LastAck},
		{FinWait2, "rcv FIN / snd ACK", TimeWait, rcvFIN, FinWait2, TimeWait},
		{Closing, "rcv ACK of FIN / x", TimeWait, rcvACKofFIN, Closing, TimeWait},
		{LastAck, "rcv ACK of FIN / x", Closed, rcvACKofFIN, LastAck, Closed},
		{TimeWait, "Timeout=2MSL / delete TCB", Closed, timeout2MSL, TimeWait, Closed},
	}
	if len(figure) != 20 {
		t.Fatalf("%d arrows, the figure draws 20", len(figure))
	}
	unseen := 0
	for _, f := range figure {
		if f.as == invisible {
			unseen++
			continue
		}
		if got, ok := f.start.next(f.as); !ok || got != f.end {
			t.Errorf("%v, %q, to %v: the table goes to %v (%v)", f.from, f.label, f.to, got, ok)
		}
	}
	if unseen != 3 {
		t.Errorf("%d invisible arrows, want 3: passive OPEN, CLOSE in LISTEN, CLOSE in SYN-SENT", unseen)
	}
}

// TestStatesDocument keeps docs/states.md equal to the table: a changed row shows
// up in review as a changed picture.
func TestStatesDocument(t *testing.T) {
	const path = "../docs/states.md"
	want := statesDocument(walkedArcs(t))
	if *update {
		if err := os.WriteFile(path, want, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	got, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s is not what arcs.go says; run `go test ./reassembly -run TestStatesDocument -update` and read the diff", path)
	}
}

func statesDocument(walked map[arcPlace]*walk) []byte {
	var b bytes.Buffer
	p := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	p("# The states and what moves them")
	p("")
	p("Generated from `reassembly/arcs.go` by `go test ./reassembly -run TestStatesDocument -update`.")
	p("")
	p("The tap sees segments, not calls: CLOSE shows as the FIN that it sends, ABORT as")
	p("the RST. It sees them pass, not arrive: whether a `rcv` took place is inferred")
	p("from what the endpoint sent later. LISTEN is not drawn: an endpoint without a")
	p("connection is CLOSED.")
	p("")
	p("```mermaid")
	p("stateDiagram-v2")
	p("    [*] --> %v", Closed)
	type pair struct{ from, to State }
	var pairs []pair
	labels := map[pair][]string{}
	for _, a := range arcs {
		k := pair{a.from, a.to}
		if labels[k] == nil {
			pairs = append(pairs, k)
		}
		labels[k] = append(labels[k], a.stimulus.String())
	}
	for _, k := range pairs {
		p("    %v --> %v : %s", k.from, k.to, strings.Join(labels[k], " or "))
	}
	p("```")
	p("")
	p("## Every cell")
	p("")
	p("A state's name is where the stimulus leads, `=` means that it changes nothing, an")
	p("empty cell that the packets contradict each other (the state stays, too).")
	p("")
	row := []string{"in"}
	for by := range stimulusEnd {
		row = append(row, by.String())
	}
	p("| %s |", strings.Join(row, " | "))
	p("|%s", strings.Repeat(" --- |", len(row)))
	for s := range stateEnd {
		if s == Listen {
			continue
		}
		row := []string{s.String()}
		for by := range stimulusEnd {
			switch c := cells[s][by]; c.kind {
			case cellArc:
				row = append(row, c.to.String())
			case cellStill:
				row = append(row, "=")
			default:
				row = append(row, "")
			}
		}
		p("| %s |", strings.Join(row, " | "))
	}
	p("")
	p("## The arcs")
	p("")
	p("Evidence and scenarios are those of [the scenarios](../testdata/scenarios) in which the")
	p("arc is walked; of many scenarios the shortest three are named.")
	p("")
	p("| from | stimulus | to | why | on the wire | evidence | scenarios |")
	p("| --- | --- | --- | --- | --- | --- | --- |")
	for _, a := range arcs {
		evidence, names := "", "no scenario: "+unwalked[arcPlace{a.from, a.stimulus}]
		if w := walked[arcPlace{a.from, a.stimulus}]; w != nil {
			evidence, names = w.text()
		}
		p("| %v | %v | %v | %s | %s | %s | %s |", a.from, a.stimulus, a.to, a.why, onTheWire[a.stimulus], evidence, names)
	}
	p("")
	p("## What changes nothing")
	p("")
	p("| stimulus | in | why |")
	p("| --- | --- | --- |")
	names := func(in []State) string {
		var s []string
		for _, x := range in {
			s = append(s, x.String())
		}
		return strings.Join(s, ", ")
	}
	for _, l := range still {
		p("| %v | %s | %s |", l.stimulus, names(l.in), l.why)
	}
	p("")
	p("## What cannot be")
	p("")
	p("Sections are RFC 9293's.")
	p("")
	p("| stimulus | in | why |")
	p("| --- | --- | --- |")
	for _, l := range impossible {
		p("| %v | %s | %s |", l.stimulus, names(l.in), l.why)
	}
	return b.Bytes()
}
