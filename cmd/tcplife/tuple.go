package main

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/tcplife/tcplife/pipeline"
	"github.com/tcplife/tcplife/report"
	"github.com/tcplife/tcplife/wire"
)

// tupleLives reads the capture for all connections of a tuple and its encapsulation,
// in the order of their opening. frames is how much of each input the first reading
// saw.
func (o *analyzeOptions) tupleLives(ctx context.Context, in *inputs, frames []uint64, cfg *pipeline.Config, of *chosen) (lives []chosen, err error) {
	again, err := in.again()
	if err != nil {
		return nil, &exitError{exitOpen, err}
	}
	defer again.Close()
	mine, _ := of.tuple.Key()
	mine.Encap = 0 // each Decoder numbers the paths anew
	look := *cfg
	look.Source, look.Format = newPrefix(ctx, again, frames), pipeline.Discard{}
	look.Each = func(id uint64, d *report.Digest) {
		its, _ := d.Tuple.Key()
		its.Encap = 0
		if its == mine && slices.Equal(d.Encap, of.encap) {
			lives = append(lives, newChosen(id, d))
		}
	}
	if _, err := pipeline.Run(ctx, &look); err != nil {
		return nil, err
	}
	slices.SortFunc(lives, func(a, b chosen) int { return int(a.id) - int(b.id) })
	return lives, nil
}

// near finds the numbers of the lives before and after, if there are any: only then
// are the inputs read for them.
func (o *analyzeOptions) near(ctx context.Context, in *inputs, frames []uint64, cfg *pipeline.Config, c *chosen, l *report.Connection) error {
	if l.PreviousUID == "" && l.NextUID == "" {
		return nil
	}
	if o.tuple == nil {
		lives, err := o.tupleLives(ctx, in, frames, cfg, c)
		if err != nil {
			return err
		}
		o.tuple = lives
	}
	for _, x := range o.tuple {
		for i, uid := range [2]string{l.PreviousUID, l.NextUID} {
			if x.uid == uid {
				l.Near[i] = report.Neighbour{ID: x.id, Reason: x.reason}
			}
		}
	}
	return nil
}

// listLives says in a table which lives there are, before they are drawn.
func listLives(lives []chosen, opts *report.Options) string {
	rows := make([]report.Life, len(lives))
	for i, c := range lives {
		rows[i] = report.Life{ID: c.id, Start: c.start, Lasted: c.span, Reason: c.reason, Client: c.tuple.Source().String(), Closer: c.closer, Findings: c.findings}
		if i > 0 {
			gap := c.start.Sub(lives[i-1].start.Add(lives[i-1].span))
			rows[i].Since = &gap
		}
	}
	return report.ListLives(fmt.Sprintf("%s and %s", lives[0].tuple.Source(), lives[0].tuple.Destination()), rows, opts)
}

// newChosen takes from a digest what a drawing needs.
func newChosen(id uint64, d *report.Digest) chosen {
	c := chosen{id: id, uid: d.UID, tuple: d.Tuple, encap: d.Encap, start: d.Start, span: d.End.Sub(d.Start), reason: d.Reason.String(), closer: "-"}
	if d.HasCloser {
		c.closer = d.Closer.String()
	}
	for i := range d.Findings {
		if id := d.Findings[i].Rule.ID; !slices.Contains(c.findings, id) {
			c.findings = append(c.findings, id)
		}
	}
	return c
}

// chosen is a connection that the first pass found.
type chosen struct {
	id             uint64
	uid            string
	tuple          wire.Tuple
	encap          []string
	start          wire.Time
	span           time.Duration
	reason, closer string
	findings       []string
}
