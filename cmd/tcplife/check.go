package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/tcplife/tcplife/check"
	"github.com/tcplife/tcplife/pipeline"
	"github.com/tcplife/tcplife/report"
)

// checkOptions are the flags of check. It reads captures as analyze does.
type checkOptions struct {
	analyzeOptions
	expect    []string
	baselines baselineOptions
}

const checkExit = `EXIT STATUS, the first that applies:
  130  interrupted; what was not read to its end counts as not checked
  2    the command line or a file of expectations is wrong
  4    an input could not be opened; the others are checked
  5    the report could not be written
  3    an input is damaged; everything that can be read of it is checked
  1    an expectation is not met
  0    everything is as expected`

func (o *checkOptions) addFlags(f *pflag.FlagSet) {
	f.StringArrayVarP(&o.expect, "expect", "e", nil, "the `file` of expectations (YAML); docs/ci.md says what it may hold; may be repeated")
	o.baselines.addFlags(f)
	f.StringVarP(&o.format, "format", "f", "text", "the `format` to print: "+strings.Join(check.Formats(), ", "))
	f.StringVarP(&o.output, "output", "o", "", "write the report to this `file` instead of standard output")
	f.BoolVarP(&o.all, "all", "a", false, "text: list the expectations that are met, too")
	o.addInputFlags(f)
	f.SortFlags = false
}

// addInputFlags are those that say what is read, and how; analyze has them, too.
func (o *checkOptions) addInputFlags(f *pflag.FlagSet) {
	f.BoolVar(&o.each, "each", false, "every file is a capture of its own, checked by itself")
	f.StringVar(&o.filesFrom, "files-from", "", "read the names of further captures from this `file`, one a line; - is standard input")
	f.BoolVarP(&o.null, "null", "0", false, "the names of --files-from end with a zero octet, as find -print0 writes them")
	f.StringVar(&o.name, "name", "", "the capture's `name` in the report (default: the argument, or the first of several files)")
	f.BoolVar(&o.mergeEncap, "merge-encap", false, "equal tuples in different VLANs or tunnels are one connection")
	f.StringArrayVar(&o.profiles, "profile", nil, "the `profile` of the hosts' timers: "+strings.Join(profileNames(), ", ")+" or a file, or NETWORK=one of these; may be repeated")
	f.BoolVar(&o.quiet, "quiet", false, "no progress and no warnings on standard error: only what went wrong")
	f.BoolVar(&o.verbose, "verbose", false, "say on standard error which files of a folder were passed over, and why frames held no TCP")
	f.IntVarP(&o.jobs, "jobs", "j", 0, "goroutines that track connections, 0 for one per core; the output is the same for any number")
}

// validate checks what can be checked without opening anything.
func (o *checkOptions) validate() error {
	if err := check.HasFormat(o.format); err != nil {
		return usage("--format: %w", err)
	}
	if len(o.expect) == 0 && !o.baselines.given() {
		return usage("check needs something to check by: give --expect FILE or --baseline FILE")
	}
	if err := o.baselines.validate(); err != nil {
		return err
	}
	return o.validateInput()
}

func (o *checkOptions) validateInput() error {
	switch {
	case o.jobs < 0:
		return usage("--jobs %d: give 0 or more", o.jobs)
	case o.quiet && o.verbose:
		return usage("--quiet and --verbose: give one of the two")
	case o.null && o.filesFrom == "":
		return usage("--null says how the list of --files-from is written, and there is none")
	}
	return nil
}

func newCheck(s *streams) *cobra.Command {
	var o checkOptions
	c := &cobra.Command{
		Use:   "check FILE... --expect FILE | --baseline FILE",
		Short: "Hold captures against expectations, for tests and builds",
		Long: `Reads captures as analyze does and holds what became of their connections against
a file of expectations: which findings may and must be there, how connections open,
close and end, by listener, how long that takes, how many endpoints stand in a state,
and any number of connections for which an expression of --filter holds.

What is not as expected is printed with what was expected, what was found, and the
connections and frames that show it. Besides text there are formats for machines:
JUnit's XML, SARIF 2.1.0, GitHub's annotations and TAP.

With --baseline, a capture is held against what it, or another one of the same traffic,
said before: every connection's handshake, close, states and findings, and times within
a tolerance. Addresses, sequence numbers, encapsulation and container do not matter.

A file of expectations may have several documents, each about the captures that it
names; with --each, every file is held against those that are about it.`,
		Example: `  tcplife check capture.pcap --expect expect.yaml
  tcplife check capture.pcap --expect expect.yaml --format junit --output report.xml
  tcplife check --each folder --expect expect.yaml
  tcplife check capture.pcap --write-baseline baseline.json
  tcplife check capture.pcap --baseline baseline.json
  tcplife check capture.pcap --baseline baseline.json --update`,
		Annotations:       map[string]string{exitNote: checkExit},
		Args:              captureArgs("capture files, or - for standard input", &o.filesFrom),
		ValidArgsFunction: completeCapture,
		RunE: func(c *cobra.Command, args []string) error {
			if err := o.validate(); err != nil {
				return err
			}
			s.quiet, s.verbose = o.quiet, o.verbose
			return o.run(c.Context(), s, args)
		},
	}
	o.addFlags(c.Flags())
	completeFlags(c, map[string]cobra.CompletionFunc{"format": cobra.FixedCompletions(check.Formats(), cobra.ShellCompDirectiveNoFileComp)}, "name", "jobs", "tolerance")
	return c
}

// expectations reads the file of --expect. What is wrong with it is said line by line.
func expectations(s *streams, path string) ([]*check.Expectations, error) {
	text, err := readText(path, mostText)
	if err != nil {
		return nil, usage("--expect: %w", err)
	}
	docs, err := check.Load(path, text)
	var faults check.Faults
	if errors.As(err, &faults) {
		for _, f := range faults[:len(faults)-1] {
			s.say(f)
		}
		return nil, usage("%w", faults[len(faults)-1])
	}
	return docs, err
}

func (o *checkOptions) run(ctx context.Context, s *streams, args []string) error {
	var docs []*check.Expectations
	var err error
	for _, path := range o.expect {
		more, err := expectations(s, path)
		if err != nil {
			return err
		}
		docs = append(docs, more...)
	}
	if err := o.baselines.load(); err != nil {
		return err
	}
	all, err := o.expand(s, args)
	if err != nil {
		return err
	}
	r := &checking{options: o, reporting: &reporting{analyzeOptions: &o.analyzeOptions, s: s}, docs: docs, used: map[*check.Expectations]bool{}}
	if err := r.prepare(all); err != nil {
		return err
	}
	if o.each {
		for _, u := range all.unread {
			r.results = append(r.results, &check.Result{Capture: u.Name, Unread: unreadText(u.Err)})
		}
	}
	err = r.parts(ctx, all, r.check)
	if err == nil && ctx.Err() == nil {
		r.tellUnused()
		err = r.endBaseline()
	}
	return r.finish(ctx, err, func(w io.Writer) error {
		return check.Print(w, o.format, r.results, &check.PrintOptions{Version: version(), All: o.all})
	})
}

// checking is one run of check.
type checking struct {
	*reporting
	options *checkOptions
	docs    []*check.Expectations
	used    map[*check.Expectations]bool
	results []*check.Result
}

// prepare checks the flags against the inputs, and reads what they name.
func (r *reporting) prepare(all *inputs) (err error) {
	if r.each && r.name != "" && len(all.candidates) > 1 {
		return usage("--name with --each: there are %d captures, and a name for one", len(all.candidates))
	}
	for _, c := range all.candidates {
		if r.output != "" && sameFile(r.output, c.Name) {
			return usage("--output %s is the capture itself, which would be overwritten: give another name", r.output)
		}
	}
	r.profile, r.networks, err = hosts(r.profiles, nil)
	return err
}

// parts calls do with what is one capture each: all inputs together or, with --each,
// one after the other.
func (r *reporting) parts(ctx context.Context, all *inputs, do func(ctx context.Context, in *inputs) error) (err error) {
	list := []*inputs{all}
	if r.each {
		list = all.each()
		all.tellUnread()
		r.unread = len(all.unread) > 0
	}
	read := 0
	for _, in := range list {
		e := do(ctx, in)
		if errors.Is(e, errNoCapture) || r.each && isUnread(e) {
			continue
		}
		if err = e; err != nil || ctx.Err() != nil {
			return err
		}
		read++
	}
	if read == 0 && !r.unread {
		if err = all.none(); errors.Is(err, errNoCapture) {
			err = &exitError{exitOpen, errors.New("no capture among the files")}
		}
	}
	return err
}

// read runs a format that prints nothing over what is one capture.
func (r *reporting) read(ctx context.Context, in *inputs, format report.Format) (title string, err error) {
	source, closeSource, err := in.open(ctx)
	if err != nil {
		if r.each && isUnread(err) {
			r.unread = true
			if text := err.(*exitError); text.err != nil {
				r.s.say(text.err)
			}
		}
		return in.title(), err
	}
	defer closeSource()
	title = cmp.Or(r.name, in.title())
	cfg := &pipeline.Config{
		Source: r.s.startProgress(ctx, in, source), Name: title, Unread: in.unread, Jobs: r.jobs, MergeEncap: r.mergeEncap, Profile: r.profile, Networks: r.networks,
		Format: format, Output: io.Discard, Report: report.Options{Inputs: in.names(), Name: cmp.Or(r.name, in.label)},
	}
	defer r.s.pause()
	sum, err := pipeline.Run(ctx, cfg)
	if err == nil {
		r.s.noteSkipped(sum)
	}
	r.frames += source.Info().Frames
	r.unread = r.unread || len(in.unread) > 0
	r.damaged = tellDamage(r.s, source) || r.damaged
	return title, err
}

// finish writes what was found and returns the exit code.
func (r *reporting) finish(ctx context.Context, err error, print func(w io.Writer) error) error {
	var e *exitError
	if err == nil || !errors.As(err, &e) || e.code == exitOpen {
		var openErr error
		if r.out, openErr = openOutput(r.s, r.output, func() {}); openErr != nil {
			return openErr
		}
		if e := cmp.Or(print(r.out), r.out.Close()); e != nil && err == nil {
			err = e
		}
	}
	return r.judged(ctx, err)
}

// judged is the exit code; what was interrupted is not judged.
func (r *reporting) judged(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return &exitError{exitInterrupted, fmt.Errorf("interrupted after %d frames: what was not read to its end is not judged", r.frames)}
	}
	return r.verdict(ctx, err)
}

// check holds one capture against the documents that are about it.
func (r *checking) check(ctx context.Context, in *inputs) error {
	names := []string{cmp.Or(r.name, in.title())}
	for _, c := range in.candidates {
		names = append(names, c.Name)
	}
	var docs []*check.Expectations
	for _, x := range r.docs {
		if slices.ContainsFunc(names, x.Covers) {
			docs = append(docs, x)
			r.used[x] = true
		}
	}
	run := check.Begin(docs...)
	if r.options.baselines.given() {
		run.Remember()
	}
	title, err := r.read(ctx, in, run)
	switch {
	case errors.Is(err, errNoCapture):
		return err
	case err != nil:
		r.results = append(r.results, &check.Result{Capture: title, Unread: unreadText(err)})
		return err
	}
	result := run.Result(title)
	switch {
	case ctx.Err() != nil:
		result = &check.Result{Capture: title, Unread: "interrupted before its end"}
	case len(docs) == 0 && len(r.options.expect) > 0:
		result.Verdicts = append(result.Verdicts, check.Verdict{What: "expectations exist", Kind: "expectations", Failed: true,
			Expected: "something", Found: "no document of " + strings.Join(r.options.expect, " or ") + " is about this capture", At: check.Position{File: r.options.expect[0]}})
	}
	if ctx.Err() == nil {
		if err := r.compare(run, result); err != nil {
			return err
		}
	}
	r.results = append(r.results, result)
	r.reached = r.reached || result.Failed() > 0
	return nil
}

func unreadText(err error) string {
	var p *fs.PathError
	if errors.As(err, &p) {
		return p.Error()
	}
	if e := (*exitError)(nil); errors.As(err, &e) && e.err == nil {
		return "none of its files could be opened"
	}
	return err.Error()
}

// tellUnused says which documents are about no capture that was read: a name may be
// misspelt.
func (r *checking) tellUnused() {
	var unused []string
	for _, x := range r.docs {
		if !r.used[x] {
			unused = append(unused, fmt.Sprintf("%s:%d", x.At.File, x.At.Line))
		}
	}
	switch n := len(unused); {
	case n == 0:
	case n == 1:
		r.s.warn("%s: the document is about no capture that was read", unused[0])
	default:
		r.s.warn("%d documents are about no capture that was read: %s", n, strings.Join(unused[:min(n, 5)], ", "))
	}
}
