package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"time"

	"github.com/tcplife/tcplife/capture"
	"github.com/tcplife/tcplife/wire"
)

// from says what an instant counts from.
type from uint8

const (
	fromEpoch from = iota
	fromStart      // the first frame
	fromEnd        // the latest frame
	fromDay        // midnight of the capture's day
)

// instant is a value of --at, --since or --until: so much after what it counts from.
type instant struct {
	flag, text string
	from       from
	after      time.Duration
	zone       *time.Location
}

// parseInstant reads +12.5s, -1s, HH:MM:SS with or without a fraction, RFC 3339, or
// that with a space and without a zone, as the report prints it: then it is of the
// given zone.
func parseInstant(flag, s string, zone *time.Location) (instant, error) {
	i := instant{flag: flag, text: s, zone: zone}
	var err error
	if len(s) > 0 && (s[0] == '+' || s[0] == '-') {
		i.from = fromStart
		if s[0] == '-' {
			i.from = fromEnd
		}
		if i.after, err = time.ParseDuration(s); err != nil {
			return i, usage("%s %q: give a time with its unit, such as %c12.5s or %c1m30s", flag, s, s[0], s[0])
		}
		return i, nil
	}
	for _, layout := range []string{"15:04:05", "15:04"} { // reads a fraction, too
		if t, err := time.Parse(layout, s); err == nil {
			i.from = fromDay
			i.after = t.Sub(t.Truncate(24 * time.Hour))
			return i, nil
		}
	}
	for _, layout := range []string{time.RFC3339, "2006-01-02 15:04:05", "2006-01-02T15:04:05"} {
		if t, err := time.ParseInLocation(layout, s, zone); err == nil {
			if y := t.Year(); y < 1679 || y > 2261 {
				return i, usage("%s %q: a capture's time reaches from 1679 to 2261", flag, s)
			}
			i.after = time.Duration(t.UnixNano())
			return i, nil
		}
	}
	return i, usage("%s %q: give an instant as 2006-01-02T15:04:05.5Z, a time of day (%s) as 15:04:05.5, +12.5s from the start or -1s from the end", flag, s, zone)
}

// on returns the instant for a capture with these first and latest frames.
func (i *instant) on(first, last wire.Time) wire.Time {
	switch i.from {
	case fromStart:
		return first.Add(i.after)
	case fromEnd:
		return last.Add(i.after)
	case fromDay:
		start := first.Std().In(i.zone)
		at := func(day int) time.Time {
			midnight := time.Date(start.Year(), start.Month(), start.Day()+day, 0, 0, 0, 0, i.zone)
			// Where the clocks are turned a day has not 24 hours: what is meant is what they
			// show.
			h, rest := i.after/time.Hour, i.after%time.Hour
			return time.Date(midnight.Year(), midnight.Month(), midnight.Day(), int(h), 0, 0, int(rest), i.zone)
		}
		t := at(0)
		// A capture may go on past midnight. In the second in which it begins, what is
		// before the first frame is just that.
		if t.Before(start.Truncate(time.Second)) {
			t = at(1)
		}
		return wire.Time(t.UnixNano())
	}
	return wire.Time(i.after)
}

// twiceRead refuses inputs that cannot be read twice, where an instant counts from the
// end.
func twiceRead(all []instant, in *inputs) error {
	for _, i := range all {
		if i.from == fromEnd {
			if err := in.twice(i.flag + " " + i.text); err != nil {
				return err
			}
		}
	}
	return nil
}

// resolved returns instants for a capture, and the source to read from then: if one of
// them counts from the first frame, that has been read, and comes again from there.
func resolved(ctx context.Context, all []instant, in *inputs, source capture.Source) ([]wire.Time, capture.Source, error) {
	var first, last wire.Time
	if slices.ContainsFunc(all, func(i instant) bool { return i.from == fromStart || i.from == fromDay }) {
		p := peek(source)
		source, first = p, p.first
	}
	if slices.ContainsFunc(all, func(i instant) bool { return i.from == fromEnd }) {
		var err error
		if last, err = latest(ctx, in); err != nil {
			return nil, nil, err
		}
	}
	var times []wire.Time
	for _, i := range all {
		times = append(times, i.on(first, last))
	}
	return times, source, nil
}

// peeked is a source whose beginning has been read: everything up to the first
// frame comes again.
type peeked struct {
	capture.Source
	errs   []error
	frame  wire.Frame
	framed bool
	first  wire.Time
}

func peek(source capture.Source) *peeked {
	p := &peeked{Source: source}
	for {
		err := source.Next(&p.frame)
		if err == nil {
			p.framed, p.first = true, p.frame.At
			return p
		}
		p.errs = append(p.errs, err)
		var damage *capture.DamageError
		if !errors.As(err, &damage) {
			return p // there is no frame
		}
	}
}

func (p *peeked) Next(f *wire.Frame) error {
	if len(p.errs) > 0 {
		err := p.errs[0]
		p.errs = p.errs[1:]
		return err
	}
	if p.framed {
		p.framed = false
		*f = p.frame
		return nil
	}
	return p.Source.Next(f)
}

// Infos keeps the inputs apart for those who ask.
func (p *peeked) Infos() []capture.Info { return capture.Infos(p.Source) }

// latest reads the inputs to find the time of their latest frame.
func latest(ctx context.Context, in *inputs) (wire.Time, error) {
	source, err := in.again()
	if err != nil {
		var damage *capture.DamageError
		if errors.As(err, &damage) {
			return 0, nil // there is no frame
		}
		return 0, &exitError{exitOpen, err}
	}
	defer source.Close()
	defer context.AfterFunc(ctx, func() { source.Close() })()
	last := wire.Time(math.MinInt64)
	var f wire.Frame
	for {
		err := source.Next(&f)
		var damage *capture.DamageError
		switch {
		case err == nil:
			last = max(last, f.At)
		case errors.As(err, &damage):
		case err == io.EOF || ctx.Err() != nil:
			if last == math.MinInt64 {
				last = 0
			}
			return last, nil
		default:
			return 0, fmt.Errorf("reading %s for its end: %w", in.title(), err)
		}
	}
}
