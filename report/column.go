package report

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/tcplife/tcplife/wire"
)

// Column is one of a table: a field of the contract, or a part of what another tool
// would say.
type Column struct {
	// Head stands above it.
	Head  string
	field *Field
	peer  *peer
	part  int // of peer.columns
}

// derived are what tables have beside the fields: both parts of an end in one.
var derived = []*Field{
	textField("client", func(c *Connection) string { return c.Tuple.Source().String() }),
	textField("server", func(c *Connection) string { return c.Tuple.Destination().String() }),
}

// defaultColumns are those of csv and tsv when nobody asks for others; scripts know
// them by these heads.
var defaultColumns = func() (all []Column) {
	for _, x := range [...][2]string{
		{"id", "id"}, {"uid", "uid"}, {"capture", "capture"}, {"client_ip", "client.ip"}, {"client_port", "client.port"},
		{"server_ip", "server.ip"}, {"server_port", "server.port"}, {"start", "start"}, {"duration", "duration"},
		{"packets_client", "packets.client"}, {"packets_server", "packets.server"}, {"bytes_client", "bytes.client"}, {"bytes_server", "bytes.server"},
		{"outcome", "outcome"}, {"handshake", "handshake.outcome"}, {"rtt", "handshake.rtt"}, {"close_reason", "close.reason"},
		{"closer", "close.closer"}, {"closed_by", "close.by"}, {"state_client", "final.client"}, {"state_server", "final.server"}, {"findings", "findings"},
	} {
		all = append(all, Column{Head: x[0], field: fieldOrDerived(x[1])})
	}
	return all
}()

func fieldOrDerived(name string) *Field {
	for _, f := range fields {
		if f.Name == name {
			return f
		}
	}
	for _, f := range derived {
		if f.Name == name {
			return f
		}
	}
	return nil
}

// ParseColumns reads what a user wants for columns: names of fields, of objects (all
// their fields), client and server (address and port in one), other tools, and
// default. If there are only tools among them, they are to stand beside the usual
// columns: then the result is nil, and peers are the tools.
func ParseColumns(names []string) (columns []Column, peerNames []string, err error) {
	onlyPeers := true
	for _, n := range names {
		of, err := parseColumn(n)
		if err != nil {
			return nil, nil, err
		}
		columns = append(columns, of...)
		if slices.Contains(Peers(), n) {
			peerNames = append(peerNames, n)
		} else {
			onlyPeers = false
		}
	}
	if onlyPeers {
		columns = nil
	}
	return columns, peerNames, nil
}

func parseColumn(name string) (columns []Column, err error) {
	if name == "default" {
		return slices.Clone(defaultColumns), nil
	}
	if i := slices.IndexFunc(peers, func(p *peer) bool { return p.name == name }); i >= 0 {
		for part, head := range peers[i].columns {
			columns = append(columns, Column{Head: head, peer: peers[i], part: part})
		}
		return columns, nil
	}
	if f := fieldOrDerived(name); f != nil {
		return []Column{{Head: name, field: f}}, nil
	}
	for _, n := range InsideOf(name) {
		columns = append(columns, Column{Head: n, field: LookupField(n)})
	}
	if columns == nil {
		names := append(append([]string{"default", "client", "server"}, Peers()...), FieldNames()...)
		err = fmt.Errorf("unknown column %q", name)
		near := nearest(name, names)
		if near == "" {
			near = NearestField(name)
		}
		if near != "" {
			err = fmt.Errorf("%w; did you mean %q?", err, near)
		}
		err = fmt.Errorf("%w ('tcplife explain fields' lists the fields; other tools are %s)", err, strings.Join(Peers(), ", "))
	}
	return columns, err
}

// ColumnNames are what ParseColumns takes, for completion.
func ColumnNames() []string {
	return slices.Concat([]string{"default", "client", "server"}, Peers(), FieldNames())
}

// FieldColumns are the columns of some fields, which must exist.
func fieldColumns(heads, names []string) (all []Column) {
	for i, n := range names {
		all = append(all, Column{Head: heads[i], field: fieldOrDerived(n)})
	}
	return all
}

// peerColumns are all columns of some tools.
func peerColumns(list []*peer) (all []Column) {
	for _, p := range list {
		for part, head := range p.columns {
			all = append(all, Column{Head: head, peer: p, part: part})
		}
	}
	return all
}

// number reports whether the column holds numbers, which stand on the right.
func (c *Column) number() bool {
	if c.field == nil {
		return false
	}
	switch c.field.Kind {
	case KindInteger, KindSeconds, KindFrame:
		return true
	}
	return false
}

// cell appends the column's value on a connection: for a reader with its unit, or as
// programs read it.
func (c *Column) cell(b *Buffer, v *Connection, o *Options, human bool) {
	switch {
	case c.peer != nil:
		x := c.peer.cells(c.peer.table, len(c.peer.columns), v)[c.part]
		b.B = append(b.B, x.text...)
		if x.stream {
			b.StreamID()
		}
	case c.field.ID:
		b.ID()
	case c.field.Stream:
		if v.Peers != nil {
			b.StreamID()
		}
	case human:
		b.B = append(b.B, humanValue(c.field, c.field.Get(v), o)...)
	case c.field.write != nil:
		b.B = c.field.write(b.B, v)
	default:
		b.B = c.field.Get(v).append(b.B, len(o.Inputs) > 1)
	}
}

// humanValue prints a field's value for a reader; what is unknown is a dash.
func humanValue(f *Field, v Value, o *Options) string {
	switch v.Kind {
	case KindUnknown:
		return "-"
	case KindSeconds:
		return span(time.Duration(v.N))
	case KindInteger:
		switch f.Unit {
		case "octets":
			return octets(uint64(v.N))
		case "": // a port, or something absolute
			return strconv.FormatInt(v.N, 10)
		}
		return number(uint64(v.N))
	case KindFlag:
		if v.N != 0 {
			return "yes"
		}
		return "no"
	case KindInstant:
		return o.clock(wire.Time(v.N))
	case KindFrame:
		return frameName(wire.FrameID(v.N), len(o.Inputs) > 1)
	case KindList:
		if v.Text == "" {
			return "-"
		}
	}
	return printable(v.Text)
}
