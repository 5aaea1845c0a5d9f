package capture

import (
	"fmt"
	"time"

	"github.com/tcplife/tcplife/capture/bpf"
	"github.com/tcplife/tcplife/wire"
)

// Filtered returns a source of those frames of src that a filter selects. They keep
// their numbers, so that they are found again in the input; Info counts those that were
// selected, and the octets of all. If src is Live, so is the result.
//
// A frame of a link type that the filter cannot be compiled for ends the source with an
// error.
func Filtered(src Source, f bpf.Compiler) Source {
	s := &filtered{Source: src, filter: f, programs: map[wire.LinkType]bpf.Program{}}
	if live, ok := src.(Live); ok {
		return &filteredLive{s, live}
	}
	return s
}

type filtered struct {
	Source
	filter   bpf.Compiler
	programs map[wire.LinkType]bpf.Program
	// link and program are those of the frame before, whose link type is most likely
	// that of the next.
	link    wire.LinkType
	program bpf.Program
	// frames counts those that were selected, by input.
	frames []uint64
}

func (s *filtered) Next(f *wire.Frame) error {
	for {
		if err := s.Source.Next(f); err != nil {
			return err
		}
		if ok, err := s.selects(f); ok || err != nil {
			return err
		}
	}
}

func (s *filtered) selects(f *wire.Frame) (bool, error) {
	if f.Link != s.link || s.program == nil {
		p, ok := s.programs[f.Link]
		if !ok {
			var err error
			if p, err = s.filter.Compile(bpf.Target{Link: f.Link}, maxFrame); err != nil {
				return false, fmt.Errorf("frame %d of %s: %w", f.ID.Number(), s.Source.Info().Name, err)
			}
			s.programs[f.Link] = p
		}
		s.link, s.program = f.Link, p
	}
	if s.program.Run(f.Data, f.Length) == 0 {
		return false, nil
	}
	for f.ID.Input() >= len(s.frames) {
		s.frames = append(s.frames, 0)
	}
	s.frames[f.ID.Input()]++
	return true, nil
}

// Infos keeps the inputs apart for those who ask.
func (s *filtered) Infos() []Info {
	all := Infos(s.Source)
	for i := range all {
		all[i].Frames = 0
		if i < len(s.frames) {
			all[i].Frames = s.frames[i]
		}
	}
	return all
}

func (s *filtered) Info() Info {
	info := s.Source.Info()
	info.Frames = 0
	for _, n := range s.frames {
		info.Frames += n
	}
	return info
}

type filteredLive struct {
	*filtered
	live Live
}

// NextWithin waits no longer in all, however many frames come that are not selected.
func (s *filteredLive) NextWithin(f *wire.Frame, d time.Duration) error {
	start := time.Now()
	for left := d; ; left = max(d-time.Since(start), 0) {
		if err := s.live.NextWithin(f, left); err != nil {
			return err
		}
		if ok, err := s.selects(f); ok || err != nil {
			return err
		}
		if d > 0 && time.Since(start) >= d {
			return ErrNoFrame
		}
	}
}

// Losses are those of the source.
func (s *filteredLive) Losses() Losses {
	if c, ok := s.live.(LossCounter); ok {
		return c.Losses()
	}
	return Losses{}
}

// Stop stops the source, or closes it if it does not know how to stop.
func (s *filteredLive) Stop() error {
	if x, ok := s.live.(Stopper); ok {
		return x.Stop()
	}
	return s.live.Close()
}
