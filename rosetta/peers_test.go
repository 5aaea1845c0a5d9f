package rosetta

import (
	"cmp"
	"slices"
	"testing"

	"github.com/tcplife/tcplife/reassembly"
	"github.com/tcplife/tcplife/wire"
)

// The experiment of the field guide's section 0.1: what the tools themselves said of
// twenty small captures, and Zeek's source of those that were not run with it.
func TestPeersOfSmallCaptures(t *testing.T) {
	for _, c := range []struct {
		name, script                       string
		complete                           Completeness
		tcptrace, argus                    string
		zeek, history, conntrack, suricata string
	}{
		{"clean close", ends, 31, "yes", "FIN sSEfF", "SF", "ShADadFf", "TIME_WAIT", "closed"},
		{"final ACK never seen", talks + "; c F. 11 ack 21; s F. 21 ack 12; +0.2 s F. 21 ack 12; +0.4 s F. 21 ack 12", 31, "yes", "FIN sSEfF", "SF", "ShADadFf", "LAST_ACK", "last_ack"},
		{"FIN repeated, acknowledged again", ends + "; +0.2 s F. 21 ack 12; c . 12 ack 22", 31, "yes", "FIN sSEfF", "SF", "ShADadFf", "TIME_WAIT", "closed"},
		{"closed port", "c S; s R. 0 ack 1", 37, "RESET (SYNs: 1) (FINs: 0)", "RST sR", "REJ", "Sr", "CLOSE", "closed"},
		{"half-close", talks + "; c F. 11 ack 21; s . 21 ack 12; +1 s P. 21:5 ack 12; c . 12 ack 26; s F. 26 ack 12; c . 12 ack 27", 31, "yes", "FIN sSEfF", "SF", "ShADadFf", "TIME_WAIT", "closed"},
		{"simultaneous close", talks + "; c F. 11 ack 21; s F. 21 ack 11; c . 12 ack 22; s . 22 ack 12", 31, "yes", "FIN sSEfF", "SF", "ShADadFf", "TIME_WAIT", "closed"},
		{"data after the peer has closed", talks + "; c F. 11 ack 21; s . 21 ack 12; s P. 21:5 ack 12; c R 12", 47 | 16, "RESET (SYNs: 2) (FINs: 1)", "RST sSEfFR", "RSTO", "ShADadFR", "CLOSE", "closed"},
		{"abort", talks + "; c R. 11 ack 21", 47, "RESET (SYNs: 2) (FINs: 0)", "RST sSER", "RSTO", "ShADadR", "CLOSE", "closed"},
		{"midstream, clean close", "c P. 1:10 ack 1; s . 1 ack 11; c F. 11 ack 1; s F. 1 ack 12; c . 12 ack 2", 28, "no (SYNs: 0) (FINs: 2)", "FIN EfF", "SF", "DaFfA", "TIME_WAIT", "none"},
		{"SYN-ACK keeps coming", opens + "; c P. 1:10 ack 1; +1 s S. ack 1; c . 11 ack 1", 15, "no (SYNs: 2) (FINs: 0)", "CON sSE", "S1", "ShAD", "ESTABLISHED", "established"},
		{"FIN and RST of one side", talks + "; c F. 11 ack 21; c R. 12 ack 21", 63, "RESET (SYNs: 2) (FINs: 1)", "RST sSEfR", "RSTO", "ShADadFR", "CLOSE", "closed"},
		{"SYN-ACK, then RST", "s S. ack 1; c R 1", 34, "RESET (SYNs: 1) (FINs: 0)", "RST SR", "REJ", "Hr", "NONE", "none"},
		{"Fast Open", "c S 0:10; s S. ack 11; c . 11 ack 1; s P. 1:20 ack 11; c . 11 ack 21; c F. 11 ack 21; s F. 21 ack 12; c . 12 ack 22", 31, "yes", "FIN sSEfF", "SF", "SThAdFf", "TIME_WAIT", "closed"},
		{"unanswered", "c S; +1 c S", 1, "no (SYNs: 1) (FINs: 0)", "REQ s", "S0", "S", "SYN_SENT", "syn_sent"},
		{"SYN flood, answered", "c S; s S. ack 1", 3, "no (SYNs: 2) (FINs: 0)", "ACC sS", "S1", "Sh", "SYN_RECV", "syn_recv"},
	} {
		t.Run(c.name, func(t *testing.T) {
			list := views(t, c.script, 7777)
			if len(list) != 1 {
				t.Fatalf("%d connections", len(list))
			}
			v := list[0]
			if v.Wireshark.Completeness != c.complete || v.Wireshark.Streams != 1 {
				t.Errorf("Wireshark: completeness %d, %d streams; want %d, one", v.Wireshark.Completeness, v.Wireshark.Streams, c.complete)
			}
			if v.Tcptrace.Complete() != c.tcptrace {
				t.Errorf("tcptrace: %q, want %q", v.Tcptrace.Complete(), c.tcptrace)
			}
			if got := v.argus.State + " " + v.argus.Letters; got != c.argus {
				t.Errorf("argus: %q, want %q", got, c.argus)
			}
			if v.Zeek.State != c.zeek || v.history != c.history || v.Zeek.Rows != 1 {
				t.Errorf("Zeek: %s %s, %d rows; want %s %s, one", v.Zeek.State, v.history, v.Zeek.Rows, c.zeek, c.history)
			}
			if v.conntrack.State != c.conntrack {
				t.Errorf("conntrack: %s, want %s", v.conntrack.State, c.conntrack)
			}
			if v.suricata.TCPState != c.suricata {
				t.Errorf("Suricata: %s, want %s", v.suricata.TCPState, c.suricata)
			}
		})
	}
}

// Where others make several rows of a connection, the first is given and the number
// said.
func TestSeveralRows(t *testing.T) {
	for _, c := range []struct {
		name, script                        string
		rows, streams, entries, connections uint16
		state, history                      string
	}{
		// Zeek forgets an attempt after 5 s: field guide 0.1, capture 12.
		{name: "seven SYNs", script: "c S; +1 c S; +2 c S; +4 c S; +8 c S; +16 c S; +32 c S", rows: 5, streams: 1, entries: 1, connections: 1, state: "S0", history: "S"},
		// The RST comes when Zeek has forgotten the close.
		{name: "FIN repeated late, RST", script: ends + "; +10 s F. 21 ack 12; c R 12", rows: 2, streams: 1, entries: 1, connections: 1, state: "SF", history: "ShADadFf"},
		// A silence of five minutes ends Zeek's row, one of four tcptrace's.
		{name: "silence", script: talks + "; +301 c P. 11:5 ack 21; s . 21 ack 16", rows: 2, streams: 1, entries: 1, connections: 2, state: "S1", history: "ShADad"},
		{name: "shorter silence", script: talks + "; +250 c P. 11:5 ack 21; s . 21 ack 16", rows: 1, streams: 1, entries: 1, connections: 2, state: "S1", history: "ShADad"},
		// RFC 9293 section 3.5 allows the SYN,ACK in two segments; the SYN's number is
		// not the one that Wireshark takes from the ACK when there was one.
		{name: "split handshake", script: "c S; s . 9 ack 1; s S; c S. 0 ack 1; s . 1 ack 1; c P. 1:10 ack 1; s . 1 ack 11", rows: 2, streams: 2, entries: 1, connections: 1, state: "S0", history: "Sa"},
	} {
		t.Run(c.name, func(t *testing.T) {
			list := views(t, c.script, 7777)
			if len(list) != 1 {
				t.Fatalf("%d connections", len(list))
			}
			v := list[0]
			if v.Zeek.State != c.state || v.history != c.history || v.Zeek.Rows != c.rows {
				t.Errorf("Zeek: %s %s, %d rows; want %s %s, %d", v.Zeek.State, v.history, v.Zeek.Rows, c.state, c.history, c.rows)
			}
			if v.Wireshark.Streams != c.streams {
				t.Errorf("Wireshark: %d streams, want %d", v.Wireshark.Streams, c.streams)
			}
			if v.conntrack.Entries != c.entries || v.Tcptrace.Connections != c.connections {
				t.Errorf("conntrack: %d entries, want %d; tcptrace: %d connections, want %d", v.conntrack.Entries, c.entries, v.Tcptrace.Connections, c.connections)
			}
		})
	}
}

// Wireshark knows no VLANs: what passes in two of them is one stream, of which each
// connection has the number and all flags.
func TestConnectionsOfOneStream(t *testing.T) {
	segs := script(t, ends)
	for i := range segs {
		segs[i].Tuple.Encap = 1
		if segs[i].Tuple.SrcPort == 7777 {
			segs[i].Tuple.Encap = 2 // each direction in its own VLAN
		}
		if i > 2 && i < len(segs)-1 {
			again := segs[i]
			again.Tuple.Encap ^= 3
			segs = append(segs, again)
		}
	}
	var w Watcher
	var joined []uint64
	w.Joined = func(opened uint64) { joined = append(joined, opened) }
	n := 0
	tr := reassembly.New(reassembly.Config{Watch: &w, Settled: func(c *reassembly.Conn, _ uint64) {
		n++
		if v := w.Views(c); v.Wireshark != (Wireshark{31, 1}) {
			t.Errorf("the connection of frame %d has %+v, want completeness 31 in one stream", c.First, v.Wireshark)
		}
	}})
	slices.SortStableFunc(segs, func(a, b wire.Segment) int { return cmp.Compare(a.At, b.At) })
	for i := range segs {
		segs[i].Frame = wire.NewFrameID(0, uint64(i+1))
		tr.Feed(&segs[i])
	}
	tr.Flush()
	if n < 2 || len(joined) != n-1 {
		t.Errorf("%d connections, joined %v: the script is too tame", n, joined)
	}
	if w.pools.streams.used == 0 || len(w.pools.streams.free) != int(w.pools.streams.used) {
		t.Errorf("%d streams were shared, %d given back", w.pools.streams.used, len(w.pools.streams.free))
	}
}
