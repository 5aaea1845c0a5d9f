package report

import (
	"bytes"
	"encoding/csv"
	"fmt"
	"strings"
	"testing"
)

// column returns a column of a report as csv.
func csvColumn(t *testing.T, out, head string) (cells []string) {
	t.Helper()
	rows, err := csv.NewReader(strings.NewReader(out)).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	for i, h := range rows[0] {
		if h == head {
			for _, r := range rows[1:] {
				cells = append(cells, r[i])
			}
		}
	}
	return cells
}

func TestArrange(t *testing.T) {
	all := documents()
	d := &all[len(all)-1]
	run := func(format, order string, limit int) string {
		t.Helper()
		f, err := New(format)
		if err != nil {
			t.Fatal(err)
		}
		var by *Order
		if order != "" {
			if by, err = ParseOrder(order); err != nil {
				t.Fatal(err)
			}
		}
		var out bytes.Buffer
		if err := d.print(&out, Arrange(f, by, limit)); err != nil {
			t.Fatal(err)
		}
		return out.String()
	}
	for _, x := range []struct {
		order string
		limit int
		want  string
	}{
		{"", 3, "2 1 4"},
		{"id", 3, "1 2 3"},
		{"-id", 3, "28 27 26"},
		{"-duration", 3, "4 1 3"},
		{"duration", 2, "2 5"}, // ties by number
		{"handshake.rtt", 4, "1 3 2 4"},
		{"-handshake.rtt", 4, "1 3 2 4"}, // what is unknown comes last in either direction
		{"-server", 2, "2 5"},
		{"wireshark.stream", 2, "1 2"},
	} {
		if got := strings.Join(csvColumn(t, run("csv", x.order, x.limit), "id"), " "); got != x.want {
			t.Errorf("--sort %s --limit %d: %s, want %s", x.order, x.limit, got, x.want)
		}
	}
	if n := len(csvColumn(t, run("csv", "-duration", 0), "id")); n != 28 {
		t.Errorf("without a limit there are %d connections, want 28", n)
	}
	out := run("text", "-handshake.rtt", 2)
	for _, want := range []string{"\nConnections by handshake.rtt, the largest first\n", "  handshake.rtt  findings\n", "          10 ms  lost-final-ack\n", "... and 26 more connections"} {
		if !strings.Contains(out, want) {
			t.Errorf("the text report lacks %q:\n%s", want, out)
		}
	}
	if n := strings.Count(run("ndjson", "-duration", 2), `{"type":"connection"`); n != 2 {
		t.Errorf("ndjson has %d connections", n)
	}
	if _, err := ParseOrder("-duratoin"); err == nil || err.Error() != "there is no field duratoin; did you mean duration? ('tcplife explain fields' lists them)" {
		t.Error(err)
	}
}

// A limit is kept to however many connections there are, and the first are the right
// ones.
func TestArrangeMany(t *testing.T) {
	f, err := New("csv")
	if err != nil {
		t.Fatal(err)
	}
	by, _ := ParseOrder("-first_frame")
	f = Arrange(f, by, 3)
	var out bytes.Buffer
	if err := f.Begin(&out, &Options{}); err != nil {
		t.Fatal(err)
	}
	c := cleanLife()
	first := c.First
	for i := range uint64(5000) {
		c.First = first + 1
		if i%1000 == 7 {
			c.First += 100
		}
		var b Buffer
		f.Encode(&b, c)
		d := NewDigest(c)
		if err := f.Add(i, &d, &b); err != nil {
			t.Fatal(err)
		}
	}
	if held := len(f.(*arranged).held); held > 3000 {
		t.Errorf("%d connections are held for a limit of 3", held)
	}
	if err := f.End(&Summary{}); err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprint(csvColumn(t, out.String(), "id")); got != "[7 1007 2007]" {
		t.Error(got)
	}
}

func TestColumns(t *testing.T) {
	all := documents()
	d := all[len(all)-1]
	table := func(format string, names ...string) string {
		t.Helper()
		o := d.options
		var err error
		if o.Columns, o.Peers, err = ParseColumns(names); err != nil {
			t.Fatal(err)
		}
		f, err := New(format)
		if err != nil {
			t.Fatal(err)
		}
		x := d
		x.options = o
		x.steps = x.steps[:2]
		var out bytes.Buffer
		if err := x.print(&out, f); err != nil {
			t.Fatal(err)
		}
		return out.String()
	}
	for _, x := range []struct {
		format string
		names  []string
		want   string
	}{
		{"csv", []string{"id", "client", "handshake.rtt", "close.closer"}, "id,client,handshake.rtt,close.closer\n2,[2001:db8::1]:40002,,server\n1,10.0.0.1:40001,0.01,client\n"},
		{"tsv", []string{"final", "id"}, "final.client\tfinal.server\tid\nCLOSED\t\t2\nCLOSED\tCLOSED\t1\n"},
		{"csv", []string{"uid", "conntrack"}, "uid,conntrack_state,conntrack_entries\nREF2VOCG2LXWA,CLOSE,1\nLFA2VOCG2LXWA,"},
		{"csv", []string{"argus"}, "findings,argus_state,argus_events\n"},
		{"csv", []string{"default", "retransmits"}, "findings,retransmits.client,retransmits.server\n"},
		{"markdown", []string{"id", "duration", "bytes.server", "handshake.rtt"}, "| id | duration | bytes.server | handshake.rtt |\n| ---: | ---: | ---: | ---: |\n| 2 | 300 µs | 0 B | - |\n| 1 | 1.7 s | 2.9 kB | 10 ms |\n"},
		{"text", []string{"id", "duration", "close.reason"}, "  id  duration  close.reason\n   2    300 µs  refused\n   1     1.7 s  orderly-unconfirmed\n"},
		{"text", []string{"tcptrace"}, "  tcptrace  findings\n"},
	} {
		if out := table(x.format, x.names...); !strings.Contains(out, x.want) {
			t.Errorf("%s of %v:\n%s\nwant:\n%s", x.format, x.names, out, x.want)
		}
	}
	for name, want := range map[string]string{
		"clos.reason": `unknown column "clos.reason"; did you mean "close.reason"?`,
		"zek":         `unknown column "zek"; did you mean "zeek"?`,
		"rtt":         `unknown column "rtt"; did you mean "handshake.rtt"?`,
	} {
		if _, _, err := ParseColumns([]string{name}); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%s: %v, want %s", name, err, want)
		}
	}
	for _, n := range ColumnNames() {
		if _, _, err := ParseColumns([]string{n}); err != nil {
			t.Error(err)
		}
	}
}
