package report

import (
	"io"
	"strconv"
	"strings"

	"github.com/tcplife/tcplife/reassembly"
)

var (
	_ = register("csv", func() Format { return &table{separator: ',', quoted: ",\"\r\n"} })
	_ = register("tsv", func() Format { return &table{separator: '\t', quoted: "\t\"\r\n"} })
)

// table writes one line per connection for spreadsheets and awk: comma-separated
// as in RFC 4180 but with line feeds alone, or tab-separated. Late groups and the
// summary have no place in it. An empty field is unknown.
type table struct {
	separator byte
	quoted    string // a field with one of these is put in quotes
	peers     []*peer
	w         io.Writer
	out       []byte
}

var tableColumns = []string{
	"id", "uid", "capture", "client_ip", "client_port", "server_ip", "server_port", "start", "duration",
	"packets_client", "packets_server", "bytes_client", "bytes_server", "outcome", "handshake", "rtt",
	"close_reason", "closer", "closed_by", "state_client", "state_server", "findings",
}

func (f *table) Begin(w io.Writer, o *Options) error {
	f.w, f.peers = w, chosen(o.Peers)
	f.out = make([]byte, 0, flushAt+flushAt/4)
	if o.Further {
		return nil // one table with one head; its column capture tells the reports apart
	}
	for i, c := range tableColumns {
		if i > 0 {
			f.out = append(f.out, f.separator)
		}
		f.out = append(f.out, c...)
	}
	for _, p := range f.peers {
		for _, c := range p.columns {
			f.out = append(f.out, f.separator)
			f.out = append(f.out, c...)
		}
	}
	f.out = append(f.out, '\n')
	return nil
}

// Needs says what a table's columns are made of.
func (f *table) Needs() Needs {
	return Needs{Names: true, Peers: len(f.peers) > 0, Events: len(f.peers) > 0}
}

func (f *table) Encode(b *Buffer, c *Connection) {
	b.ID()
	f.text(b, c.UID)
	f.text(b, c.Capture)
	for _, p := range [...]struct {
		ip   string
		port uint16
	}{{c.Tuple.Src.Netip(c.Tuple.V6).String(), c.Tuple.SrcPort}, {c.Tuple.Dst.Netip(c.Tuple.V6).String(), c.Tuple.DstPort}} {
		f.text(b, p.ip)
		f.number(b, uint64(p.port))
	}
	f.text(b, c.Start.String())
	b.B = appendSeconds(append(b.B, f.separator), c.End.Sub(c.Start))
	for _, n := range [...]uint64{c.Ends[0].Packets, c.Ends[1].Packets, c.Ends[0].Bytes, c.Ends[1].Bytes} {
		f.number(b, n)
	}
	f.text(b, c.Outcome.String())
	f.text(b, c.Handshake.Outcome.String())
	b.B = append(b.B, f.separator)
	if c.Handshake.RTT > 0 {
		b.B = appendSeconds(b.B, c.Handshake.RTT)
	}
	f.text(b, c.Close.Reason.String())
	closer, by := "", ""
	if c.Close.HasCloser {
		closer, by = c.Close.Closer.String(), c.Close.By
	}
	f.text(b, closer)
	f.text(b, by)
	for side := range c.Ends {
		state := ""
		if len(c.Ends[side].Timeline) > 0 {
			state = c.Ends[reassembly.Side(side)].Final().String()
		}
		f.text(b, state)
	}
	b.B = append(b.B, f.separator)
	for i := range c.Findings {
		if i > 0 {
			b.B = append(b.B, ' ')
		}
		b.B = append(b.B, c.Findings[i].Rule.ID...)
	}
	for _, p := range f.peers {
		for _, x := range p.cells(p.table, len(p.columns), c) {
			f.text(b, x.text)
			if x.stream {
				b.StreamID()
			}
		}
	}
}

// text appends a separator and a field.
func (f *table) text(b *Buffer, s string) {
	b.B = append(b.B, f.separator)
	if !strings.ContainsAny(s, f.quoted) {
		b.B = append(b.B, s...)
		return
	}
	b.B = append(b.B, '"')
	b.B = append(b.B, strings.ReplaceAll(s, `"`, `""`)...)
	b.B = append(b.B, '"')
}

func (f *table) number(b *Buffer, n uint64) {
	b.B = strconv.AppendUint(append(b.B, f.separator), n, 10)
}

func (f *table) Add(id uint64, _ *Digest, b *Buffer) error {
	f.out = append(b.AppendTo(f.out, id), '\n')
	if len(f.out) < flushAt {
		return nil
	}
	return f.Flush()
}

func (f *table) Late(*Late) error { return nil }

func (f *table) End(*Summary) error { return f.Flush() }

// Flush writes the complete lines that are held back.
func (f *table) Flush() error {
	_, err := f.w.Write(f.out)
	f.out = f.out[:0]
	return err
}
