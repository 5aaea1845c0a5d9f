package report

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tcplife/tcplife/reassembly"
	"github.com/tcplife/tcplife/wire"
)

var update = flag.Bool("update", false, "rewrite the expected outputs in testdata; then read the diff, line by line: whatever is committed is what users get")

func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatalf("%v (go test -update writes it)", err)
	}
	if d := cmp.Diff(string(want), string(got)); d != "" {
		t.Errorf("%s differs (-want +got):\n%s", path, d)
	}
}

func TestGoldenFormats(t *testing.T) {
	for _, name := range Formats() {
		for _, d := range documents() {
			t.Run(name+"/"+d.name, func(t *testing.T) {
				f, err := New(name)
				if err != nil {
					t.Fatal(err)
				}
				var out bytes.Buffer
				if err := d.print(&out, f); err != nil {
					t.Fatal(err)
				}
				golden(t, d.name+"."+name, out.Bytes())
			})
		}
	}
}

func TestGoldenTextVariants(t *testing.T) {
	all := documents()
	d := all[len(all)-1]
	for _, x := range []struct {
		name string
		o    Options
	}{
		{"everything-80.text", Options{Width: 80}},
		{"everything-all.text", Options{All: true}},
		{"everything-color.text", Options{Color: true, Width: 100}},
	} {
		t.Run(x.name, func(t *testing.T) {
			x.o.Inputs = d.options.Inputs
			d.options = x.o
			var out bytes.Buffer
			if err := d.print(&out, new(text)); err != nil {
				t.Fatal(err)
			}
			golden(t, x.name, out.Bytes())
			// The table may be wider: addresses and states cannot be broken.
			prose, _, _ := strings.Cut(out.String(), "Connections worth")
			for i, l := range strings.Split(prose, "\n") {
				if x.o.Width > 0 && columns(l) > x.o.Width {
					t.Errorf("line %d has %d columns: %s", i+1, columns(l), l)
				}
			}
		})
	}
}

func TestColorOnlyWhenWanted(t *testing.T) {
	for _, color := range []bool{false, true} {
		for _, d := range documents() {
			d.options.Color = color
			var out bytes.Buffer
			if err := d.print(&out, new(text)); err != nil {
				t.Fatal(err)
			}
			for _, c := range []*Connection{lostFinalACK(), midStream()} {
				if err := Timeline(&out, c, 1, nil, &d.options); err != nil {
					t.Fatal(err)
				}
			}
			if got := bytes.ContainsRune(out.Bytes(), '\x1b'); got != color {
				t.Errorf("%s: colour wanted %v, escape sequences in the output: %v", d.name, color, got)
			}
		}
	}
}

func TestGoldenTimelines(t *testing.T) {
	one := &Options{Inputs: []string{"a.pcap"}}
	for _, x := range []struct {
		name   string
		c      *Connection
		ladder []Step
		o      *Options
	}{
		{"clean", cleanLife(), nil, one},
		{"lost-final-ack", lostFinalACK(), nil, one},
		{"lost-final-ack-ladder", lostFinalACK(), ladder(lostFinalACK()), one},
		{"lost-final-ack-20", lostFinalACK(), ladder(lostFinalACK()), &Options{Inputs: one.Inputs, Width: 20}},
		{"lost-final-ack-60", lostFinalACK(), ladder(lostFinalACK()), &Options{Inputs: one.Inputs, Width: 60, Times: TimesDelta}},
		{"lost-final-ack-80", lostFinalACK(), ladder(lostFinalACK()), &Options{Inputs: one.Inputs, Width: 80, Times: TimesAbsolute, Zone: time.FixedZone("CET", 3600)}},
		{"lost-final-ack-200", lostFinalACK(), ladder(lostFinalACK()), &Options{Inputs: one.Inputs, Width: 200}},
		{"folded-80", midStream(), ladder(midStream()), &Options{Inputs: one.Inputs, Width: 80, Color: true, ASCII: true}},
		{"refused", refused(), nil, one},
		{"mid-stream", midStream(), nil, &Options{Inputs: []string{"a.pcap", "b.pcapng"}}},
		{"nothing", &Connection{Conn: &reassembly.Conn{}}, nil, one},
	} {
		t.Run(x.name, func(t *testing.T) {
			var out bytes.Buffer
			if err := Timeline(&out, x.c, 7, x.ladder, x.o); err != nil {
				t.Fatal(err)
			}
			golden(t, "timeline-"+x.name+".txt", out.Bytes())
			if x.name == "mid-stream" {
				return // its run of data has a label that needs more
			}
			limit := 100
			if x.o.Width > 20 {
				limit = x.o.Width
			}
			for i, l := range strings.Split(out.String(), "\n") {
				if columns(l) > limit {
					t.Errorf("line %d has %d columns: %s", i+1, columns(l), l)
				}
			}
		})
	}
}

// ladder unfolds the events of a connection into single segments.
func ladder(c *Connection) (out []Step) {
	for i := range c.Events {
		e := &c.Events[i]
		for k := range e.Count {
			n := e.Len / e.Count
			out = append(out, Step{From: e.From, Marks: e.Marks, Segment: wire.Segment{Frame: e.Frame + wire.FrameID(k), At: e.At,
				Seq: e.Seq.Add(k * n), Ack: e.Ack, Flags: e.Flags, Window: e.Window, Len: n, Options: c.Ends[e.From].SYN}})
		}
	}
	dup := out[1]
	dup.Frame++
	dup.Duplicate = true
	return append(out[:2:2], append([]Step{dup}, out[2:]...)...)
}
