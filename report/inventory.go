package report

import (
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/tcplife/tcplife/reassembly"
	"github.com/tcplife/tcplife/wire"
)

// NewInventory returns the format that says what the inputs hold, before anybody
// looks at connections: as text or as json. It prints what the summary knows, and
// wants a run with pipeline.Config.Contents.
func NewInventory(name string) (Format, error) {
	switch name {
	case "text":
		return &inventory{print: textInventory}, nil
	case "json":
		return &inventory{print: jsonInventory}, nil
	}
	return nil, fmt.Errorf("an inventory is printed as text or json, not as %q", name)
}

// inventory prints at the end, and passes over single connections.
type inventory struct {
	w     io.Writer
	o     Options
	print func(*Summary, *Options) []byte
}

func (f *inventory) Begin(w io.Writer, o *Options) error {
	f.w, f.o = w, *o
	return nil
}

func (f *inventory) Needs() Needs { return NoNeeds() }

func (f *inventory) Encode(*Buffer, *Connection) {}

func (f *inventory) Add(uint64, *Digest, *Buffer) error { return nil }

func (f *inventory) Late(*Late) error { return nil }

func (f *inventory) End(s *Summary) error {
	_, err := f.w.Write(f.print(s, &f.o))
	return err
}

// Bounds of the lists; what they leave out is counted.
const (
	maxEncapsListed = 100
	maxEncapsText   = 8
	maxFilesText    = 50
)

// jsonInventory is one object, of the same parts as the summary.
func jsonInventory(s *Summary, _ *Options) []byte {
	a := appender{multi: len(s.Inputs) > 1}
	b := append([]byte(nil), `{"type":"inventory","schema":1,"interrupted":`...)
	b = strconv.AppendBool(b, s.Interrupted)
	b = append(b, `,"files":[`...)
	for i := range s.Inputs {
		if i > 0 {
			b = append(b, ',', '\n')
		}
		b = a.input(b, i+1, &s.Inputs[i])
		b = a.contents(b[:len(b)-1], &s.Inputs[i])
		b = append(b, '}')
	}
	b = append(b, ']')
	b = appendUnread(b, s)
	b = a.totals(b, s)
	var all Input
	for i := range s.Inputs {
		all.Octets += s.Inputs[i].Octets
		all.TCPOctets += s.Inputs[i].TCPOctets
		all.StepBack = max(all.StepBack, s.Inputs[i].StepBack)
		for _, l := range s.Inputs[i].Links {
			all.addLink(l)
		}
	}
	b = a.contents(b, &all)
	b = appendField(b, "encap_paths", uint64(len(s.Encaps)))
	b = append(b, `,"encaps":[`...)
	for i, e := range s.Encaps[:min(len(s.Encaps), maxEncapsListed)] {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, `{"path":`...)
		b = appendStrings(b, e.Path)
		b = append(appendField(b, "segments", e.Segments), '}')
	}
	b = append(b, ']')
	b = appendField(b, "connections", s.Connections)
	b = appendCloses(b, s)
	return append(b, '}', '\n')
}

// contents appends what only an inventory says of an input.
func (a *appender) contents(b []byte, in *Input) []byte {
	b = appendField(b, "octets", in.Octets)
	b = appendField(b, "tcp_octets", in.TCPOctets)
	b = append(b, `,"step_back":`...)
	b = appendSeconds(b, in.StepBack)
	b = append(b, `,"links":[`...)
	for i, l := range in.Links {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, `{"link_type":`...)
		b = strconv.AppendUint(b, uint64(l.Link), 10)
		b = append(appendField(b, "frames", l.Frames), '}')
	}
	return append(b, ']')
}

// addLink adds a count to that of the same link type.
func (in *Input) addLink(l LinkCount) {
	for i := range in.Links {
		if in.Links[i].Link == l.Link {
			in.Links[i].Frames += l.Frames
			return
		}
	}
	in.Links = append(in.Links, l)
}

func textInventory(s *Summary, o *Options) []byte {
	p := printer{canvas: o.canvas(), s: s, o: o, multi: len(o.Inputs) > 1}
	if o.Further {
		p.WriteByte('\n')
	}
	p.read(false)
	p.inventory()
	if len(s.Inputs) > 1 {
		p.inventoryFiles()
	}
	return []byte(p.finish())
}

func (p *printer) inventory() {
	s := p.s
	p.heading("What is in it")
	var links, all Input
	var formats []string
	count := map[string]uint64{}
	snapLens := map[uint32]bool{}
	snap := "not limited"
	counted := false
	var received, dropped uint64
	for i := range s.Inputs {
		in := &s.Inputs[i]
		f := formatOf(in)
		if count[f]++; count[f] == 1 {
			formats = append(formats, f)
		}
		for _, l := range in.Links {
			links.addLink(l)
		}
		all.Octets, all.TCPOctets = all.Octets+in.Octets, all.TCPOctets+in.TCPOctets
		all.StepBack = max(all.StepBack, in.StepBack)
		for _, x := range in.Interfaces {
			if x.SnapLen > 0 && !snapLens[x.SnapLen] {
				if len(snapLens) == 0 {
					snap = number(uint64(x.SnapLen))
				} else {
					snap += ", " + number(uint64(x.SnapLen))
				}
				snapLens[x.SnapLen] = true
			}
			if x.Counted {
				counted, received, dropped = true, received+x.Received, dropped+x.Dropped
			}
		}
	}
	if len(s.Inputs) > 1 {
		for i, f := range formats {
			formats[i] = f + " " + number(count[f])
		}
	}
	snapped, backwards, damaged, _ := s.readQuality()
	p.field("format", strings.Join(formats, ", "))
	p.field("link types", linkWords(links.Links))
	p.field("TCP", share(s.TCPFrames(), s.Frames(), "frames", number)+"; "+share(all.TCPOctets, all.Octets, "on the wire", octets))
	skipped := s.Skipped()
	p.counts("not TCP", "", len(skipped)-1, func(i int) (string, uint64) { return wire.Skip(i + 1).String(), skipped[i+1] })
	var paths []string
	for i, e := range s.Encaps {
		if i == maxEncapsText {
			paths = append(paths, plural(uint64(len(s.Encaps)-i), "more path", "more paths"))
			break
		}
		name := "none"
		if len(e.Path) > 0 {
			name = shortName(strings.Join(e.Path, hard))
		}
		paths = append(paths, name+hard+number(e.Segments))
	}
	if len(paths) > 0 {
		p.field("around TCP", strings.Join(paths, ", "))
	}
	order := "in order"
	if backwards > 0 {
		order = fmt.Sprintf("%s earlier than the one before, by up to %s", plural(backwards, "frame is", "frames are"), span(all.StepBack))
	}
	p.field("time", order)
	cut := "; no frame is cut"
	if snapped > 0 {
		cut = "; " + plural(snapped, "frame is", "frames are") + " cut"
	}
	p.field("snap length", snap+cut)
	twice := "no frame is in it twice, as far as TCP shows"
	if n := s.Quality.Duplicates; n > 0 {
		twice = plural(n, "frame is", "frames are") + " in it twice"
	}
	p.field("twice", twice)
	drops := "not counted by the capturing host"
	if counted {
		drops = fmt.Sprintf("%s dropped of %s, as the capturing host counted", number(dropped), number(received))
	}
	p.field("drops", drops)
	if damaged > 0 {
		p.field("damage", plural(damaged, "file is", "files are")+" damaged")
	}
	p.inventoryConnections()
}

// inventoryConnections counts connections without saying what is wrong with them.
func (p *printer) inventoryConnections() {
	s := p.s
	p.heading(plural(s.Connections, "connection", "connections"))
	p.counts("outcome", "", len(s.Outcomes), func(i int) (string, uint64) { return reassembly.Outcome(i).String(), s.Outcomes[i] })
	p.counts("opened", "", len(s.Handshakes), func(i int) (string, uint64) { return reassembly.HandshakeOutcome(i).String(), s.Handshakes[i] })
	p.counts("ended", "", len(s.Reasons), func(i int) (string, uint64) { return reassembly.CloseReason(i).String(), s.Reasons[i] })
	if n := s.Quality.OneSided; n > 0 {
		p.field("one direction", plural(n, "connection", "connections")+" of which only one direction was captured")
	}
	if q := s.Quality; q.MissingBytes > 0 {
		p.field("missing", fmt.Sprintf("%s acknowledged in %s and not captured", octets(q.MissingBytes), plural(q.MissingConnections, "connection", "connections")))
	}
}

// inventoryFiles lists the inputs, each with what sets it apart.
func (p *printer) inventoryFiles() {
	p.heading("Files")
	digits := len(strconv.Itoa(len(p.s.Inputs)))
	for i := range p.s.Inputs {
		if i == maxFilesText {
			p.linef("  ... and %s: --format json lists them", plural(uint64(len(p.s.Inputs)-i), "more file", "more files"))
			return
		}
		in := &p.s.Inputs[i]
		words := []string{formatOf(in)}
		if len(in.Links) > 0 {
			words = append(words, linkWords(in.Links))
		}
		words = append(words, share(in.Segments-in.Further, in.Frames, "frames", number)+" TCP")
		if in.Frames > 0 {
			words = append(words, fmt.Sprintf("%s from %s", span(in.Last.Sub(in.First)), p.o.clock(in.First)))
		}
		for _, x := range []struct {
			n    uint64
			what string
		}{{in.Backwards, "earlier than the one before, by up to " + span(in.StepBack)}, {in.Stray, "with a time that is none"}, {in.Snapped, "cut by the snap length"}} {
			if x.n > 0 {
				words = append(words, plural(x.n, "frame", "frames")+" "+x.what)
			}
		}
		if len(in.Damage) > 0 {
			words = append(words, p.paint(red, "damaged"))
		}
		p.prose("  "+right(strconv.Itoa(i+1), digits)+"  "+p.paint(bold, inputName(in.Name))+"  ", blanks(digits+4), strings.Join(words, "; "))
	}
}

// formatOf names an input's container, the unit of its times, and what the container
// is packed in, from the inside out.
func formatOf(in *Input) string {
	if in.Format == "" {
		return "unknown"
	}
	name := in.Format
	units := map[uint64]string{1e3: "milliseconds", 1e6: "microseconds", 1e9: "nanoseconds"}
	if len(in.Interfaces) > 0 {
		if u := units[in.Interfaces[0].Resolution]; u != "" {
			name += " (" + u + ")"
		}
	}
	for _, packing := range slices.Backward(in.Packing) {
		name += " in " + packing
	}
	return name
}

func linkWords(links []LinkCount) string {
	var words []string
	for _, l := range links {
		words = append(words, l.Link.String()+hard+number(l.Frames))
	}
	if len(words) == 0 {
		return "none"
	}
	return strings.Join(words, ", ")
}

// share prints how many of how many, and the percentage unless it is all or none.
func share(n, of uint64, what string, print func(uint64) string) string {
	s := fmt.Sprintf("%s of %s %s", print(n), print(of), what)
	if n > 0 && n < of {
		// Of 9,999 in 10,000 it must not say 100%.
		percent := min(max(float64(n)/float64(of)*100, 0.1), 99.9)
		s += " (" + strconv.FormatFloat(percent, 'f', 1, 64) + "%)"
	}
	return s
}
