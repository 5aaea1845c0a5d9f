package main

import (
	"context"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/tcplife/tcplife/capture"
	"github.com/tcplife/tcplife/finding"
	"github.com/tcplife/tcplife/record"
	"github.com/tcplife/tcplife/report"
	"github.com/tcplife/tcplife/wire"
)

// recordOptions are the flags of live that keep packets: those of connections with
// findings, and all of them.
type recordOptions struct {
	dir    string
	on     []string
	memory int
	most   int

	write string
	size  int64
	every time.Duration
	keep  int
}

// mebi is what --record-memory and --write-size count in.
const mebi = 1 << 20

// mostMemory is what a ring can have in MiB: places in it have 32 bits.
const mostMemory = min(4095, math.MaxInt/mebi)

func (o *recordOptions) addFlags(f *pflag.FlagSet) {
	f.StringVar(&o.dir, "record", "", "write the packets of each connection with a finding into this `folder`, with comments: a capture for each")
	f.StringSliceVar(&o.on, "record-on", []string{"warning"}, "record: which `finding` it takes: a severity, for that one and above, or an ID; several with a comma")
	f.IntVar(&o.memory, "record-memory", 64, "record: how many `MiB` of packets' headers are kept in memory, the last ones")
	f.IntVar(&o.most, "record-max", record.DefaultRecords, "record: how many captures are written at most")
	f.StringVar(&o.write, "write", "", "write all packets to this `file`: pcap if it is called so, otherwise pcapng; with --write-size or --write-every to FILE_00001 and so on")
	f.Int64Var(&o.size, "write-size", 0, "write: begin a new file after so many `MiB`")
	f.DurationVar(&o.every, "write-every", 0, "write: begin a new file at every multiple of this (10m, 1h)")
	f.IntVar(&o.keep, "write-keep", 0, "write: keep this `number` of files, the newest")
}

func (o *recordOptions) validate(l *liveOptions) error {
	for _, w := range o.on {
		if _, ok := severity(w); !ok && finding.Lookup(w) == nil {
			return usage("--record-on %q is neither a severity (info, warning, error) nor the ID of a finding on one connection%s ('tcplife explain' lists them)",
				w, didYouMean(w, append(ruleIDs(), severities()...)))
		}
	}
	switch {
	case o.memory < 1 || o.memory > mostMemory:
		return usage("--record-memory %d: give a number of MiB from 1 to %d", o.memory, mostMemory)
	case o.most < 1:
		return usage("--record-max %d: give a number from 1", o.most)
	case o.size < 0 || o.size > 1<<40:
		return usage("--write-size %d: give a number of MiB from 1", o.size)
	case o.every < 0:
		return usage("--write-every %s: give a time above 0, such as 1h", o.every)
	case o.keep < 0:
		return usage("--write-keep %d: give a number of files from 1", o.keep)
	case o.keep > 0 && o.size == 0 && o.every == 0:
		return usage("--write-keep keeps the newest of several files, and there is one: give --write-size or --write-every")
	case o.write == "" && (o.size > 0 || o.every > 0):
		return usage("--write-size and --write-every say when a new file begins: give --write FILE too")
	case o.write == "-":
		return usage("--write -: standard output is the report; give a file")
	case o.write != "" && (sameFile(o.write, l.file) || o.write == l.output):
		return usage("--write %s would overwrite what is read or written otherwise: give another name", o.write)
	}
	return nil
}

// attach opens the folders, which after this may be out of reach, and puts a tape into
// the way of the frames.
func (o *recordOptions) attach(_ context.Context, s *streams, run *liveRun) (finish func() error, err error) {
	if o.dir == "" && o.write == "" {
		return nil, nil
	}
	t := &tape{Live: run.Source}
	var ends []func() error
	if o.write != "" {
		end, err := o.rotate(s, t, run)
		if err != nil {
			return nil, err
		}
		ends = append(ends, end)
	}
	if o.dir != "" {
		end, err := o.fly(s, t, run)
		if err != nil {
			return nil, err
		}
		ends = append(ends, end)
	}
	run.Source = t
	return func() (err error) {
		for _, end := range ends {
			if e := end(); err == nil {
				err = e
			}
		}
		return err
	}, nil
}

// folder opens a folder that is written to.
func folder(flag, path string) (*os.Root, error) {
	root, err := os.OpenRoot(path)
	if err != nil {
		return nil, &exitError{exitOutput, fmt.Errorf("%s: %w (the folder must be there)", flag, err)}
	}
	return root, nil
}

// folders are those in which files are made while packets come: one file of --write is
// open before.
func (o *recordOptions) folders() (all []string) {
	if o.dir != "" {
		all = append(all, o.dir)
	}
	if o.size > 0 || o.every > 0 {
		all = append(all, filepath.Dir(o.write))
	}
	return all
}

// rotate begins to write all packets.
func (o *recordOptions) rotate(s *streams, t *tape, run *liveRun) (end func() error, err error) {
	root, err := folder("--write", filepath.Dir(o.write))
	if err != nil {
		return nil, err
	}
	to := &record.Rotation{Folder: root, Name: filepath.Base(o.write), Size: o.size * mebi, Every: o.every, Keep: o.keep, Infos: capture.Infos(run.Source)}
	if strings.EqualFold(filepath.Ext(o.write), ".pcap") {
		to.Format = "pcap"
	}
	if err := to.Begin(); err != nil {
		root.Close()
		return nil, &exitError{exitOutput, fmt.Errorf("--write: %w (check the folder and its permissions)", err)}
	}
	t.queue = &record.Queue{To: to, Waits: !run.Interfaces,
		Left: func() {
			s.tell("--write: %s is written slower than packets come: some are left out (a faster disk, a filter, or a smaller --snaplen)", o.write)
		},
		Failed: func(err error) { s.tell("--write: %v (nothing more is written there; the report goes on)", err) },
	}
	if run.Interfaces {
		t.queue.Losses = t.Losses
	}
	t.queue.Begin()
	return func() error {
		defer root.Close()
		left, after, err := t.queue.End()
		if left > 0 {
			s.tell("--write: %s not written: the disk was too slow", report.Count(left, "packet was", "packets were"))
		}
		switch {
		case err != nil && after > 0:
			return &exitError{exitOutput, fmt.Errorf("--write: %s came after that error, and %s not written", report.Count(after, "packet", "packets"), map[bool]string{true: "was", false: "were"}[after == 1])}
		case err != nil:
			return &exitError{code: exitOutput}
		}
		return nil
	}, nil
}

// fly begins to keep the last packets, for when something is found.
func (o *recordOptions) fly(s *streams, t *tape, run *liveRun) (end func() error, err error) {
	root, err := folder("--record", o.dir)
	if err != nil {
		return nil, err
	}
	t.ring = record.NewRing(o.memory * mebi)
	failures := uint64(0)
	r := &record.Recorder{
		Ring: t.ring, Folder: root, Wanted: record.WantedBy(o.on), Max: o.most,
		Profile: run.Config.Profile, Networks: run.Config.Networks, Infos: slices.Clone(capture.Infos(run.Source)),
		Failed: func(err error) {
			if failures++; failures == 1 { // a disk that is full stays so for a while
				s.tell("--record: %v (more of these are only counted)", err)
			}
		},
	}
	r.Begin()
	run.onEvent(func(e *report.Event) {
		if e.Kind == report.EventFinding && !e.Settled {
			r.Found(e.UID, e.Tuple, e.Start, e.Finding)
		}
	})
	run.onEach(func(_ uint64, d *report.Digest) { r.Settled(d) })
	return func() error {
		defer root.Close()
		_, missed, beyond := r.End()
		if missed > 0 {
			s.warn("--record: %d connections were not recorded: they came faster than they can be written, or their packets were gone (--record-memory keeps more)", missed)
		}
		if beyond > 0 {
			s.warn("--record: %d connections were not recorded: there are %d captures already (--record-max)", beyond, o.most)
		}
		if failures > 0 {
			return &exitError{exitOutput, fmt.Errorf("--record: %s written: see the first error above", report.Count(failures, "capture could not be", "captures could not be"))}
		}
		return nil
	}, nil
}

// addCompletion says what the shell offers for these flags; folders and files are its
// own.
func (o *recordOptions) addCompletion(c *cobra.Command) {
	for flag, complete := range map[string]cobra.CompletionFunc{
		"record-on":     listed(func() []cobra.Completion { return append(severities(), findingCompletions()...) }),
		"write-every":   cobra.FixedCompletions([]cobra.Completion{"10m", "1h", "24h"}, cobra.ShellCompDirectiveNoFileComp),
		"record-memory": cobra.NoFileCompletions,
		"record-max":    cobra.NoFileCompletions,
		"write-size":    cobra.NoFileCompletions,
		"write-keep":    cobra.NoFileCompletions,
	} {
		if err := c.RegisterFlagCompletionFunc(flag, complete); err != nil {
			panic(err) // no such flag: a mistake in the program
		}
	}
}

// tape is a source whose frames are kept and written on their way.
type tape struct {
	capture.Live
	ring  *record.Ring
	queue *record.Queue
}

func (t *tape) Next(f *wire.Frame) error {
	err := t.Live.Next(f)
	if err == nil {
		t.keep(f)
	}
	return err
}

// NextWithin is capture.Live's.
func (t *tape) NextWithin(f *wire.Frame, d time.Duration) error {
	err := t.Live.NextWithin(f, d)
	if err == nil {
		t.keep(f)
	}
	return err
}

func (t *tape) keep(f *wire.Frame) {
	if t.ring != nil {
		t.ring.Add(f)
	}
	if t.queue != nil {
		t.queue.Write(f)
	}
}

// Infos keeps the inputs apart for those who ask.
func (t *tape) Infos() []capture.Info { return capture.Infos(t.Live) }

// Losses are the source's own, if it counts them.
func (t *tape) Losses() capture.Losses {
	if c, ok := t.Live.(capture.LossCounter); ok {
		return c.Losses()
	}
	return capture.Losses{}
}

// Stop tells the source to take no more, if it can be told.
func (t *tape) Stop() error {
	if st, ok := t.Live.(capture.Stopper); ok {
		return st.Stop()
	}
	return t.Live.Close()
}
