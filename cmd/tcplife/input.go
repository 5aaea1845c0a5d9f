package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/tcplife/tcplife/capture"
	"github.com/tcplife/tcplife/wire"
)

// inputs is what one report is made from: one input, or several that are one
// capture.
type inputs struct {
	s          *streams
	candidates []capture.Candidate
	// label is the argument that stands for all of them, if there is one.
	label   string
	folders []string
	unread  []capture.Unread
	// set holds the inputs when they are not one that was named.
	set *capture.Set
}

// captureArgs demands captures, on the command line or in the list of --files-from; kinds
// says which a command takes.
func captureArgs(kinds string, filesFrom *string) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		if len(args) == 0 && *filesFrom == "" {
			return usage("%s takes %s; none was given", c.Name(), kinds)
		}
		if slices.Contains(args, "") {
			return usage("%s: a file's name is empty", c.Name())
		}
		return nil
	}
}

// one returns the name of the input when there is only one, given by its name.
func (in *inputs) one() (name string, ok bool) {
	if len(in.candidates) == 1 && len(in.unread) == 0 && !in.candidates[0].Found {
		return in.candidates[0].Name, true
	}
	return "", false
}

// each returns the inputs one by one, as captures of their own.
func (in *inputs) each() (all []*inputs) {
	for _, c := range in.candidates {
		all = append(all, &inputs{s: in.s, candidates: []capture.Candidate{c}})
	}
	return all
}

// open opens what is to be read. Opening waits: a pipe for its writer, and every
// pipe for the container's header; several inputs for the first frame of each. When
// ctx ends in the meantime the result is an input without frames, so that an
// interrupted run has its report as any other. So has an input that is damaged in
// its header.
//
// When ctx ends later the source is closed, which sets a waiting Next free. The
// function returned closes the source. What could not be opened is said on stderr.
func (in *inputs) open(ctx context.Context) (capture.Source, func(), error) {
	type result struct {
		src capture.Source
		err error
	}
	nothing := func(info capture.Info) (capture.Source, func(), error) {
		return &noFrames{info}, func() {}, nil
	}
	name, one := in.one()
	opened := make(chan result, 1)
	// What gather finds must not be looked at when it is abandoned.
	var set *capture.Set
	go func() {
		var r result
		if one {
			r.src, r.err = in.s.open(name)
		} else if set, r.err = capture.Gather(in.candidates, in.s.open); r.err == nil {
			r.src = set.Open()
		}
		opened <- r
	}()
	var r result
	select {
	case r = <-opened:
	case <-ctx.Done():
		return nothing(capture.Info{Name: in.title()})
	}
	var damage *capture.DamageError
	if one && errors.As(r.err, &damage) {
		return nothing(capture.Info{Name: name, Damage: []*capture.DamageError{damage}, Damaged: 1})
	}
	if r.err != nil {
		return nil, nil, &exitError{exitOpen, r.err}
	}
	if !one {
		in.set = set
		for _, err := range set.Passed() {
			in.s.note("passed over: %v", err)
		}
		in.unread = append(in.unread, set.Unread()...)
		in.tellUnread()
		if len(set.Names()) == 0 {
			return nil, nil, in.none()
		}
	}
	forget := context.AfterFunc(ctx, func() { r.src.Close() })
	return r.src, func() { forget(); r.src.Close() }, nil
}

// maxTold bounds the lines about inputs on stderr: the first of a thousand say it
// all.
const maxTold = 100

// tellUnread says on stderr what could not be opened.
func (in *inputs) tellUnread() {
	for i, u := range in.unread {
		if i == maxTold {
			in.s.tell("%d more could not be opened", len(in.unread)-i)
			return
		}
		in.s.say(u.Err)
	}
}

// errNoCapture says that what was only found, not named, is no capture.
var errNoCapture = errors.New("no capture")

// none is the error when no input is left; what could not be opened was said.
func (in *inputs) none() error {
	switch {
	case len(in.unread) > 0:
		return &exitError{code: exitOpen}
	case len(in.folders) > 0:
		return &exitError{exitOpen, fmt.Errorf("open %s: no capture in it (--verbose says what else there is)", strings.Join(in.folders, ", "))}
	case len(in.candidates) > 0:
		return errNoCapture
	}
	return &exitError{exitOpen, errors.New("no input: the list of files is empty")}
}

// again opens the same inputs once more, in the same order.
func (in *inputs) again() (capture.Source, error) {
	if in.set != nil {
		return in.set.Open(), nil
	}
	return in.s.open(in.candidates[0].Name)
}

// twice refuses, for the sake of a flag, inputs that cannot be read twice.
func (in *inputs) twice(flag string) error {
	const why = "%s reads the capture twice, which %s does not allow: save it to a file first"
	for _, c := range in.candidates {
		if c.Name == "-" {
			return usage(why, flag, "standard input")
		}
		if st, err := os.Stat(c.Name); err == nil && !st.Mode().IsRegular() && !st.IsDir() {
			return usage(why, flag, c.Name)
		}
	}
	return nil
}

// names returns the inputs' names in the order in which frames name them.
func (in *inputs) names() []string {
	if in.set != nil {
		return in.set.Names()
	}
	if len(in.candidates) == 0 {
		return []string{in.title()}
	}
	return []string{in.candidates[0].Name}
}

// title is what a report calls the inputs together: the only one's name, the
// argument that stands for all, or the first and how many more there are.
func (in *inputs) title() string {
	if in.set == nil || len(in.set.Names()) == 0 { // not opened, or no capture among them
		switch {
		case in.label != "":
			return in.label
		case len(in.candidates) > 1:
			return fmt.Sprintf("%s +%d", in.candidates[0].Name, len(in.candidates)-1)
		case len(in.candidates) == 1:
			return in.candidates[0].Name
		}
		return "no input"
	}
	names := in.set.Names()
	switch {
	case len(names) == 1:
		return names[0]
	case in.label != "":
		return in.label
	}
	return fmt.Sprintf("%s +%d", names[0], len(names)-1)
}

// open opens what an argument names.
func (s *streams) open(path string) (src capture.Source, err error) {
	if path == "-" && s.in != os.Stdin {
		src, err = capture.NewReader(s.in, "-")
	} else {
		src, err = capture.Open(path)
	}
	if err == nil && s.filter != nil {
		src = capture.Filtered(src, s.filter)
	}
	return src, err
}

// noFrames is an input that ended before its first frame.
type noFrames struct{ info capture.Info }

func (n *noFrames) Next(*wire.Frame) error { return io.EOF }
func (n *noFrames) Info() capture.Info     { return n.info }
func (n *noFrames) Close() error           { return nil }

// prefix is the beginning of a source: of each input as many frames as limits says,
// or those read until ctx ends.
type prefix struct {
	capture.Source
	ctx    context.Context
	limits []uint64
	left   uint64 // frames of all inputs
}

func newPrefix(ctx context.Context, src capture.Source, limits []uint64) *prefix {
	p := &prefix{Source: src, ctx: ctx, limits: slices.Clone(limits)}
	for _, n := range limits {
		p.left += n
	}
	return p
}

func (p *prefix) Next(f *wire.Frame) error {
	for p.left > 0 && p.ctx.Err() == nil {
		if err := p.Source.Next(f); err != nil {
			if p.ctx.Err() != nil {
				return io.EOF // closed because of that
			}
			return err
		}
		// They are counted: where a filter selects frames their numbers are larger.
		if i := f.ID.Input(); i < len(p.limits) && p.limits[i] > 0 {
			p.limits[i]--
			p.left--
			return nil
		}
	}
	return io.EOF
}

// Infos keeps the inputs apart for those who ask.
func (p *prefix) Infos() []capture.Info { return capture.Infos(p.Source) }

// tellDamage says on stderr what was wrong with the inputs of a source, and returns
// whether anything was.
func tellDamage(s *streams, src capture.Source) (damaged bool) {
	told, more := 0, uint64(0)
	for _, info := range capture.Infos(src) {
		if info.Grew > 0 {
			s.warn("%s: it grew by %d octets while it was read: somebody is still writing it, and the report covers what was there", info.Name, info.Grew)
		}
		for _, d := range info.Damage {
			damaged = true
			if told == maxTold {
				more++
				continue
			}
			told++
			s.say(d)
		}
		more += info.Damaged - min(info.Damaged, uint64(len(info.Damage)))
	}
	if more > 0 {
		s.tell("%d more damaged places", more)
	}
	return damaged
}
