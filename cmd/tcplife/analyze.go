package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/tcplife/tcplife/finding"
	"github.com/tcplife/tcplife/pipeline"
	"github.com/tcplife/tcplife/reassembly"
	"github.com/tcplife/tcplife/report"
)

// analyzeOptions are the flags of analyze.
type analyzeOptions struct {
	format, output, name string
	jobs                 int
	all, mergeEncap      bool
	connection           string
	failOn               string
	color                string
}

func (o *analyzeOptions) addFlags(f *pflag.FlagSet) {
	f.StringVarP(&o.format, "format", "f", "text", "what to print: "+strings.Join(report.Formats(), ", "))
	f.StringVarP(&o.output, "output", "o", "", "write the report to this file instead of standard output")
	f.BoolVarP(&o.all, "all", "a", false, "text: list every connection, not only those worth a look")
	f.StringVarP(&o.connection, "connection", "c", "", "show one connection's timeline: its number, frame:N, or 'IP:PORT IP:PORT'")
	f.StringVar(&o.failOn, "fail-on", "", "exit with 1 if there is a finding of this severity or above (info, warning, error), or with this ID")
	f.StringVar(&o.name, "name", "", "the capture's name in the report (default: the argument)")
	f.BoolVar(&o.mergeEncap, "merge-encap", false, "equal tuples in different VLANs are one connection")
	f.StringVar(&o.color, "color", "auto", "colours in the text report: auto, always, never")
	f.IntVarP(&o.jobs, "jobs", "j", 0, "goroutines that track connections, 0 for one per core; the output is the same for any number")
	f.SortFlags = false
}

// validate checks what can be checked without opening anything.
func (o *analyzeOptions) validate(path string) error {
	if _, err := report.New(o.format); err != nil {
		return usage("--format: %w", err)
	}
	if o.jobs < 0 {
		return usage("--jobs %d: give 0 or more", o.jobs)
	}
	if !slices.Contains(colorModes, o.color) {
		return usage("--color %q: give auto, always or never", o.color)
	}
	if _, isSeverity := severity(o.failOn); o.failOn != "" && !isSeverity && finding.Lookup(o.failOn) == nil {
		return usage("--fail-on %q is neither a severity (info, warning, error) nor a finding's ID%s ('tcplife explain' lists them)",
			o.failOn, didYouMean(o.failOn, append(ruleIDs(), severities()...)))
	}
	if o.output != "" && sameFile(o.output, path) {
		return usage("--output %s is the capture itself, which would be overwritten: give another name", o.output)
	}
	return nil
}

var colorModes = []string{"auto", "always", "never"}

func severities() (names []string) {
	for s := finding.Info; s <= finding.Error; s++ {
		names = append(names, s.String())
	}
	return names
}

func severity(name string) (finding.Severity, bool) {
	i := slices.Index(severities(), name)
	return finding.Severity(max(i, 0)), i >= 0
}

func newAnalyze(s *streams) *cobra.Command {
	var o analyzeOptions
	c := &cobra.Command{
		Use:   "analyze FILE",
		Short: "Report on the TCP connections of a capture file",
		Long: `Reads a pcap or pcapng file, or standard input for -, and reports what became of
every TCP connection in it. Standard output holds the report alone; warnings and
errors go to standard error.`,
		Example: `  tcplife analyze capture.pcap
  tcplife analyze --all capture.pcap
  tcplife analyze --connection 1 capture.pcap
  tcplife analyze --connection '10.0.0.1:40000 10.0.0.2:443' capture.pcap
  tcplife analyze --format ndjson --output report.ndjson capture.pcap
  tcplife analyze --fail-on error capture.pcap
  tcpdump -U -w - tcp | tcplife analyze -`,
		Annotations: map[string]string{exitNote: analyzeExit},
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return usage("analyze takes one capture file, or - for standard input; %d were given", len(args))
			}
			return nil
		},
		ValidArgsFunction: completeCapture,
		RunE: func(c *cobra.Command, args []string) error {
			if err := o.validate(args[0]); err != nil {
				return err
			}
			return o.run(c.Context(), s, args[0])
		},
	}
	o.addFlags(c.Flags())
	o.addCompletion(c)
	return c
}

func (o *analyzeOptions) run(ctx context.Context, s *streams, path string) error {
	var sel *selector
	if o.connection != "" {
		var err error
		if sel, err = o.selector(path); err != nil {
			return err
		}
	}
	source, closeSource, err := openInput(ctx, s, path)
	if err != nil {
		return err
	}
	defer closeSource()
	// A reader that has gone must end a run that waits for a silent pipe.
	out, err := openOutput(s, o.output, func() { source.Close() })
	if err != nil {
		return err
	}
	name := o.name
	if name == "" {
		name = path
	}
	format, err := report.New(o.format)
	if err != nil {
		return usage("--format: %w", err)
	}
	cfg := &pipeline.Config{
		Source: source, Name: name, Jobs: o.jobs, MergeEncap: o.mergeEncap, Profile: reassembly.Linux, Format: format, Output: out,
		Report: report.Options{Inputs: []string{name}, All: o.all},
	}
	o.screen(s, &cfg.Report)

	var failing bool
	if sel != nil {
		failing, err = o.timelines(ctx, s, path, sel, cfg, out)
	} else {
		var sum *report.Summary
		if sum, err = pipeline.Run(ctx, cfg); err == nil {
			failing = o.failing(sum)
		}
	}
	if e := out.Close(); err == nil {
		err = e
	}
	info := source.Info()
	damaged := tellDamage(s, &info)
	return o.verdict(ctx, s, info.Frames, err, damaged, failing)
}

// verdict turns the end of a run into the exit code: the first that applies.
func (o *analyzeOptions) verdict(ctx context.Context, s *streams, frames uint64, err error, damaged, failing bool) error {
	var e *exitError
	if err != nil && !errors.As(err, &e) {
		if err = outputError(err, o.output == ""); err == nil {
			return nil // nobody reads on; what could be said was said to them
		}
	}
	switch {
	case ctx.Err() != nil:
		if err != nil && (e == nil || e.err != nil) {
			fmt.Fprintf(s.err, "tcplife: %v\n", err)
		}
		return &exitError{exitInterrupted, fmt.Errorf("interrupted after %d frames: the report covers those", frames)}
	case err != nil:
		return err
	case damaged:
		return &exitError{code: exitDamaged}
	case failing:
		return &exitError{code: exitFindings}
	}
	return nil
}

// failing reports whether the findings of the whole capture reach --fail-on.
func (o *analyzeOptions) failing(sum *report.Summary) bool {
	for _, f := range sum.Findings() {
		if o.fails(f.Rule, f.Worst) {
			return true
		}
	}
	return false
}

// fails reports whether one finding reaches --fail-on.
func (o *analyzeOptions) fails(r *finding.Rule, s finding.Severity) bool {
	if o.failOn == "" {
		return false
	}
	if floor, ok := severity(o.failOn); ok {
		return s >= floor
	}
	return r.ID == o.failOn
}
