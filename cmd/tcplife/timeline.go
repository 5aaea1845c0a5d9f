package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/tcplife/tcplife/capture"
	"github.com/tcplife/tcplife/incident"
	"github.com/tcplife/tcplife/pipeline"
	"github.com/tcplife/tcplife/report"
	"github.com/tcplife/tcplife/wire"
)

// ladderMax bounds the lines of one timeline: nobody reads more, and a transfer of
// gigabytes would not fit in memory. What it leaves out is said.
const ladderMax = 20000

// timelinesMax bounds how many lives of one tuple are drawn.
const timelinesMax = 20

// selector chooses connections by what the user gave: a number, a frame or a pair
// of endpoints.
type selector struct {
	id    uint64
	frame uint64
	file  string // the frame's input, as the user named it
	ends  [2]netip.AddrPort
	// at is the frame in the report; tuple and encap are its own, read from the
	// capture.
	at    wire.FrameID
	tuple wire.Tuple
	encap []string
}

// parseSelector reads N, frame:N, frame:FILE:N, or two endpoints as IP:PORT with a space, a
// comma, "-", ">" or "->" between them.
func parseSelector(s string) (*selector, error) {
	sel := &selector{}
	var err error
	bad := usage("--connection %q: give a connection's number, frame:N (of several files frame:FILE:N), or two endpoints such as '10.0.0.1:40000 10.0.0.2:443' or '[2001:db8::1]:40000 [2001:db8::2]:443'", s)
	if n, ok := strings.CutPrefix(s, "frame:"); ok {
		if i := strings.LastIndexByte(n, ':'); i >= 0 {
			sel.file, n = n[:i], n[i+1:]
		}
		if sel.frame, err = strconv.ParseUint(n, 10, 40); err != nil || sel.frame == 0 {
			return nil, usage("--connection %q: a frame is a number from 1", s)
		}
		return sel, nil
	}
	if n, err := strconv.ParseUint(s, 10, 64); err == nil {
		if n == 0 {
			return nil, usage("--connection 0: connections are numbered from 1")
		}
		return &selector{id: n}, nil
	}
	words := strings.FieldsFunc(s, func(r rune) bool { return strings.ContainsRune(" ,->", r) })
	if len(words) != 2 {
		return nil, bad
	}
	for i, w := range words {
		if sel.ends[i], err = netip.ParseAddrPort(w); err != nil {
			return nil, bad
		}
	}
	return sel, nil
}

// selector checks what --connection asks for, before anything is opened.
func (o *analyzeOptions) selector(in *inputs) (*selector, error) {
	sel, err := parseSelector(o.connection)
	if err != nil {
		return nil, err
	}
	if err := in.twice("--connection"); err != nil {
		return nil, err
	}
	if o.format != "text" {
		return nil, usage("--connection draws a timeline, which is text; the format %s has every connection, so select there (by its id: jq 'select(.id == 1)')", o.format)
	}
	return sel, nil
}

// locate finds the input that the user means with the frame: by its number in the
// report, its name, or the end of its name.
func (s *selector) locate(names []string) error {
	s.at = wire.NewFrameID(0, s.frame)
	if s.file == "" {
		if len(names) > 1 {
			return usage("--connection frame:%d: there are %d files: give frame:FILE:%d, where FILE is a number in the report or a name", s.frame, len(names), s.frame)
		}
		return nil
	}
	if n, err := strconv.Atoi(s.file); err == nil && 1 <= n && n <= len(names) {
		s.at = wire.NewFrameID(n-1, s.frame)
		return nil
	}
	found := -1
	for i, name := range names {
		if name == s.file {
			found = i
			break
		}
		if filepath.Base(name) == s.file {
			if found >= 0 {
				return usage("--connection frame:%s:%d: both %s and %s end so", s.file, s.frame, names[found], name)
			}
			found = i
		}
	}
	if found < 0 {
		return usage("--connection frame:%s:%d: none of the files is that one, nor are there so many", s.file, s.frame)
	}
	s.at = wire.NewFrameID(found, s.frame)
	return nil
}

// spans reports whether the frame may lie in a connection from first to last:
// inside one input frames are counted in order, and between inputs nothing is said.
func (s *selector) spans(first, last wire.FrameID) bool {
	if s.at.Input() == first.Input() && s.at < first {
		return false
	}
	return s.at.Input() != last.Input() || s.at <= last
}

func (s *selector) matches(id uint64, d *report.Digest) bool {
	switch {
	case s.id != 0:
		return id == s.id
	case s.frame != 0:
		mine, _ := s.tuple.Key()
		its, _ := d.Tuple.Key()
		mine.Encap, its.Encap = 0, 0 // each Decoder numbers the paths anew
		return s.spans(d.First, d.Last) && mine == its && slices.Equal(s.encap, d.Encap)
	}
	a, b := d.Tuple.Source(), d.Tuple.Destination()
	return a == s.ends[0] && b == s.ends[1] || a == s.ends[1] && b == s.ends[0]
}

// timelines draws the connections that --connection names, and reports whether
// their findings reach --fail-on. The input is read twice: once to number the
// connections, once for every segment of those chosen.
func (o *analyzeOptions) timelines(ctx context.Context, s *streams, in *inputs, sel *selector, cfg *pipeline.Config, out io.Writer) (failing bool, err error) {
	if sel.frame != 0 {
		if err := sel.locate(in.names()); err != nil {
			return false, err
		}
		if err := o.resolve(ctx, in, sel); err != nil {
			return false, err
		}
	}
	var found []chosen
	more := 0
	cfg.Format, cfg.Incidents = pipeline.Discard{}, []*incident.Rule{}
	cfg.Each = func(id uint64, d *report.Digest) {
		if !sel.matches(id, d) {
			return
		}
		if len(found) == timelinesMax && sel.frame == 0 {
			more++
			return
		}
		found = append(found, newChosen(id, d))
	}
	sum, err := pipeline.Run(ctx, cfg)
	if err != nil {
		return false, err
	}
	// The second pass sees what the first one saw: no more when that was interrupted
	// or the file grows meanwhile. An interruption now ends it early, one before must
	// not.
	frames := make([]uint64, len(sum.Inputs))
	for i := range sum.Inputs {
		frames[i] = sum.Inputs[i].Frames
	}
	if sum.Interrupted {
		ctx = context.WithoutCancel(ctx)
	}
	if sel.frame != 0 && len(found) > 1 {
		if found, err = o.ofFrame(ctx, in, frames, cfg, sel.at, found); err != nil {
			return false, err
		}
	}
	if len(found) == 0 {
		if sel.frame != 0 {
			return false, usage("--connection %s: the frame came after its connection had been written, and belongs to a group of late segments", o.connection)
		}
		return false, usage("--connection %q: %s has no such connection among its %d", o.connection, cfg.Name, sum.Connections)
	}
	if o.followTuple {
		if found, err = o.tupleLives(ctx, in, frames, cfg, &found[0]); err != nil {
			return false, err
		}
		o.tuple = found
		if _, err := io.WriteString(out, listLives(found, &cfg.Report)+"\n"); err != nil {
			return false, err
		}
		more = max(len(found)-timelinesMax, 0)
		found = found[:len(found)-more]
	}
	for i, c := range found {
		if i > 0 {
			fmt.Fprintln(out)
		}
		fails, err := o.draw(ctx, s, in, frames, cfg, &c, out)
		if err != nil {
			return false, err
		}
		failing = failing || fails
	}
	if more > 0 {
		s.warn("%d more connections of these endpoints are not drawn: give their numbers", more)
	}
	return failing, nil
}

// lives reads the first frames of each input again, for the connections chosen,
// which have one tuple.
func (o *analyzeOptions) lives(ctx context.Context, in *inputs, frames []uint64, cfg *pipeline.Config, of ...chosen) (lives []pipeline.Life, left int, err error) {
	again, err := in.again()
	if err != nil {
		return nil, 0, &exitError{exitOpen, err}
	}
	defer again.Close()
	second := *cfg
	second.Source = newPrefix(ctx, again, frames)
	lives, left, err = pipeline.Lives(&second, of[0].tuple, of[0].encap, ladderMax, func(uid string) bool {
		return slices.ContainsFunc(of, func(c chosen) bool { return c.uid == uid })
	})
	if err != nil {
		return nil, 0, &exitError{exitOpen, fmt.Errorf("reading %s a second time: %w", cfg.Name, err)}
	}
	return lives, left, nil
}

// draw draws one connection and reports whether its findings reach --fail-on.
func (o *analyzeOptions) draw(ctx context.Context, s *streams, in *inputs, frames []uint64, cfg *pipeline.Config, c *chosen, out io.Writer) (failing bool, err error) {
	lives, left, err := o.lives(ctx, in, frames, cfg, *c)
	if err != nil {
		return false, err
	}
	if len(lives) == 0 {
		if ctx.Err() != nil {
			return false, nil // interrupted before its first frame
		}
		return false, &exitError{exitOpen, fmt.Errorf("%s: connection %d was there in the first reading and not in the second: the file has changed", cfg.Name, c.id)}
	}
	l := &lives[0]
	ladder := l.Ladder
	if left > 0 {
		s.warn("connection %d has %d segments: runs of data are drawn as one line", c.id, left+len(ladder))
		ladder = nil // too long to draw in full: the events fold it
	}
	for _, f := range l.Findings {
		failing = failing || o.fails(f.Rule.ID, f.Severity)
	}
	if err := o.near(ctx, in, frames, cfg, c, &l.Connection); err != nil {
		return false, err
	}
	return failing, report.Timeline(out, &l.Connection, c.id, ladder, &cfg.Report)
}

// resolve reads the capture up to the frame that sel names, for its tuple.
func (o *analyzeOptions) resolve(ctx context.Context, in *inputs, sel *selector) error {
	src, err := in.again()
	if err != nil {
		return &exitError{exitOpen, err}
	}
	defer src.Close()
	defer context.AfterFunc(ctx, func() { src.Close() })()
	dec := wire.Decoder{MergeEncap: o.mergeEncap}
	var f wire.Frame
	var seg wire.Segment
	skip := wire.SkipNone
	for f.ID != sel.at {
		if err := src.Next(&f); err != nil {
			var damage *capture.DamageError
			if errors.As(err, &damage) {
				continue
			}
			if ctx.Err() != nil {
				return &exitError{code: exitInterrupted}
			}
			of := sel.at.Input()
			return usage("--connection %s: %s has only %d frames", o.connection, in.names()[of], capture.Infos(src)[of].Frames)
		}
		// Every frame is decoded: encapsulation paths are numbered as they appear.
		// Of several segments in a frame the first is meant.
		skip = dec.Decode(&f, &seg)
		var further wire.Segment
		for ok := true; ok; {
			_, ok = dec.More(&f, &further)
		}
	}
	if skip != wire.SkipNone {
		return usage("--connection %s: the frame holds no TCP segment (%s)", o.connection, skip)
	}
	sel.tuple, sel.encap = seg.Tuple, dec.Encap(seg.Tuple.Encap)
	return nil
}

// ofFrame keeps, of the lives of a tuple around a frame, the one that the frame
// belongs to.
func (o *analyzeOptions) ofFrame(ctx context.Context, in *inputs, frames []uint64, cfg *pipeline.Config, frame wire.FrameID, around []chosen) ([]chosen, error) {
	lives, _, err := o.lives(ctx, in, frames, cfg, around...)
	if err != nil {
		return nil, err
	}
	for i := range lives {
		l := &lives[i]
		if slices.ContainsFunc(l.Ladder, func(st report.Step) bool { return st.Frame == frame }) {
			return slices.DeleteFunc(around, func(c chosen) bool { return c.uid != l.UID }), nil
		}
	}
	// Beyond the ladder's bound. The frame lies deepest in the shortest life.
	shortest := slices.MinFunc(around, func(a, b chosen) int { return cmp.Compare(a.span, b.span) })
	return []chosen{shortest}, nil
}
