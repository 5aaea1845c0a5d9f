package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"github.com/tcplife/tcplife/capture"
	"github.com/tcplife/tcplife/report"
	"github.com/tcplife/tcplife/wire"
)

// censusOptions are the flags of analyze that count endpoints by state.
type censusOptions struct {
	census   bool
	at       []string
	every    time.Duration
	top      int
	instants []instant // at, read
}

func (o *censusOptions) addFlags(f *pflag.FlagSet) {
	f.BoolVar(&o.census, "census", false, "count endpoints by state, of each host and listener too, at the end and at the peak")
	f.StringArrayVar(&o.at, "at", nil, "census: count at this instant: RFC 3339, HH:MM:SS, +12.5s from the start or -1s from the end; may be repeated")
	f.DurationVar(&o.every, "every", 0, "census: count over time, at every multiple of this (1s, 100ms)")
	f.IntVar(&o.top, "top", 10, "census: how many hosts, listeners, and clients of a listener are listed")
}

// validate checks what can be checked without opening anything.
func (o *censusOptions) validate(format, connection string) error {
	if !o.census {
		for _, x := range []struct {
			flag  string
			given bool
		}{{"--at", len(o.at) > 0}, {"--every", o.every != 0}, {"--top", o.top != 10}} {
			if x.given {
				return usage("%s is for a census: give --census too", x.flag)
			}
		}
		return nil
	}
	if !slices.Contains(report.CensusFormats(), format) {
		return usage("--census: there is none in the format %s: give %s", format, strings.Join(report.CensusFormats(), ", "))
	}
	if connection != "" {
		return usage("--census counts endpoints and --connection draws one connection: give one of the two")
	}
	if o.every < 0 {
		return usage("--every %s: give a time above 0, such as 1s", o.every)
	}
	if o.top < 1 || o.top > maxTop {
		return usage("--top %d: give a number from 1 to %d", o.top, maxTop)
	}
	o.instants = o.instants[:0]
	for _, s := range o.at {
		i, err := parseInstant(s)
		if err != nil {
			return err
		}
		o.instants = append(o.instants, i)
	}
	return nil
}

// validateInputs checks the flags against the inputs, before any of them is opened.
func (o *censusOptions) validateInputs(in *inputs, inventory bool) error {
	if o.census && inventory {
		return usage("--census counts endpoints and --inventory frames: give one of the two")
	}
	for _, i := range o.instants {
		if i.from == fromEnd {
			if err := in.twice("--at " + i.text); err != nil {
				return err
			}
		}
	}
	return nil
}

// maxTop bounds --top: more are not kept apart either.
const maxTop = 1000

// from says what an instant counts from.
type from uint8

const (
	fromEpoch from = iota
	fromStart      // the first frame
	fromEnd        // the latest frame
	fromDay        // midnight (UTC) of the capture's day
)

// instant is a value of --at: so much after what it counts from.
type instant struct {
	text  string
	from  from
	after time.Duration
}

// parseInstant reads +12.5s, -1s, HH:MM:SS with or without a fraction, RFC 3339, or
// that with a space and without a zone, as the report prints it.
func parseInstant(s string) (instant, error) {
	i := instant{text: s}
	var err error
	if len(s) > 0 && (s[0] == '+' || s[0] == '-') {
		i.from = fromStart
		if s[0] == '-' {
			i.from = fromEnd
		}
		if i.after, err = time.ParseDuration(s); err != nil {
			return i, usage("--at %q: give a time with its unit, such as %c12.5s or %c1m30s", s, s[0], s[0])
		}
		return i, nil
	}
	if t, err := time.Parse("15:04:05", s); err == nil { // reads a fraction, too
		i.from = fromDay
		i.after = t.Sub(t.Truncate(24 * time.Hour))
		return i, nil
	}
	for _, layout := range []string{time.RFC3339, "2006-01-02 15:04:05", "2006-01-02T15:04:05"} {
		if t, err := time.Parse(layout, s); err == nil {
			if y := t.Year(); y < 1679 || y > 2261 {
				return i, usage("--at %q: a capture's time reaches from 1679 to 2261", s)
			}
			i.after = time.Duration(t.UnixNano())
			return i, nil
		}
	}
	return i, usage("--at %q: give an instant as 2006-01-02T15:04:05.5Z, a time of day (UTC) as 15:04:05.5, +12.5s from the start or -1s from the end", s)
}

// on returns the instant for a capture with these first and latest frames.
func (i *instant) on(first, last wire.Time) wire.Time {
	switch i.from {
	case fromStart:
		return first.Add(i.after)
	case fromEnd:
		return last.Add(i.after)
	case fromDay:
		const day = 24 * time.Hour
		t := first.Std().Truncate(day).Add(i.after)
		// A capture may go on past midnight. In the second in which it begins, what is
		// before the first frame is just that.
		if t.Before(first.Std().Truncate(time.Second)) {
			t = t.Add(day)
		}
		return wire.Time(t.UnixNano())
	}
	return wire.Time(i.after)
}

// format returns what counts, and the source to read from then: if an instant
// counts from the first frame, that has been read, and comes again from there.
func (o *censusOptions) format(ctx context.Context, name string, in *inputs, source capture.Source) (report.Format, capture.Source, error) {
	wish := report.CensusOptions{Every: o.every, Top: o.top}
	var first, last wire.Time
	if slices.ContainsFunc(o.instants, func(i instant) bool { return i.from == fromStart || i.from == fromDay }) {
		p := peek(source)
		source, first = p, p.first
	}
	if slices.ContainsFunc(o.instants, func(i instant) bool { return i.from == fromEnd }) {
		var err error
		if last, err = latest(ctx, in); err != nil {
			return nil, nil, err
		}
	}
	for _, i := range o.instants {
		wish.At = append(wish.At, i.on(first, last))
	}
	f, err := report.NewCensus(name, &wish)
	if err != nil {
		return nil, nil, usage("--census: %w", err)
	}
	return f, source, nil
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
