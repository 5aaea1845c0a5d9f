package main

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"github.com/tcplife/tcplife/capture"
	"github.com/tcplife/tcplife/report"
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
	f.StringArrayVar(&o.at, "at", nil, "census: count at this `instant`: RFC 3339, HH:MM:SS, +12.5s from the start or -1s from the end; may be repeated")
	f.DurationVar(&o.every, "every", 0, "census: count over time, at every multiple of this (1s, 100ms)")
	f.IntVar(&o.top, "top", 10, "census: how many hosts, listeners, and clients of a listener are listed")
}

// validate checks what can be checked without opening anything.
func (o *censusOptions) validate(format, connection string, zone *time.Location) error {
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
		i, err := parseInstant("--at", s, zone)
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
	return twiceRead(o.instants, in)
}

// maxTop bounds --top: more are not kept apart either.
const maxTop = 1000

// format returns what counts, and the source to read from then: if an instant
// counts from the first frame, that has been read, and comes again from there.
func (o *censusOptions) format(ctx context.Context, name string, in *inputs, source capture.Source) (report.Format, capture.Source, error) {
	wish := report.CensusOptions{Every: o.every, Top: o.top}
	var err error
	if wish.At, source, err = resolved(ctx, o.instants, in, source); err != nil {
		return nil, nil, err
	}
	f, err := report.NewCensus(name, &wish)
	if err != nil {
		return nil, nil, usage("--census: %w", err)
	}
	return f, source, nil
}
