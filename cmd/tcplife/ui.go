package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/spf13/pflag"

	"github.com/tcplife/tcplife/capture"
	"github.com/tcplife/tcplife/pipeline"
	"github.com/tcplife/tcplife/report"
	"github.com/tcplife/tcplife/selection"
	"github.com/tcplife/tcplife/ui"
)

// uiOptions are the flags that show connections on screens instead of printing a report.
type uiOptions struct{ ui bool }

func (o *uiOptions) addFlags(f *pflag.FlagSet) {
	f.BoolVar(&o.ui, "ui", false, "look around on the terminal instead of printing a report: what happened, connections, listeners, census, timelines (? lists the keys)")
}

// validateUI refuses what says how a report is printed: nothing is.
func (o *analyzeOptions) validateUI() error {
	if !o.ui.ui {
		return nil
	}
	for _, x := range []struct {
		flag  string
		given bool
	}{{"--format " + o.format, o.format != "text"}, {"--output", o.output != ""}, {"--all", o.all}, {"--dwell", o.dwell}, {"--rtt", o.rtt},
		{"--connection", o.connection != ""}, {"--each", o.each}, {"--inventory", o.inventory}, {"--census", o.census.census},
		{"--fail-on", o.failOn != ""}, {"--width", o.screen.width != 0}} {
		if x.given {
			return usage("--ui shows screens and prints no report, which %s is about: give one of the two", x.flag)
		}
	}
	if flag := o.layout.given(); flag != "" {
		return usage("--ui lays out connections itself (s sorts, / filters): leave %s out", flag)
	}
	return nil
}

// terminal returns the files of the terminal that screens are drawn on, or why there is
// none.
func (s *streams) screens() (in, out *os.File, err error) {
	in, _ = s.in.(*os.File)
	out, _ = s.out.(*os.File)
	if !isTerminal(s.out) {
		return nil, nil, usage("--ui draws on a terminal, and standard output is none: leave --ui out for a report (over ssh, ssh -t makes a terminal)")
	}
	if in == nil || !isTerminal(in) {
		// Standard input is a capture, or a list of files: the keys come from where the
		// screens are.
		if in, err = ui.OpenKeys(); err != nil {
			return nil, nil, usage("--ui takes its keys from standard input, which is no terminal, and there is no other: %w (over ssh, ssh -t makes a terminal)", err)
		}
	}
	if err := ui.CheckTerminal(os.Getenv("TERM")); err != nil {
		return nil, nil, usage("--ui: %w; leave --ui out for a report", err)
	}
	return in, out, nil
}

// explained is what explain prints, for a screen.
func explained(id string, _ int) string {
	var b strings.Builder
	if explain(&b, id) != nil {
		return ""
	}
	return b.String()
}

// showScreens runs the screens over the inputs until the user has seen enough.
func (r *reporting) showScreens(ctx context.Context, in *inputs) error {
	terminalIn, terminalOut, err := r.s.screens()
	if err != nil {
		return err
	}
	if err := in.twice("--ui"); err != nil {
		return err
	}
	src := &fileScreens{r: r, in: in}
	o := ui.Options{Explain: explained}
	r.screen.apply(r.s.out, false, &o.Report)
	// What is to be said on standard error waits until the screens are gone.
	var said bytes.Buffer
	stderr := r.s.err
	r.s.err = &lockedWriter{w: &said}
	defer func() {
		r.s.err = stderr
		io.Copy(stderr, &said)
	}()
	src.options = &o.Report
	err = ui.Run(ctx, src, o, terminalIn, terminalOut)
	src.mu.Lock()
	defer src.mu.Unlock()
	r.frames = sum(src.frames)
	r.unread = r.unread || len(in.unread) > 0
	r.damaged = src.damaged
	return err
}

func sum(all []uint64) (n uint64) {
	for _, x := range all {
		n += x
	}
	return n
}

// lockedWriter takes what several goroutines say.
type lockedWriter struct {
	mu sync.Mutex
	w  io.Writer
}

func (l *lockedWriter) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.w.Write(p)
}

// fileScreens is the source of screens over files: each filter, and each connection, is
// another reading.
type fileScreens struct {
	r       *reporting
	in      *inputs
	options *report.Options

	mu sync.Mutex
	// frames is how much of each input the first reading saw; nil before it is over. The
	// later ones see the same, also of a file that grows.
	frames  []uint64
	damaged bool
}

// Every is 0: a file stays as it is.
func (f *fileScreens) Every() time.Duration { return 0 }

// Check says what is wrong with a filter.
func (f *fileScreens) Check(filter string) error {
	if filter == "" {
		return nil
	}
	_, err := selection.New(&selection.Wish{Filters: []string{filter}})
	return placed(err)
}

// placedError is a fault of an expression for the line in which it is typed.
type placedError struct{ *selection.ExpressionError }

func (e placedError) Place() (column int, what string) {
	if e.Line > 1 {
		return 0, e.What
	}
	return e.Column, e.What
}

func placed(err error) error {
	var x *selection.ExpressionError
	if errors.As(err, &x) {
		return placedError{x}
	}
	return err
}

// open returns the inputs, and what is to be called at the end of the reading.
func (f *fileScreens) open(ctx context.Context, p *ui.Progress, what string) (capture.Source, func(), error) {
	f.mu.Lock()
	frames := f.frames
	f.mu.Unlock()
	if frames == nil {
		p.Say(func() string { return "opening " + spoken(f.in.title()) })
		src, closeSource, err := f.in.open(ctx)
		if err != nil {
			return nil, nil, err
		}
		return f.watch(src, p, what), closeSource, nil
	}
	again, err := f.in.again()
	if err != nil {
		return nil, nil, fmt.Errorf("reading %s once more: %w", f.in.title(), err)
	}
	return f.watch(newPrefix(ctx, again, frames), p, what), func() { again.Close() }, nil
}

// watch has the progress tell how far the reading of a source is.
func (f *fileScreens) watch(src capture.Source, p *ui.Progress, what string) capture.Source {
	w := &watched{src, &progress{total: totalSize(f.in, src), began: time.Now()}}
	name := report.ShortName(spoken(f.in.title()))
	p.Say(func() string { return what + name + w.p.words(time.Since(w.p.began)) })
	return w
}

func (f *fileScreens) config(src capture.Source) *pipeline.Config {
	r := f.r
	name := r.name
	if name == "" {
		name = f.in.title()
	}
	opts := *f.options
	opts.Inputs, opts.Name = f.in.names(), r.name
	return &pipeline.Config{Source: src, Name: name, Unread: f.in.unread, Jobs: r.jobs, MergeEncap: r.mergeEncap, Profile: r.profile, Networks: r.networks,
		Report: opts, Grades: r.grades, Output: io.Discard}
}

// Load reads the inputs.
func (f *fileScreens) Load(ctx context.Context, filter string, p *ui.Progress) (*ui.Snapshot, error) {
	src, closeSource, err := f.open(ctx, p, "reading ")
	if err != nil {
		return nil, err
	}
	defer closeSource()
	cfg := f.config(src)
	// The flags' wish and the filter's.
	own := f.r.selection
	if filter != "" {
		own.wish.Filters = append(slices.Clone(own.wish.Filters), filter)
	}
	if cfg.Source, err = own.apply(ctx, cfg, f.in, cfg.Source); err != nil {
		return nil, err
	}
	k := ui.NewCollector(0)
	cfg.Format = k
	sum, err := pipeline.Run(ctx, cfg)
	if err == nil {
		err = ctx.Err()
	}
	if err != nil {
		return nil, err
	}
	f.mu.Lock()
	if f.frames == nil {
		f.frames = make([]uint64, len(sum.Inputs))
		for i := range sum.Inputs {
			f.frames[i] = sum.Inputs[i].Frames
		}
		f.damaged = tellDamage(f.r.s, src)
	}
	f.mu.Unlock()
	snap := k.Snapshot(cfg.Name)
	if own.made != nil {
		if e := own.made.Fault(); e != nil {
			snap.Note = "the filter failed on some"
			f.r.s.say(e)
		}
	}
	return snap, nil
}

// Life reads the inputs once more for one connection.
func (f *fileScreens) Life(ctx context.Context, row *ui.Row, p *ui.Progress) (*ui.Life, error) {
	src, closeSource, err := f.open(ctx, p, fmt.Sprintf("looking for connection %d in ", row.ID))
	if err != nil {
		return nil, err
	}
	defer closeSource()
	cfg := f.config(src)
	lives, left, err := pipeline.Lives(cfg, row.Tuple, row.Encap, ladderMax, func(uid string) bool { return uid == row.UID })
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	if err != nil {
		return nil, fmt.Errorf("reading %s once more: %w", cfg.Name, err)
	}
	if len(lives) == 0 {
		return nil, fmt.Errorf("connection %d was there in the first reading and not in this one: %s has changed", row.ID, cfg.Name)
	}
	l := &ui.Life{Connection: lives[0].Connection, ID: row.ID, Ladder: lives[0].Ladder}
	if left > 0 {
		l.Note = fmt.Sprintf("The connection has %d segments: runs of data are drawn as one line.", left+len(l.Ladder))
		l.Ladder = nil
	}
	// Lives of the tuple before and after: a reading of their own, only if there are any.
	f.mu.Lock()
	frames := f.frames
	f.mu.Unlock()
	alone := *f.r.analyzeOptions
	alone.tuple = nil
	of := chosen{id: row.ID, uid: row.UID, tuple: row.Tuple, encap: row.Encap}
	if err := alone.near(ctx, f.in, frames, cfg, &of, &l.Connection); err != nil {
		return nil, err
	}
	return l, ctx.Err()
}
