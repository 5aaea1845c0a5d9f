package report

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/tcplife/tcplife/capture"
	"github.com/tcplife/tcplife/wire"
)

// contentsOf gives a document what only an inventory counts.
func contentsOf(d *testDocument, s *Summary) {
	for i := range d.inputs {
		in := &d.inputs[i]
		in.Octets, in.TCPOctets = in.Frames*100, in.Segments*90
		if in.Frames > 0 {
			in.Links = []LinkCount{{wire.LinkEthernet, in.Frames - 1}, {147, 1}}
		}
	}
	for i := range maxEncapsListed + 10 {
		s.Encaps = append(s.Encaps, EncapCount{Path: []string{fmt.Sprintf("vlan:%d", i+1), "mpls:3"}[:i%3], Segments: uint64(1000 - i)})
		if i%3 == 0 {
			s.Encaps[i].Path = nil
		}
	}
	s.Unread = []capture.Unread{{Name: "gone.pcap", Err: fmt.Errorf("open gone.pcap: %w (check the path)", errors.Join(fs.ErrNotExist))}}
}

func TestGoldenInventory(t *testing.T) {
	whole := compileSchema(t, "#/$defs/inventory")
	for _, name := range []string{"text", "json"} {
		for _, d := range documents() {
			f, err := NewInventory(name)
			if err != nil {
				t.Fatal(err)
			}
			var s Summary
			if d.name == "everything" {
				contentsOf(&d, &s)
			}
			var out bytes.Buffer
			if err := d.printInto(&out, f, &s); err != nil {
				t.Fatal(err)
			}
			if name == "json" {
				v, err := jsonschema.UnmarshalJSON(bytes.NewReader(out.Bytes()))
				if err == nil {
					err = whole.Validate(v)
				}
				if err != nil {
					t.Errorf("%s: %v", d.name, err)
				}
			}
			golden(t, "inventory-"+d.name+"."+name, out.Bytes())
		}
	}
}

func TestInventoryFormats(t *testing.T) {
	if _, err := NewInventory("csv"); err == nil {
		t.Error("no error for a format that there is not")
	}
}

// A percentage is never rounded to all or nothing.
func TestShare(t *testing.T) {
	for _, x := range []struct {
		n, of uint64
		want  string
	}{
		{0, 0, "0 of 0 frames"},
		{0, 10, "0 of 10 frames"},
		{10, 10, "10 of 10 frames"},
		{1, 3, "1 of 3 frames (33.3%)"},
		{1, 1_000_000, "1 of 1,000,000 frames (0.1%)"},
		{999_999, 1_000_000, "999,999 of 1,000,000 frames (99.9%)"},
	} {
		if got := share(x.n, x.of, "frames", number); got != x.want {
			t.Errorf("share(%d, %d) = %q, want %q", x.n, x.of, got, x.want)
		}
	}
}

// Numbers by which frames name files stand in the list of files, however many there
// are.
func TestTextNamesFilesOfFindings(t *testing.T) {
	d := documents()[3]
	d.inputs = append(d.inputs[:1:1], make([]Input, 29)...)
	for i := range d.inputs {
		d.inputs[i].Name = fmt.Sprintf("part%d", i+1)
		d.options.Inputs = append(d.options.Inputs, d.inputs[i].Name)
	}
	for _, st := range d.steps {
		if st.c != nil {
			for i := range st.c.Findings {
				st.c.Findings[i].Frames = []wire.FrameID{wire.NewFrameID(22, 4), wire.NewFrameID(27, 1)}
			}
		}
	}
	var out bytes.Buffer
	if err := d.print(&out, new(text)); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"\n  10  part10 ", "\n  ... and 12 more files\n", "\n  23  part23 ", "\n  ... and 4 more files\n", "\n  28  part28 ", "\n  ... and 2 more files\n", "frames 23:4, 28:1"} {
		if !bytes.Contains(out.Bytes(), []byte(want)) {
			t.Errorf("no %q in\n%.1500s", want, out.String())
		}
	}
}
