package report

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/tcplife/tcplife/wire"
)

// maxFilesShown files are listed, and beyond them those whose frames the findings
// name, up to twice as many in all: a number must not stand for nothing.
const maxFilesShown = 10

// inputName says what was read.
func (p *printer) inputName() string {
	in := p.s.Inputs
	switch {
	case len(in) == 0:
		return "no input"
	case len(in) > 1 && p.o.Name != "":
		return shortName(p.o.Name) + " (" + plural(uint64(len(in)), "file", "files") + ")"
	case len(in) > 1:
		return plural(uint64(len(in)), "file", "files")
	}
	return inputName(in[0].Name)
}

func inputName(name string) string {
	if name == "-" {
		return "standard input"
	}
	return shortName(name)
}

// files lists the inputs with the numbers by which frames name them.
func (p *printer) files() {
	shown := p.filesShown()
	w, digits := 0, max(len(strconv.Itoa(len(p.s.Inputs))), 2)
	for _, i := range shown {
		w = max(w, columns(inputName(p.s.Inputs[i].Name)))
	}
	next := 0
	between := func(to int) {
		if to > next {
			p.linef("  ... and %s", plural(uint64(to-next), "more file", "more files"))
		}
	}
	for _, i := range shown {
		between(i)
		next = i + 1
		in := &p.s.Inputs[i]
		line := fmt.Sprintf("  %s  %s  %s", right(strconv.Itoa(i+1), digits), left(inputName(in.Name), w), plural(in.Frames, "frame", "frames"))
		if in.Frames > 0 {
			line += fmt.Sprintf(" in %s from %s", span(in.Last.Sub(in.First)), p.o.clock(in.First))
		}
		p.item("", "    ", line)
	}
	between(len(p.s.Inputs))
}

// filesShown returns the places of the inputs to list, in order.
func (p *printer) filesShown() (shown []int) {
	for i := range min(len(p.s.Inputs), maxFilesShown) {
		shown = append(shown, i)
	}
	add := func(frames []wire.FrameID) {
		for _, frame := range frames[:min(len(frames), maxFramesText)] {
			at := frame.Input()
			if at < len(p.s.Inputs) && len(shown) < 2*maxFilesShown && !slices.Contains(shown, at) {
				shown = append(shown, at)
			}
		}
	}
	for i := range p.s.Incidents {
		add(p.s.Incidents[i].Frames)
	}
	for _, f := range p.s.Findings() {
		for i := range min(len(f.Examples), maxExamplesText) {
			add(f.Examples[i].Frames)
		}
	}
	slices.Sort(shown)
	return shown
}

// legend names the files that a drawing's frames are in.
func (d *drawing) legend(names []string) {
	var files []int
	add := func(f wire.FrameID) {
		if i := f.Input(); f != 0 && i < len(names) && !slices.Contains(files, i) {
			files = append(files, i)
		}
	}
	add(d.c.First)
	for i := range d.rungs {
		if len(files) == maxFilesShown {
			break
		}
		add(d.rungs[i].frame)
		add(d.rungs[i].lastFrame)
	}
	slices.Sort(files)
	var words []string
	for _, i := range files {
		words = append(words, strconv.Itoa(i+1)+hard+inputName(names[i]))
	}
	if len(files) == maxFilesShown {
		words = append(words, "...")
	}
	d.prose("  Files:     ", blanks(13), strings.Join(words, ", "))
}
