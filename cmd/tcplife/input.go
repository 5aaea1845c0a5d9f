package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/tcplife/tcplife/capture"
	"github.com/tcplife/tcplife/wire"
)

// openInput opens what the argument names. Opening waits: a pipe for its writer,
// and every pipe for the container's header. When ctx ends in the meantime the
// result is an input without frames, so that an interrupted run has its report as
// any other. So has an input that is damaged in its header.
//
// When ctx ends later the source is closed, which sets a waiting Next free. The
// function returned closes the source.
func openInput(ctx context.Context, s *streams, path string) (capture.Source, func(), error) {
	type result struct {
		src capture.Source
		err error
	}
	opened := make(chan result, 1)
	go func() {
		src, err := open(s, path)
		opened <- result{src, err}
	}()
	var r result
	select {
	case r = <-opened:
	case <-ctx.Done():
		return &noFrames{capture.Info{Name: path}}, func() {}, nil
	}
	var damage *capture.DamageError
	if errors.As(r.err, &damage) {
		return &noFrames{capture.Info{Name: path, Damage: []*capture.DamageError{damage}, Damaged: 1}}, func() {}, nil
	}
	if r.err != nil {
		return nil, nil, &exitError{exitOpen, r.err}
	}
	forget := context.AfterFunc(ctx, func() { r.src.Close() })
	return r.src, func() { forget(); r.src.Close() }, nil
}

func open(s *streams, path string) (capture.Source, error) {
	if path == "-" && s.in != os.Stdin {
		return capture.NewReader(s.in, "-")
	}
	return capture.Open(path)
}

// noFrames is an input that ended before its first frame.
type noFrames struct{ info capture.Info }

func (n *noFrames) Next(*wire.Frame) error { return io.EOF }
func (n *noFrames) Info() capture.Info     { return n.info }
func (n *noFrames) Close() error           { return nil }

// prefix is the beginning of a source: its first frames, or those read until ctx
// ends.
type prefix struct {
	capture.Source
	ctx  context.Context
	left uint64
}

func (p *prefix) Next(f *wire.Frame) error {
	if p.left == 0 || p.ctx.Err() != nil {
		return io.EOF
	}
	err := p.Source.Next(f)
	if err == nil {
		p.left--
	} else if p.ctx.Err() != nil {
		return io.EOF // closed because of that
	}
	return err
}

// tellDamage says on stderr what was wrong with an input, and returns whether
// anything was.
func tellDamage(s *streams, info *capture.Info) bool {
	for _, d := range info.Damage {
		fmt.Fprintf(s.err, "tcplife: %v\n", d)
	}
	if more := info.Damaged - uint64(len(info.Damage)); more > 0 && info.Damaged > 0 {
		fmt.Fprintf(s.err, "tcplife: %s: %d more damaged places\n", info.Name, more)
	}
	return len(info.Damage) > 0
}
