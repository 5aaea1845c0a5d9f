package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/tcplife/tcplife/finding"
	"github.com/tcplife/tcplife/incident"
	"github.com/tcplife/tcplife/pipeline"
	"github.com/tcplife/tcplife/reassembly"
	"github.com/tcplife/tcplife/report"
)

// analyzeOptions are the flags of analyze.
type analyzeOptions struct {
	format, output, name string
	jobs                 int
	all, mergeEncap      bool
	dwell, rtt           bool
	connection           string
	failOn               string
	followTuple          bool
	filesFrom            string
	null, each           bool
	inventory            bool
	quiet, verbose       bool
	profiles             []string
	selection            selectionOptions
	packets              packetFilterOptions
	layout               layoutOptions
	census               censusOptions
	grade                gradeOptions
	screen               screenOptions
	ui                   uiOptions
	limits               limitOptions
	// tuple are the lives of the tuple that is drawn, once they are known.
	tuple    []chosen
	settings *settings
}

func (o *analyzeOptions) addFlags(f *pflag.FlagSet) {
	f.StringVarP(&o.format, "format", "f", "text", "the `format` to print: "+strings.Join(report.Formats(), ", "))
	f.StringVarP(&o.output, "output", "o", "", "write the report to this `file` instead of standard output")
	f.BoolVarP(&o.all, "all", "a", false, "text: list every connection, not only those worth a look; with --connection, every segment")
	f.BoolVar(&o.dwell, "dwell", false, "text: how long endpoints stayed in each state (JSON always says it)")
	f.BoolVar(&o.rtt, "rtt", false, "text: histogram of the handshakes' round trips (JSON always says it)")
	o.selection.addFlags(f)
	o.packets.addFlags(f)
	o.layout.addFlags(f)
	f.StringVarP(&o.connection, "connection", "c", "", "show the timeline of one `connection`: its number, frame:N (frame:FILE:N), or 'IP:PORT IP:PORT'")
	f.BoolVar(&o.followTuple, "follow-tuple", false, "with --connection: show all lives of its addresses and ports, one after the other")
	f.StringVar(&o.filesFrom, "files-from", "", "read the names of further captures from this `file`, one a line; - is standard input")
	f.BoolVarP(&o.null, "null", "0", false, "the names of --files-from end with a zero octet, as find -print0 writes them")
	f.BoolVar(&o.each, "each", false, "every file is a capture of its own, with a report of its own")
	f.BoolVar(&o.inventory, "inventory", false, "say what the captures hold (formats, link types, share of TCP, order, losses) and nothing of single connections; as text or json")
	o.census.addFlags(f)
	o.grade.addFlags(f)
	f.StringVar(&o.failOn, "fail-on", "", "exit with 1 if there is a finding of this `severity` or above (info, warning, error), or with this ID")
	f.StringVar(&o.name, "name", "", "the capture's `name` in the report (default: the argument, or the first of several files)")
	f.BoolVar(&o.mergeEncap, "merge-encap", false, "equal tuples in different VLANs or tunnels are one connection")
	f.StringArrayVar(&o.profiles, "profile", nil, "the `profile` of the hosts' timers: "+strings.Join(profileNames(), ", ")+" or a file, or NETWORK=one of these; may be repeated")
	o.screen.addFlags(f)
	o.ui.addFlags(f)
	f.BoolVar(&o.quiet, "quiet", false, "no progress and no warnings on standard error: only what went wrong")
	f.BoolVar(&o.verbose, "verbose", false, "say on standard error which files of a folder were passed over, why frames held no TCP, and which settings are not from the command line")
	f.IntVarP(&o.jobs, "jobs", "j", 0, "goroutines that track connections, 0 for one per core; the output is the same for any number")
	o.limits.addFlags(f)
	f.SortFlags = false
}

// validate checks what can be checked without opening anything.
func (o *analyzeOptions) validate() error {
	if err := o.screen.validate(); err != nil {
		return err
	}
	if _, err := report.New(o.format); err != nil {
		return usage("--format: %w", err)
	}
	if err := o.selection.validate(o.screen.zone); err != nil {
		return err
	}
	if err := o.layout.validate(o.format, o.all); err != nil {
		return err
	}
	if _, err := o.packets.compiler(); err != nil {
		return err
	}
	if o.jobs < 0 {
		return usage("--jobs %d: give 0 or more", o.jobs)
	}
	if err := o.limits.validate(); err != nil {
		return err
	}
	if _, isSeverity := severity(o.failOn); o.failOn != "" && !isSeverity && finding.Lookup(o.failOn) == nil && incident.Lookup(o.failOn) == nil && finding.LookupCapture(o.failOn) == nil {
		return usage("--fail-on %q is neither a severity (info, warning, error) nor a finding's ID%s ('tcplife explain' lists them)",
			o.failOn, didYouMean(o.failOn, append(ruleIDs(), severities()...)))
	}
	if o.followTuple && o.connection == "" {
		return usage("--follow-tuple follows the connection that --connection names, and none is named")
	}
	if o.each && o.connection != "" {
		return usage("--connection with --each: connections are numbered in each capture anew, so name one")
	}
	if o.inventory {
		if _, err := report.NewInventory(o.format); err != nil {
			return usage("--inventory --format %s: %w", o.format, err)
		}
		if o.connection != "" || o.failOn != "" {
			return usage("--inventory looks at no single connection: leave --connection and --fail-on out")
		}
	}
	if o.quiet && o.verbose {
		return usage("--quiet and --verbose: give one of the two")
	}
	if o.null && o.filesFrom == "" {
		return usage("--null says how the list of --files-from is written, and there is none")
	}
	if o.selection.given() {
		for _, x := range []struct {
			other string
			given bool
		}{{"--connection", o.connection != ""}, {"--inventory", o.inventory}} {
			if x.given {
				return usage("%s says itself what it is about: leave --filter and its like out", x.other)
			}
		}
	}
	if flag := o.layout.given(); flag != "" {
		for _, x := range []struct {
			other string
			given bool
		}{{"--connection", o.connection != ""}, {"--inventory", o.inventory}, {"--census", o.census.census}} {
			if x.given {
				return usage("%s lays out connections, of which %s has no list: give one of the two", flag, x.other)
			}
		}
	}
	if err := o.validateUI(); err != nil {
		return err
	}
	return o.census.validate(o.format, o.connection, o.screen.zone)
}

// validateInputs checks the flags against the inputs, before any of them is opened.
func (o *analyzeOptions) validateInputs(in *inputs) error {
	if o.each && o.name != "" && len(in.candidates) > 1 {
		return usage("--name with --each: there are %d captures, and a name for one", len(in.candidates))
	}
	if err := o.census.validateInputs(in, o.inventory); err != nil {
		return err
	}
	if err := twiceRead(o.selection.instants, in); err != nil {
		return err
	}
	if _, err := os.Stat(o.output); o.output == "" || err != nil {
		return nil
	}
	for _, c := range in.candidates {
		if sameFile(o.output, c.Name) {
			return usage("--output %s is the capture itself, which would be overwritten: give another name", o.output)
		}
	}
	return nil
}

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
		Use:   "analyze FILE...",
		Short: "Report on the TCP connections of capture files",
		Long: `Reads pcap or pcapng files, or standard input for -, and reports what became of
every TCP connection in them. Standard output holds the report alone; warnings and
errors go to standard error.

Several files are one capture, such as the rotated files of one tap: a connection
may begin in one and end in another. They are read in the order of their frames'
times, whatever the order of the arguments. A folder stands for the captures in it,
a pattern in quotes for the files that it matches.

What is wanted every time stands in $XDG_CONFIG_HOME/tcplife/config.yaml, or in the
environment (TCPLIFE_TZ and so on); the command line comes first, then the environment,
then the file.`,
		Example: `  tcplife analyze capture.pcap
  tcplife analyze --all capture.pcap
  tcplife analyze --connection 1 capture.pcap
  tcplife analyze --connection '10.0.0.1:40000 10.0.0.2:443' capture.pcap
  tcplife analyze --filter 'close.reason == "refused"' capture.pcap
  tcplife analyze --port 443 --since 12:00:05 --until 12:01:00 capture.pcap
  tcplife analyze --group-by service,closer capture.pcap
  tcplife analyze --sort -duration --limit 10 capture.pcap
  tcplife analyze --format ndjson --output report.ndjson capture.pcap
  tcplife analyze --census --at +12.5s capture.pcap
  tcplife analyze --census --every 1s --format csv capture.pcap
  tcplife analyze --fail-on error capture.pcap
  tcplife analyze rotated.pcap00 rotated.pcap01
  tcplife analyze --each folder
  tcplife analyze --inventory folder
  tcplife analyze --ui capture.pcap
  find . -name '*.pcap' -print0 | tcplife analyze -0 --files-from -
  tcpdump -U -w - tcp | tcplife analyze -`,
		Annotations:       map[string]string{exitNote: analyzeExit},
		Args:              captureArgs("capture files, or - for standard input", &o.filesFrom),
		ValidArgsFunction: completeCapture,
		RunE:              func(c *cobra.Command, args []string) error { return runWithSettings(c, s, &o, args) },
	}
	o.addFlags(c.Flags())
	o.addCompletion(c)
	return c
}

func (o *analyzeOptions) use(own *settings, s *streams) {
	o.settings, o.screen.colors = own, own.colors
	s.quiet, s.verbose = o.quiet, o.verbose
	s.filter, _ = o.packets.compiler() // what is wrong with it validate says
}

func (o *analyzeOptions) run(ctx context.Context, s *streams, args []string) error {
	all, err := o.expand(s, args)
	if err != nil {
		return err
	}
	var sel *selector
	if o.connection != "" {
		if sel, err = o.selector(all); err != nil {
			return err
		}
	}
	if err := o.validateInputs(all); err != nil {
		return err
	}
	r := &reporting{analyzeOptions: o, s: s, sel: sel}
	if r.profile, r.networks, err = hosts(o.profiles, o.settings.profiles); err != nil {
		return err
	}
	if r.grades, err = o.grade.grades(); err != nil {
		return err
	}
	r.grades = o.packets.withhold(r.grades)
	if o.ui.ui {
		err := r.showScreens(ctx, all)
		if ctx.Err() != nil {
			return &exitError{exitInterrupted, errors.New("interrupted")}
		}
		return r.verdict(ctx, err)
	}
	parts := []*inputs{all}
	if o.each {
		parts = all.each()
		all.tellUnread()
		r.unread = len(all.unread) > 0
	}
	for _, in := range parts {
		e := r.one(ctx, in)
		if err = e; errors.Is(e, errNoCapture) || o.each && isUnread(e) {
			err = nil
			continue
		}
		if err != nil || ctx.Err() != nil {
			break
		}
	}
	if r.out == nil && err == nil && !r.unread {
		err = all.none()
		if errors.Is(err, errNoCapture) {
			err = &exitError{exitOpen, errors.New("no capture among the files")}
		}
	}
	if r.out != nil {
		if e := r.out.Close(); err == nil {
			err = e
		}
	}
	return r.verdict(ctx, err)
}

// reporting is one run: a report, or with --each one after the other.
type reporting struct {
	*analyzeOptions
	s   *streams
	sel *selector
	out *output
	// profile and networks are the hosts' timers.
	profile  reassembly.Profile
	networks []reassembly.Network
	// grades say which findings are told; nil for all.
	grades *finding.Grades
	// stop ends the reading of the present source.
	stop func()
	// How it went so far.
	frames                   uint64
	unread, damaged, reached bool // reached: --fail-on
}

// one reports on what is one capture.
func (r *reporting) one(ctx context.Context, in *inputs) error {
	source, closeSource, err := in.open(ctx)
	if err != nil {
		if r.each && isUnread(err) {
			r.unread = true
			if text := err.(*exitError); text.err != nil {
				r.s.say(text.err)
			}
		}
		return err
	}
	defer closeSource()
	// A reader that has gone must end a run that waits for a silent pipe.
	r.stop = func() { source.Close() }
	further := r.out != nil
	if !further {
		if r.out, err = openOutput(r.s, r.output, func() { r.stop() }); err != nil {
			return err
		}
	}
	name := r.name
	if name == "" {
		name = in.title()
	}
	opts := report.Options{Inputs: in.names(), All: r.all, Name: cmp.Or(r.name, in.label), Further: further, Dwell: r.dwell, RTT: r.rtt}
	r.screen.apply(r.s.out, r.output != "", &opts)
	var format report.Format
	switch {
	case r.inventory:
		format, err = report.NewInventory(r.format)
	case r.census.census:
		format, source, err = r.census.format(ctx, r.format, in, source)
	default:
		format, err = r.layout.format(r.format, r.all, &opts)
	}
	if err != nil {
		return err
	}
	cfg := &pipeline.Config{
		Name: name, Unread: in.unread, Jobs: r.jobs, MergeEncap: r.mergeEncap, Profile: r.profile, Networks: r.networks, Format: format, Output: r.out,
		Report: opts, Grades: r.grades,
	}
	r.limits.apply(cfg)
	if cfg.Source, err = r.selection.apply(ctx, cfg, in, source); err != nil {
		return err
	}
	cfg.Source = r.s.startProgress(ctx, in, cfg.Source)
	defer r.s.pause()
	if r.inventory {
		cfg.Contents, cfg.Rules, cfg.Incidents = true, []*finding.Rule{}, []*incident.Rule{}
	}
	if r.census.census {
		// It counts states: its summary has no place for what many connections show.
		cfg.Incidents = []*incident.Rule{}
	}
	if r.sel != nil {
		fails, e := r.timelines(ctx, r.s, in, r.sel, cfg, r.out)
		err, r.reached = e, r.reached || fails
	} else {
		var sum *report.Summary
		if sum, err = pipeline.Run(ctx, cfg); err == nil {
			r.reached = r.failing(sum) || r.reached
			r.s.noteSkipped(sum)
		}
		if made := r.selection.made; made != nil {
			if e := made.Fault(); e != nil {
				r.s.say(e)
			}
		}
	}
	r.frames += source.Info().Frames
	r.unread = r.unread || len(in.unread) > 0
	r.damaged = tellDamage(r.s, source) || r.damaged
	return err
}

// isUnread reports whether an error is that of an input that could not be opened.
func isUnread(err error) bool {
	var e *exitError
	return errors.As(err, &e) && e.code == exitOpen
}

// verdict turns the end of a run into the exit code: the first that applies.
func (r *reporting) verdict(ctx context.Context, err error) error {
	var e *exitError
	if err != nil && !errors.As(err, &e) {
		if err = outputError(err, r.output == ""); err == nil {
			return nil // nobody reads on; what could be said was said to them
		}
		errors.As(err, &e)
	}
	tell := func() {
		if err != nil && (e == nil || e.err != nil) {
			r.s.say(err)
		}
	}
	switch {
	case ctx.Err() != nil:
		tell()
		return &exitError{exitInterrupted, fmt.Errorf("interrupted after %d frames: the report covers those", r.frames)}
	case err != nil && e.code == exitUsage:
		return err
	case r.unread:
		tell()
		return &exitError{code: exitOpen}
	case err != nil:
		return err
	case r.damaged:
		return &exitError{code: exitDamaged}
	case r.reached:
		return &exitError{code: exitFindings}
	}
	return nil
}

// failing reports whether the findings of the whole capture reach --fail-on.
func (o *analyzeOptions) failing(sum *report.Summary) bool {
	for _, f := range sum.Findings() {
		if o.fails(f.Rule.ID, f.Worst) {
			return true
		}
	}
	for i := range sum.Incidents {
		if in := &sum.Incidents[i]; o.fails(in.Rule.ID, in.Severity) {
			return true
		}
	}
	// How the capture was made is no trouble of the network: only its name is heeded.
	for _, f := range sum.CaptureFindings() {
		if f.Rule.ID == o.failOn {
			return true
		}
	}
	return false
}

// fails reports whether one finding reaches --fail-on.
func (o *analyzeOptions) fails(id string, s finding.Severity) bool {
	if o.failOn == "" {
		return false
	}
	if floor, ok := severity(o.failOn); ok {
		return s >= floor
	}
	return id == o.failOn
}
