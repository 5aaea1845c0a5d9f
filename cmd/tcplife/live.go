package main

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/tcplife/tcplife/capture"
	"github.com/tcplife/tcplife/finding"
	"github.com/tcplife/tcplife/pipeline"
	"github.com/tcplife/tcplife/report"
	"github.com/tcplife/tcplife/selection"
	"github.com/tcplife/tcplife/wire"
)

const liveExit = `EXIT STATUS, the first that applies:
  2    the command line is wrong
  4    the interface or file could not be opened, or could not be read any more
  5    the report could not be written
  3    the input is damaged; everything that can be read of it is reported
  0    done: --duration or --count was reached, the input ended, or SIGINT or
       SIGTERM asked for the report; a second signal kills at once`

// leastEvery is the shortest time between two censuses: more of them would be all that the
// run does.
const leastEvery = 10 * time.Millisecond

// liveFormats are those that can print what happens as it does.
var liveFormats = []string{"text", "ndjson"}

// liveOptions are the flags of live.
type liveOptions struct {
	format, output, name string
	appends              bool
	file                 string
	events               string
	every, duration      time.Duration
	maxHold              time.Duration
	count                uint64
	limits               limitOptions
	jobs                 int
	all, dwell, rtt      bool
	mergeEncap           bool
	quiet, verbose       bool
	profiles             []string
	selection            selectionOptions
	grade                gradeOptions
	screen               screenOptions
	iface                interfaceOptions
	others               []attachment
	settings             *settings

	wanted eventChoice
}

// attachment is a part of live that follows a run beside the report.
type attachment interface {
	addFlags(f *pflag.FlagSet)
	// validate checks what can be checked before anything is opened.
	validate(o *liveOptions) error
	// attach takes part in a run that is about to begin. finish is called after it, and
	// may be nil.
	attach(ctx context.Context, s *streams, run *liveRun) (finish func() error, err error)
}

// attachments makes what there is of them.
func attachments() []attachment {
	return []attachment{&liveScreens{}, &metricsOptions{}, &recordOptions{}}
}

func (o *liveOptions) addFlags(f *pflag.FlagSet) {
	f.StringVar(&o.file, "file", "", "follow this `file` as it grows, or the captures that a program rotates into this folder, instead of an interface")
	f.StringVar(&o.events, "events", "all", "which `events` to print as they happen: "+strings.Join(eventWords(), ", ")+", all, none; or a severity, for findings and incidents of that one and above; several with a comma")
	f.DurationVar(&o.every, "every", 0, "print how many endpoints are in which state every so often (10s, 1m)")
	f.DurationVar(&o.duration, "duration", 0, "end after this time, with the full report")
	f.Uint64Var(&o.count, "count", 0, "end after this number of frames, with the full report")
	f.DurationVar(&o.maxHold, "max-hold", 0, "ndjson: write connections that are open for so long as they are, with \"settled\": false, and again as often; once more when they have settled")
	o.limits.addFlags(f)
	f.Lookup("max-connections").Usage = "hold at most `N` open connections: half-open ones go first, then those that were silent the longest; 0 stands for a million"
	o.iface.addFlags(f)
	f.StringVarP(&o.format, "format", "f", "text", "the `format` to print: "+strings.Join(liveFormats, ", "))
	f.StringVarP(&o.output, "output", "o", "", "write to this `file` instead of standard output; SIGHUP opens it anew")
	f.BoolVar(&o.appends, "append", false, "with --output: keep what the file holds, and go on behind it")
	f.BoolVarP(&o.all, "all", "a", false, "text: the report at the end lists every connection, not only those worth a look (they are kept in memory)")
	f.BoolVar(&o.dwell, "dwell", false, "text: the report has how long endpoints stayed in each state")
	f.BoolVar(&o.rtt, "rtt", false, "text: the report has a histogram of the handshakes' round trips")
	o.selection.addWish(f)
	o.grade.addFlags(f)
	f.StringVar(&o.name, "name", "", "the capture's `name` in the report (default: the interface, or the file)")
	f.BoolVar(&o.mergeEncap, "merge-encap", false, "equal tuples in different VLANs or tunnels are one connection")
	f.StringArrayVar(&o.profiles, "profile", nil, "the `profile` of the hosts' timers: "+strings.Join(profileNames(), ", ")+" or a file, or NETWORK=one of these; may be repeated")
	o.screen.addFlags(f)
	for _, a := range o.others {
		a.addFlags(f)
	}
	f.BoolVar(&o.quiet, "quiet", false, "no warnings on standard error: only what went wrong")
	f.BoolVar(&o.verbose, "verbose", false, "say on standard error why frames held no TCP, and which settings are not from the command line")
	f.IntVarP(&o.jobs, "jobs", "j", 0, "goroutines that track connections, 0 for one per core; the output is the same for any number")
	f.SortFlags = false
}

// validate checks what can be checked without opening anything.
func (o *liveOptions) validate() (err error) {
	if err := o.screen.validate(); err != nil {
		return err
	}
	if !slices.Contains(liveFormats, o.format) {
		if _, err := report.New(o.format); err != nil {
			return usage("--format: %w", err)
		}
		return usage("--format %s: live prints as it happens, in %s; for others write a capture (tcpdump -w) and analyze that", o.format, strings.Join(liveFormats, " or "))
	}
	if o.wanted, err = parseEvents(o.events); err != nil {
		return err
	}
	for _, x := range []struct {
		flag string
		d    time.Duration
	}{{"every", o.every}, {"duration", o.duration}, {"max-hold", o.maxHold}} {
		if x.d < 0 {
			return usage("--%s %s: give a time above 0, such as 10s", x.flag, x.d)
		}
	}
	if o.appends && o.output == "" {
		return usage("--append says how --output writes its file, and there is none")
	}
	if o.every > 0 && o.every < leastEvery {
		return usage("--every %s: give %s or more", o.every, leastEvery)
	}
	if o.maxHold > 0 && o.format != "ndjson" {
		return usage("--max-hold writes connections before they have settled, which --format %s has no words for: give --format ndjson", o.format)
	}
	if err := o.limits.validate(); err != nil {
		return err
	}
	if o.jobs < 0 {
		return usage("--jobs %d: give 0 or more", o.jobs)
	}
	if o.quiet && o.verbose {
		return usage("--quiet and --verbose: give one of the two")
	}
	if err := o.selection.validate(o.screen.zone); err != nil {
		return err
	}
	if err := o.iface.validate(); err != nil {
		return err
	}
	for _, a := range o.others {
		if err := a.validate(o); err != nil {
			return err
		}
	}
	return nil
}

// eventChoice says which events are printed.
type eventChoice struct {
	kinds [report.EventKinds]bool
	// incidents are what many connections show together.
	incidents bool
	// least is the severity that a finding must have.
	least finding.Severity
}

// parseEvents reads --events.
func parseEvents(list string) (c eventChoice, err error) {
	names := append(append([]string{"all", "none"}, eventWords()...), severities()...)
	for _, word := range strings.Split(list, ",") {
		word = strings.TrimSpace(word)
		if least, ok := severity(word); ok {
			c.least = least
			c.kinds[report.EventFinding], c.kinds[report.EventWithdrawn], c.incidents = true, true, true
			continue
		}
		switch i := slices.Index(report.EventNames(), word); {
		case i >= 0:
			c.kinds[i] = true
		case word == wordIncident:
			c.incidents = true
		case word == "all":
			c.incidents = true
			for k := range c.kinds {
				c.kinds[k] = true
			}
		case word == "none":
		default:
			return c, usage("--events %q: there is no event of that name%s (%s)", word, didYouMean(word, names), strings.Join(names, ", "))
		}
	}
	return c, nil
}

// wordIncident stands beside the kinds of events of one connection.
const wordIncident = "incident"

// eventWords are what --events takes beside all, none and severities.
func eventWords() []string { return append(slices.Clone(report.EventNames()), wordIncident) }

// any reports whether events of connections are printed.
func (c *eventChoice) any() bool { return c.kinds != [report.EventKinds]bool{} }

func (c *eventChoice) has(e *report.Event) bool {
	return c.kinds[e.Kind] && (e.Finding == nil || e.Finding.Severity >= c.least)
}

func newLive(s *streams) *cobra.Command {
	o := &liveOptions{others: attachments()}
	c := &cobra.Command{
		Use:   "live INTERFACE... [FILTER]",
		Short: "Tell what happens on an interface, or in a growing capture",
		Long: `live follows the TCP connections of network interfaces, of a capture file that
is still being written (--file), or of standard input (-), and prints what
happens to them as it does: a line when a connection opens, is refused, closes,
is reset, dies, or a rule finds something. Ctrl-C ends with the report that
analyze would give.

States of connections that are open are provisional: what is certain is told at
once, the rest when the connection has settled. Counts in the report are of
settled connections.`,
		Example: `  tcplife live eth0
  tcplife live eth0 wlan0 'tcp port 443 and not host 10.1.2.3'
  tcplife live --events refused,reset,died,warning eth0
  tcplife live --format ndjson eth0 | jq -c 'select(.event == "reset")'
  tcplife live --every 10s --events none --duration 5m any
  tcplife live --file growing.pcap
  tcplife live --file /var/log/captures
  ssh host tcpdump -U -w - tcp | tcplife live -`,
		Annotations: map[string]string{exitNote: liveExit},
		Args: func(_ *cobra.Command, args []string) error {
			switch {
			case slices.Contains(args, ""):
				return usage("live: an interface's name is empty")
			case len(args) == 0 && o.file == "":
				return usage("live takes interfaces, - for standard input, or --file; none was given%s", listInterfaces())
			}
			return nil
		},
		ValidArgsFunction: func(_ *cobra.Command, _ []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
			return interfaceNames(), cobra.ShellCompDirectiveNoFileComp
		},
		RunE: func(c *cobra.Command, args []string) error { return runWithSettings(c, s, o, args) },
	}
	o.addFlags(c.Flags())
	o.addCompletion(c)
	return c
}

func (o *liveOptions) use(own *settings, s *streams) {
	o.settings, o.screen.colors = own, own.colors
	s.quiet, s.verbose = o.quiet, o.verbose
}

// interfaceNames are those that this host has now.
func interfaceNames() []string {
	all, err := net.Interfaces()
	if err != nil {
		return nil
	}
	names := []string{"any"}
	for _, i := range all {
		names = append(names, i.Name)
	}
	return names
}

func listInterfaces() string {
	if names := interfaceNames(); len(names) > 0 {
		return " (there are " + strings.Join(names, ", ") + ")"
	}
	return ""
}

// target is what a command line asks to follow.
type target struct {
	// interfaces, or a file; "-" is standard input.
	interfaces []string
	file       string
	filter     string
}

// parseTarget tells interfaces from the filter behind them: the first is an interface
// whatever it is called, the others are as long as there are such.
func (o *liveOptions) parseTarget(args []string, known []string) target {
	if o.file != "" {
		return target{file: o.file, filter: strings.Join(args, " ")}
	}
	if args[0] == "-" {
		return target{file: "-", filter: strings.Join(args[1:], " ")}
	}
	n := 1
	for n < len(args) && slices.Contains(known, args[n]) {
		n++
	}
	return target{interfaces: args[:n], filter: strings.Join(args[n:], " ")}
}

func (t *target) name() string {
	switch {
	case t.file == "-":
		return "-"
	case t.file != "":
		return t.file
	}
	return strings.Join(t.interfaces, " ")
}

// open opens what is to be followed.
func (o *liveOptions) open(s *streams, t *target) (capture.Live, error) {
	switch {
	case t.file == "":
		return o.iface.open(t.interfaces, t.filter)
	case t.file == "-" && s.in != os.Stdin:
		return o.filtered(capture.Patiently(capture.Lazily("-", func() (capture.Source, error) { return s.open("-") })), t)
	case t.file == "-":
		if isTerminal(s.out) && isTerminal(os.Stdin) {
			return nil, errors.New("read standard input: is a terminal (pipe a capture in: tcpdump -U -w - | tcplife live -)")
		}
		return o.filtered(capture.Patiently(capture.Lazily("-", func() (capture.Source, error) { return s.open("-") })), t)
	}
	src, err := capture.Follow(t.file)
	if err != nil {
		return nil, err
	}
	return o.filtered(src, t)
}

func (o *liveOptions) filtered(src capture.Live, t *target) (capture.Live, error) {
	filtered, err := o.iface.filter(src, t.filter)
	if err != nil {
		src.Close()
	}
	return filtered, err
}

func (o *liveOptions) run(ctx context.Context, s *streams, args []string) error {
	t := o.parseTarget(args, interfaceNames())
	profile, networks, err := hosts(o.profiles, o.settings.profiles)
	if err != nil {
		return err
	}
	grades, err := o.grade.grades()
	if err != nil {
		return err
	}
	grades = o.iface.packets.withhold(grades)
	if o.output != "" && sameFile(o.output, t.file) {
		return usage("--output %s is the capture itself, which would be overwritten: give another name", o.output)
	}
	src, err := o.open(s, &t)
	if err != nil {
		var e *exitError
		if errors.As(err, &e) {
			return err
		}
		return &exitError{exitOpen, err}
	}
	defer src.Close()
	if o.count > 0 {
		src = &counted{Live: src, left: o.count}
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	if o.duration > 0 {
		ctx, stop = context.WithTimeout(ctx, o.duration)
		defer stop()
	}
	out, err := openLiveOutput(s, o.output, o.appends, stop)
	if err != nil {
		return err
	}
	if o.output != "" { // otherwise a terminal that is gone ends it, as it does others
		hangup := make(chan os.Signal, 1)
		signal.Notify(hangup, syscall.SIGHUP)
		defer signal.Stop(hangup)
		go out.reopenOn(ctx, hangup)
	}

	name := o.name
	if name == "" {
		name = t.name()
	}
	var names []string
	for _, info := range capture.Infos(src) {
		names = append(names, info.Name)
	}
	opts := report.Options{Inputs: names, Name: o.name, All: o.all, Dwell: o.dwell, RTT: o.rtt}
	o.screen.apply(s.out, o.output != "", &opts)
	format, err := report.New(o.format)
	if err != nil {
		return usage("--format: %w", err)
	}
	run := newLiveRun(&pipeline.Config{
		Name: name, Jobs: o.jobs, MergeEncap: o.mergeEncap, Profile: profile, Networks: networks, Grades: grades, Format: format, Output: out, Report: opts,
	}, src)
	run.Live.MaxHold, run.Interfaces = o.maxHold, t.file == ""
	o.limits.apply(run.Config)
	if o.selection.given() {
		if o.selection.made, err = selection.New(&o.selection.wish); err != nil {
			return usage("%w", err)
		}
		run.Config.Select = func() report.Picker { return o.selection.made.Picker() }
		run.Config.Selection = o.selection.made.Words()
	}
	o.print(run, format.(report.Follower))
	var finishes []func() error
	for _, a := range o.others {
		finish, err := a.attach(ctx, s, run)
		if err != nil {
			out.Close()
			return err
		}
		if finish != nil {
			finishes = append(finishes, finish)
		}
	}
	if err := o.iface.confine(s, &t, o.output, o.others); err != nil {
		out.Close()
		return err
	}
	sum, err := run.run(ctx)
	// The screens, which were the first, are the last: they show what the others say.
	for _, finish := range slices.Backward(finishes) {
		if e := finish(); err == nil {
			err = e
		}
	}
	if e := out.Close(); err == nil {
		err = e
	}
	return o.verdict(s, run, sum, err)
}

// print has what was asked for printed as it happens.
func (o *liveOptions) print(run *liveRun, f report.Follower) {
	if o.wanted.any() {
		run.onEvent(func(e *report.Event) {
			if o.wanted.has(e) {
				run.failed(f.Event(e))
			}
		})
	}
	if o.wanted.incidents {
		run.Live.Incident = func(in *report.LiveIncident) {
			if in.Incident.Severity >= o.wanted.least {
				run.failed(f.Incident(in))
			}
		}
	}
	run.Live.Gap = func(g *capture.Gap) { run.failed(f.Gap(g)) }
	if o.every > 0 {
		run.onSnapshot(o.every, func(s *pipeline.Snapshot) {
			if !s.Last { // the report says it
				run.failed(f.Present(present(s)))
			}
		})
	}
}

// present is what of a snapshot is printed.
func present(s *pipeline.Snapshot) *report.Present {
	p := &report.Present{At: s.At, Started: s.Started, Open: s.Open, Census: s.Census, Opened: s.Opened, Settled: s.Total.All(), Evicted: s.Evicted,
		Frames: s.Total.Frames(), Losses: s.Losses, Counted: s.Counted, Gaps: s.GapCount}
	for _, f := range s.Total.Findings() {
		for i, n := range f.BySeverity {
			p.Findings[i] += n
		}
	}
	return p
}

// verdict turns the end of a run into the exit code.
func (o *liveOptions) verdict(s *streams, run *liveRun, sum *report.Summary, err error) error {
	var gone *pipeline.SourceError
	var e *exitError
	var damage *capture.DamageError
	if made := o.selection.made; made != nil {
		if e := made.Fault(); e != nil {
			s.say(e)
		}
	}
	switch {
	case errors.As(err, &gone) && errors.As(gone.Err, &damage):
		err = nil // it is told with the others
	case errors.As(err, &gone):
		return &exitError{exitOpen, gone.Err}
	case errors.As(err, &e):
		return err
	case err != nil:
		return outputError(err, o.output == "")
	}
	s.noteSkipped(sum)
	if tellDamage(s, run.Source) {
		return &exitError{code: exitDamaged}
	}
	return nil
}

// counted is a source that ends after so many frames.
type counted struct {
	capture.Live
	left uint64
}

func (c *counted) NextWithin(f *wire.Frame, d time.Duration) error {
	if c.left == 0 {
		return io.EOF
	}
	err := c.Live.NextWithin(f, d)
	if err == nil {
		c.left--
	}
	return err
}

// Infos are those of the source.
func (c *counted) Infos() []capture.Info { return capture.Infos(c.Live) }

// Losses are those of the source, if it counts any.
func (c *counted) Losses() (l capture.Losses) {
	if counter, ok := c.Live.(capture.LossCounter); ok {
		l = counter.Losses()
	}
	return l
}

// Stop stops the source, if it can be.
func (c *counted) Stop() error {
	if s, ok := c.Live.(capture.Stopper); ok {
		return s.Stop()
	}
	return c.Close()
}

// addCompletion says what the shell offers for each flag's value.
func (o *liveOptions) addCompletion(c *cobra.Command) {
	fixed := func(values ...cobra.Completion) cobra.CompletionFunc {
		return cobra.FixedCompletions(values, cobra.ShellCompDirectiveNoFileComp)
	}
	for flag, complete := range map[string]cobra.CompletionFunc{
		"format": fixed(liveFormats...),
		"events": listed(func() []cobra.Completion {
			return append(append([]cobra.Completion{"all", "none"}, eventWords()...), severities()...)
		}),
		"color":    fixed(colorModes...),
		"times":    fixed(report.TimesNames()...),
		"tz":       fixed("UTC", "local"),
		"filter":   completeFilter,
		"finding":  fixed(append(severities(), findingCompletions()...)...),
		"every":    fixed("1s", "10s", "1m"),
		"duration": fixed("10s", "1m", "1h"),
		"max-hold": fixed("30s", "5m"),
		"metrics":  fixed("127.0.0.1:9777"),
	} {
		if err := c.RegisterFlagCompletionFunc(flag, complete); err != nil {
			panic(err) // no such flag: a mistake in the program
		}
	}
	o.iface.addCompletion(c)
	for _, flag := range []string{"name", "jobs", "count", "max-connections", "max-memory", "width", "host", "net", "port", "service"} {
		if err := c.RegisterFlagCompletionFunc(flag, cobra.NoFileCompletions); err != nil {
			panic(err)
		}
	}
	for _, a := range o.others {
		if x, ok := a.(interface{ addCompletion(*cobra.Command) }); ok {
			x.addCompletion(c)
		}
	}
}
