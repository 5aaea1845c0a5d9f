package rosetta

import (
	"fmt"
	"strings"
	"testing"

	"github.com/tcplife/tcplife/reassembly"
)

// The letters of Zeek's history: field guide 2.1 and the documentation of conn.log.
func TestZeekHistory(t *testing.T) {
	for _, c := range []struct{ name, script, state, history string }{
		{"a SYN with another number restarts the count", "c S 0; s R. 0 ack 1", "REJ", "Sr"},
		{"letters stand once", talks + "; c P. 11:5 ack 21; s P. 21:5 ack 16; c . 16 ack 26", "S1", "ShADad"},
		{"payload again", talks + "; c P. 1:10 ack 21", "S1", "ShADadT"},
		{"payload partly again", talks + "; c P. 1:15 ack 21", "S1", "ShADad"},
		{"a FIN with another number", talks + "; c F. 11 ack 21; c F. 13 ack 21", "S2", "ShADadFF"},
		{"a FIN again", talks + "; c F. 11 ack 21; c F. 11 ack 21", "S2", "ShADadF"},
		{"RSTs with other numbers", talks + "; s R. 21 ack 11; s R. 22 ack 11; s R. 22 ack 11", "RSTR", "ShADadrr"},
		{"closed window", talks + "; s . 21 ack 11 win 0; s . 21 ack 11 win 0", "S1", "ShADadw"},
		{"closed window after the FIN is boring", talks + "; c F. 11 ack 21; s . 21 ack 12 win 0", "S2", "ShADadF"},
		{"closed window in a RST is boring", talks + "; s R 21 win 0", "RSTR", "ShADadr"},
		{"FIN and RST in one", talks + "; c FR. 11 ack 21", "RSTO", "ShADadI"},
		{"SYN and FIN in one", "c SF 0", "SH", "Q"},
		{"a gap", talks + "; s . 31 ack 11; c . 11 ack 31", "S1", "ShADadg"},
		{"a gap that is filled late", talks + "; s P. 26:5 ack 11; s P. 21:5 ack 11; c . 11 ack 31", "S1", "ShADadt"},
		{"data after a gap", talks + "; s P. 26:5 ack 11; c . 11 ack 31", "S1", "ShADadg"},
		{"two gaps", talks + "; s P. 26:5 ack 11; s P. 36:5 ack 11; c . 11 ack 41", "S1", "ShADadg"},
		{"payload that was not captured", opens + "; c P. 1:10 ack 1 snapped; s . 1 ack 11", "S1", "ShADaG"},
		{"a gap at the end is not counted", talks + "; s R. 31 ack 11", "RSTR", "ShADadr"},
		{"no gaps in the middle of nowhere", "c P. 1:10 ack 1; s P. 1:10 ack 21; c . 21 ack 31", "OTH", "DdA"},
		{"SYN and RST", "c S; c R 1", "RSTOS0", "SR"},
		{"SYN, ACK and RST", "c S; c . 1 ack 1; c R 1", "OTH", "SAR"},
		{"SYN and FIN", "c S; c F. 1 ack 1", "SH", "SF"},
		{"FIN only", "c F. 1 ack 1", "SH", "F"},
		{"RST only", "c R 1", "OTH", "R"},
		{"RST of the other only", "c . 1 ack 1; s R 1", "RSTRH", "Ar"},
		{"RST both ways, no data", "c . 1 ack 1; s R 1; c R 1", "REJ", "ArR"},
		{"FIN of the other only", opens + "; s F. 1 ack 1; c . 1 ack 2", "S3", "ShAf"},
		{"FIN of the other, nothing before", "c . 1 ack 1; s F. 1 ack 1", "SHR", "Af"},
		{"FIN, RST, then the other's FIN", talks + "; c F. 11 ack 21; c R. 12 ack 21; s F. 21 ack 12", "SF", "ShADadFRf"},
		{"RST after both FINs", ends + "; c R 12", "SF", "ShADadFfR"},
		{"no handshake, no close", "c P. 1:10 ack 1; s . 1 ack 11", "OTH", "Da"},
		{"SYN-ACK before the SYN", "s S. ack 1; c S; c . 1 ack 1; c P. 1:10 ack 1", "S1", "Hs^AD"},
		{"lone SYN-ACK", "s S. ack 1", "OTH", "H"},
		{"SYN-ACK, ACK", "s S. ack 1; c . 1 ack 1; c P. 1:10 ack 1", "S1", "^hAD"},
		{"SYN-ACK, data of the same side", "s S. ack 1; s P. 1:10 ack 1", "OTH", "^hd"},
		{"SYN only of the other", "c . 1 ack 1; c S", "S0", "AS"},
	} {
		t.Run(c.name, func(t *testing.T) {
			v := views(t, c.script, 7777)[0]
			if v.Zeek.State != c.state || v.history != c.history {
				t.Errorf("%s %s, want %s %s", v.Zeek.State, v.history, c.state, c.history)
			}
		})
	}
}

// Repetitions count on a logarithmic scale: the first, the tenth, the hundredth.
func TestZeekCountsOnALogarithmicScale(t *testing.T) {
	for n, want := range map[int]string{1: "T", 9: "T", 10: "TT", 99: "TT", 100: "TTT", 1000: "TTTT"} {
		v := views(t, talks+strings.Repeat("; c P. 1:10 ack 21", n), 7777)[0]
		if got := strings.TrimPrefix(v.history, "ShADad"); got != want {
			t.Errorf("%d repetitions: %q, want %q", n, got, want)
		}
	}
}

// Without a SYN the side with a well-known port is the responder; with a SYN,ACK only
// if the other port is not well known, too.
func TestZeekTurnsRoles(t *testing.T) {
	for _, c := range []struct {
		script  string
		port    uint16
		state   string
		history string
		orig    reassembly.Side
	}{
		{"s S. ack 1; c R 1", 443, "RSTO", "^hR", reassembly.Client},
		{"s S. ack 1; c R 1", 7777, "REJ", "Hr", reassembly.Server},
		{"s P. 1:10 ack 1; c . 1 ack 11", 80, "OTH", "^dA", reassembly.Client},
		{"s P. 1:10 ack 1; c . 1 ack 11", 7777, "OTH", "Da", reassembly.Server},
		{"c P. 1:10 ack 1; s . 1 ack 11", 80, "OTH", "Da", reassembly.Client},
		{"c S; s S. ack 1; c . 1 ack 1", 7777, "S1", "ShA", reassembly.Client},
	} {
		v := views(t, c.script, c.port)[0]
		if v.Zeek.State != c.state || v.history != c.history {
			t.Errorf("%s, port %d: %s %s, want %s %s", c.script, c.port, v.Zeek.State, v.history, c.state, c.history)
		}
		// Which side of ours that is depends on our own roles; the port tells.
		if v.originator != 40000 != (c.orig == reassembly.Server) {
			t.Errorf("%s, port %d: the originator has port %d", c.script, c.port, v.originator)
		}
	}
}

// A history is bounded, unlike Zeek's.
func TestZeekHistoryIsBounded(t *testing.T) {
	var b strings.Builder
	b.WriteString(talks)
	for i := range 600 {
		fmt.Fprintf(&b, "; s R. %d ack 11", 21+i)
	}
	v := views(t, b.String(), 7777)[0]
	want := ("ShADad" + strings.Repeat("r", 600))[:256]
	if v.history != want || v.Zeek.State != "RSTR" {
		t.Errorf("%s %s (%d letters), want RSTR %s", v.Zeek.State, v.history, len(v.history), want)
	}
}

// What a connection held of the pools goes back to them.
func TestWatcherGivesBack(t *testing.T) {
	var w Watcher
	tr := reassembly.New(reassembly.Config{Watch: &w, Settled: func(c *reassembly.Conn, _ uint64) { w.Views(c) }})
	text := talks + "; c P. 11:5 ack 21; c P. 16:5 ack 21; s P. 31:5 ack 21"
	for i := range 60 {
		text += fmt.Sprintf("; s R. %d ack 11", 50+i)
	}
	for _, s := range script(t, text) {
		tr.Feed(&s)
	}
	if w.lives.used == 0 || w.pools.holes.used == 0 || w.pools.histories.used == 0 {
		t.Fatalf("%d lives, %d holes, %d long histories: the script is too tame", w.lives.used, w.pools.holes.used, w.pools.histories.used)
	}
	tr.Flush()
	for name, n := range map[string]int{
		"lives": int(w.lives.used) - len(w.lives.free), "holes": int(w.pools.holes.used) - len(w.pools.holes.free),
		"histories": int(w.pools.histories.used) - len(w.pools.histories.free),
	} {
		if n != 0 {
			t.Errorf("%d %s are still held", n, name)
		}
	}
}
