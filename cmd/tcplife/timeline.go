package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/tcplife/tcplife/capture"
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
	ends  [2]netip.AddrPort
	// tuple and encap are the frame's, read from the capture.
	tuple wire.Tuple
	encap []string
}

// parseSelector reads N, frame:N, or two endpoints as IP:PORT with a space, a
// comma, "-", ">" or "->" between them.
func parseSelector(s string) (*selector, error) {
	sel := &selector{}
	var err error
	bad := usage("--connection %q: give a connection's number, frame:N, or two endpoints such as '10.0.0.1:40000 10.0.0.2:443' or '[2001:db8::1]:40000 [2001:db8::2]:443'", s)
	if n, ok := strings.CutPrefix(s, "frame:"); ok {
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
func (o *analyzeOptions) selector(path string) (*selector, error) {
	sel, err := parseSelector(o.connection)
	if err != nil {
		return nil, err
	}
	const twice = "--connection reads the capture twice, which %s does not allow: save it to a file first"
	if path == "-" {
		return nil, usage(twice, "standard input")
	}
	if st, err := os.Stat(path); err == nil && !st.Mode().IsRegular() && !st.IsDir() {
		return nil, usage(twice, path)
	}
	if o.format != "text" {
		return nil, usage("--connection draws a timeline, which is text; the format %s has every connection, so select there (by its id: jq 'select(.id == 1)')", o.format)
	}
	return sel, nil
}

func (s *selector) matches(id uint64, d *report.Digest) bool {
	switch {
	case s.id != 0:
		return id == s.id
	case s.frame != 0:
		mine, _ := s.tuple.Key()
		its, _ := d.Tuple.Key()
		mine.Encap, its.Encap = 0, 0 // each Decoder numbers the paths anew
		return d.First.Number() <= s.frame && s.frame <= d.Last.Number() && mine == its && slices.Equal(s.encap, d.Encap)
	}
	a, b := d.Tuple.Source(), d.Tuple.Destination()
	return a == s.ends[0] && b == s.ends[1] || a == s.ends[1] && b == s.ends[0]
}

// chosen is a connection that the first pass found.
type chosen struct {
	id    uint64
	uid   string
	tuple wire.Tuple
	encap []string
	span  uint64 // frames between first and last
}

// timelines draws the connections that --connection names, and reports whether
// their findings reach --fail-on. The file is read twice: once to number the
// connections, once for every segment of those chosen.
func (o *analyzeOptions) timelines(ctx context.Context, s *streams, path string, sel *selector, cfg *pipeline.Config, out io.Writer) (failing bool, err error) {
	if sel.frame != 0 {
		if err := o.resolve(ctx, path, sel); err != nil {
			return false, err
		}
	}
	var found []chosen
	more := 0
	cfg.Format = pipeline.Discard{}
	cfg.Each = func(id uint64, d *report.Digest) {
		if !sel.matches(id, d) {
			return
		}
		if len(found) == timelinesMax {
			more++
			return
		}
		found = append(found, chosen{id, d.UID, d.Tuple, d.Encap, uint64(d.Last - d.First)})
	}
	sum, err := pipeline.Run(ctx, cfg)
	if err != nil {
		return false, err
	}
	// The second pass sees what the first one saw: no more when that was interrupted
	// or the file grows meanwhile. An interruption now ends it early, one before must
	// not.
	frames := sum.Frames()
	if sum.Interrupted {
		ctx = context.WithoutCancel(ctx)
	}
	if sel.frame != 0 && len(found) > 1 {
		if found, err = o.ofFrame(ctx, path, frames, cfg, sel.frame, found); err != nil {
			return false, err
		}
	}
	if len(found) == 0 {
		if sel.frame != 0 {
			return false, usage("--connection frame:%d: the frame came after its connection had been written, and belongs to a group of late segments", sel.frame)
		}
		return false, usage("--connection %q: %s has no such connection among its %d", o.connection, path, sum.Connections)
	}
	for i, c := range found {
		if i > 0 {
			fmt.Fprintln(out)
		}
		fails, err := o.draw(ctx, s, path, frames, cfg, &c, out)
		if err != nil {
			return false, err
		}
		failing = failing || fails
	}
	if more > 0 {
		fmt.Fprintf(s.err, "tcplife: %d more connections of these endpoints are not drawn: give their numbers\n", more)
	}
	return failing, nil
}

// lives reads the first frames of the capture again, for the connections chosen,
// which have one tuple.
func (o *analyzeOptions) lives(ctx context.Context, path string, frames uint64, cfg *pipeline.Config, of ...chosen) (lives []pipeline.Life, left int, err error) {
	again, err := capture.Open(path)
	if err != nil {
		return nil, 0, &exitError{exitOpen, err}
	}
	defer again.Close()
	second := *cfg
	second.Source = &prefix{again, ctx, frames}
	lives, left, err = pipeline.Lives(&second, of[0].tuple, of[0].encap, ladderMax, func(uid string) bool {
		return slices.ContainsFunc(of, func(c chosen) bool { return c.uid == uid })
	})
	if err != nil {
		return nil, 0, &exitError{exitOpen, fmt.Errorf("reading %s a second time: %w", path, err)}
	}
	return lives, left, nil
}

// draw draws one connection and reports whether its findings reach --fail-on.
func (o *analyzeOptions) draw(ctx context.Context, s *streams, path string, frames uint64, cfg *pipeline.Config, c *chosen, out io.Writer) (failing bool, err error) {
	lives, left, err := o.lives(ctx, path, frames, cfg, *c)
	if err != nil {
		return false, err
	}
	if len(lives) == 0 {
		if ctx.Err() != nil {
			return false, nil // interrupted before its first frame
		}
		return false, &exitError{exitOpen, fmt.Errorf("%s: connection %d was there in the first reading and not in the second: the file has changed", path, c.id)}
	}
	l := &lives[0]
	ladder := l.Ladder
	if left > 0 {
		fmt.Fprintf(s.err, "tcplife: connection %d has %d segments: runs of data are drawn as one line\n", c.id, left+len(ladder))
		ladder = nil // too long to draw in full: the events fold it
	}
	for _, f := range l.Findings {
		failing = failing || o.fails(f.Rule, f.Severity)
	}
	return failing, report.Timeline(out, &l.Connection, c.id, ladder, &cfg.Report)
}

// resolve reads the capture up to the frame that sel names, for its tuple.
func (o *analyzeOptions) resolve(ctx context.Context, path string, sel *selector) error {
	src, err := capture.Open(path)
	if err != nil {
		return &exitError{exitOpen, err}
	}
	defer src.Close()
	dec := wire.Decoder{MergeEncap: o.mergeEncap}
	p := &prefix{src, ctx, sel.frame}
	var f wire.Frame
	var seg wire.Segment
	skip := wire.SkipNone
	for p.left > 0 {
		if err := p.Next(&f); err != nil {
			var damage *capture.DamageError
			if errors.As(err, &damage) {
				continue
			}
			if ctx.Err() != nil {
				return &exitError{code: exitInterrupted}
			}
			return usage("--connection frame:%d: %s has only %d frames", sel.frame, path, sel.frame-p.left)
		}
		// Every frame is decoded: encapsulation paths are numbered as they appear.
		skip = dec.Decode(&f, &seg)
	}
	if skip != wire.SkipNone {
		return usage("--connection frame:%d: the frame holds no TCP segment (%s)", sel.frame, skip)
	}
	sel.tuple, sel.encap = seg.Tuple, dec.Encap(seg.Tuple.Encap)
	return nil
}

// ofFrame keeps, of the lives of a tuple around a frame, the one that the frame
// belongs to.
func (o *analyzeOptions) ofFrame(ctx context.Context, path string, frames uint64, cfg *pipeline.Config, frame uint64, around []chosen) ([]chosen, error) {
	lives, _, err := o.lives(ctx, path, frames, cfg, around...)
	if err != nil {
		return nil, err
	}
	for i := range lives {
		l := &lives[i]
		if slices.ContainsFunc(l.Ladder, func(st report.Step) bool { return st.Frame.Number() == frame }) {
			return slices.DeleteFunc(around, func(c chosen) bool { return c.uid != l.UID }), nil
		}
	}
	// Beyond the ladder's bound. The frame lies deepest in the shortest life.
	shortest := slices.MinFunc(around, func(a, b chosen) int { return cmp.Compare(a.span, b.span) })
	return []chosen{shortest}, nil
}
