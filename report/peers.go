package report

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/tcplife/tcplife/reassembly"
	"github.com/tcplife/tcplife/rosetta"
)

// peer is another tool whose view of a connection a report can give.
type peer struct {
	name string
	// always: JSON has the view without being asked. watched: it is one of
	// Connection.Peers.
	always, watched bool
	// columns name what table prints; a table for reading has one column instead.
	columns []string
	// table gives a value for each of columns, line a single one.
	table func(c *Connection) []cell
	line  func(c *Connection) []cell
	// json appends the view as an object.
	json func(buf *Buffer, b []byte, c *Connection) []byte
}

// cell is a piece of text, or the number of Wireshark's stream, which is known later.
type cell struct {
	text   string
	stream bool
}

// cells returns what one of the peer's functions gives, or n empty ones where nobody
// followed the connection for it.
func (p *peer) cells(f func(*Connection) []cell, n int, c *Connection) []cell {
	if p.watched && c.Peers == nil {
		return make([]cell, n)
	}
	return f(c)
}

// peers are in the order in which reports give them.
var peers = []*peer{
	{
		name: "zeek", always: true, watched: true, columns: []string{"zeek_conn_state", "zeek_history", "zeek_rows"},
		table: func(c *Connection) []cell {
			z := &c.Peers.Zeek
			return []cell{{text: z.State}, {text: string(z.History)}, count(z.Rows)}
		},
		line: func(c *Connection) []cell {
			z := &c.Peers.Zeek
			return []cell{{text: strings.TrimSpace(z.State + " " + string(z.History) + several(z.Rows, "rows"))}}
		},
		json: appendZeek,
	},
	{
		name: "wireshark", always: true, watched: true,
		columns: []string{"wireshark_stream", "wireshark_completeness", "wireshark_completeness_str", "wireshark_streams"},
		table: func(c *Connection) []cell {
			w := &c.Peers.Wireshark
			return []cell{{stream: true}, count(uint16(w.Completeness)), {text: w.Completeness.String()}, count(w.Streams)}
		},
		line: func(c *Connection) []cell {
			w := &c.Peers.Wireshark
			return []cell{{stream: true}, {text: fmt.Sprintf(": %d %s%s", w.Completeness, w.Completeness, several(w.Streams, "streams"))}}
		},
		json: appendWireshark,
	},
	{
		name: "conntrack", columns: []string{"conntrack_state", "conntrack_entries"},
		table: func(c *Connection) []cell {
			v := rosetta.ConntrackOf(c.Conn)
			return []cell{{text: v.State}, count(v.Entries)}
		},
		line: func(c *Connection) []cell {
			v := rosetta.ConntrackOf(c.Conn)
			return []cell{{text: v.State + several(v.Entries, "entries")}}
		},
		json: func(_ *Buffer, b []byte, c *Connection) []byte {
			v := rosetta.ConntrackOf(c.Conn)
			b = append(b, `{"state":"`...)
			b = append(b, v.State...)
			return append(appendSeveral(append(b, '"'), `,"entries":`, v.Entries), '}')
		},
	},
	{
		name: "argus", columns: []string{"argus_state", "argus_events"},
		table: func(c *Connection) []cell {
			v := rosetta.ArgusOf(c.Conn)
			return []cell{{text: v.State}, {text: v.Letters}}
		},
		line: func(c *Connection) []cell {
			v := rosetta.ArgusOf(c.Conn)
			return []cell{{text: v.State + " " + v.Letters}}
		},
		json: func(_ *Buffer, b []byte, c *Connection) []byte {
			v := rosetta.ArgusOf(c.Conn)
			b = append(b, `{"state":"`...)
			b = append(b, v.State...)
			b = append(b, `","events":"`...)
			b = append(b, v.Letters...)
			return append(b, '"', '}')
		},
	},
	{
		name: "tcptrace", watched: true, columns: []string{"tcptrace_complete", "tcptrace_connections"},
		table: func(c *Connection) []cell {
			v := &c.Peers.Tcptrace
			return []cell{{text: v.Complete()}, count(v.Connections)}
		},
		line: func(c *Connection) []cell {
			v := &c.Peers.Tcptrace
			return []cell{{text: v.Complete() + several(v.Connections, "connections")}}
		},
		json: func(_ *Buffer, b []byte, c *Connection) []byte {
			v := &c.Peers.Tcptrace
			b = append(b, `{"complete":"`...)
			b = append(b, v.Complete()...)
			return append(appendSeveral(append(b, '"'), `,"connections":`, v.Connections), '}')
		},
	},
	{
		name: "suricata", columns: []string{"suricata_tcp_state", "suricata_flow_state"},
		table: func(c *Connection) []cell {
			v := rosetta.SuricataOf(c.Conn)
			return []cell{{text: v.TCPState}, {text: v.FlowState}}
		},
		line: func(c *Connection) []cell {
			v := rosetta.SuricataOf(c.Conn)
			return []cell{{text: v.TCPState}}
		},
		json: func(_ *Buffer, b []byte, c *Connection) []byte {
			v := rosetta.SuricataOf(c.Conn)
			b = append(b, `{"tcp_state":"`...)
			b = append(b, v.TCPState...)
			b = append(b, `","flow_state":"`...)
			b = append(b, v.FlowState...)
			return append(b, '"', '}')
		},
	},
}

// Peers returns the names of the tools whose views Options.Peers may ask for.
func Peers() []string {
	names := make([]string, len(peers))
	for i, p := range peers {
		names[i] = p.name
	}
	return names
}

// CheckPeers returns an error if there is no view of one of the names, with the name
// that may have been meant.
func CheckPeers(names []string) error {
	for _, n := range names {
		if slices.Contains(Peers(), n) {
			continue
		}
		msg := fmt.Sprintf("unknown tool %q: there are %s", n, strings.Join(Peers(), ", "))
		if near := nearest(n, Peers()); near != "" {
			msg += fmt.Sprintf("; did you mean %q?", near)
		}
		return fmt.Errorf("%s", msg)
	}
	return nil
}

// chosen returns the peers with the names, in the order of peers.
func chosen(names []string) (list []*peer) {
	for _, p := range peers {
		if slices.Contains(names, p.name) {
			list = append(list, p)
		}
	}
	return list
}

func count(n uint16) cell { return cell{text: strconv.Itoa(int(n))} }

// several says how many rows another tool makes of a connection, if not one.
func several(n uint16, of string) string {
	if n <= 1 {
		return ""
	}
	return fmt.Sprintf(" (1 of %d %s)", n, of)
}

// appendSeveral is several for JSON.
func appendSeveral(b []byte, key string, n uint16) []byte {
	if n <= 1 {
		return b
	}
	return appendUint(append(b, key...), uint64(n))
}

// appendPeers appends the views that JSON always has and those asked for.
func appendPeers(buf *Buffer, b []byte, c *Connection, asked []*peer) []byte {
	for _, p := range peers {
		if c.Peers == nil && p.watched || !p.always && !slices.Contains(asked, p) {
			continue
		}
		b = append(b, ',', '"')
		b = append(b, p.name...)
		b = append(b, '"', ':')
		b = p.json(buf, b, c)
	}
	return b
}

func appendZeek(_ *Buffer, b []byte, c *Connection) []byte {
	z := &c.Peers.Zeek
	b = append(b, `{"conn_state":"`...)
	b = append(b, z.State...)
	b = append(b, `","history":"`...)
	b = append(b, z.History...)
	b = append(b, `","duration":`...)
	b = appendSeconds(b, z.Duration)
	if z.Originator == reassembly.Server {
		b = append(b, `,"originator":"server"`...)
	}
	return append(appendSeveral(b, `,"rows":`, z.Rows), '}')
}

func appendWireshark(buf *Buffer, b []byte, c *Connection) []byte {
	w := &c.Peers.Wireshark
	buf.B = append(b, `{"stream":`...)
	buf.StreamID()
	b = append(buf.B, `,"completeness":`...)
	b = appendUint(b, uint64(w.Completeness))
	b = append(b, `,"completeness_str":"`...)
	b = append(b, completenessNames[w.Completeness&63]...)
	return append(appendSeveral(append(b, '"'), `,"streams":`, w.Streams), '}')
}

// completenessNames holds every value's text, since Completeness.String allocates.
var completenessNames = func() (names [64]string) {
	for i := range names {
		names[i] = rosetta.Completeness(i).String()
	}
	return names
}()
