package main

import (
	"context"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/tcplife/tcplife/check"
)

// diffOptions are the flags of diff.
type diffOptions struct {
	checkOptions
	level    float64
	exitCode bool
}

const diffExit = `EXIT STATUS, the first that applies:
  130  interrupted; nothing is compared
  2    the command line is wrong
  4    an input could not be opened
  5    the report could not be written
  3    an input is damaged; what can be read of it is compared
  1    something changed beyond noise, and --exit-code was given
  0    done`

var diffFormats = []string{"json", "text"}

func (o *diffOptions) addFlags(f *pflag.FlagSet) {
	f.StringVarP(&o.format, "format", "f", "text", "the `format` to print: "+strings.Join(diffFormats, ", "))
	f.StringVarP(&o.output, "output", "o", "", "write the report to this `file` instead of standard output")
	f.BoolVarP(&o.all, "all", "a", false, "text: list what is within noise, too")
	f.Float64Var(&o.level, "level", 0.01, "the `probability` of a false alarm, over all comparisons")
	f.BoolVar(&o.exitCode, "exit-code", false, "exit with 1 if something changed beyond noise")
	f.StringArrayVar(&o.selection.wish.Filters, "filter", nil, "only connections for which this `expression` holds (tcplife explain fields); may be repeated")
	f.BoolVar(&o.mergeEncap, "merge-encap", false, "equal tuples in different VLANs or tunnels are one connection")
	f.StringArrayVar(&o.profiles, "profile", nil, "the `profile` of the hosts' timers: "+strings.Join(profileNames(), ", ")+" or a file, or NETWORK=one of these; may be repeated")
	f.BoolVar(&o.quiet, "quiet", false, "no progress and no warnings on standard error: only what went wrong")
	f.BoolVar(&o.verbose, "verbose", false, "say on standard error which files of a folder were passed over, and why frames held no TCP")
	f.IntVarP(&o.jobs, "jobs", "j", 0, "goroutines that track connections, 0 for one per core; the output is the same for any number")
	f.SortFlags = false
}

func (o *diffOptions) validate() error {
	if !slices.Contains(diffFormats, o.format) {
		return usage("--format: unknown format %q: there are %s%s", o.format, strings.Join(diffFormats, ", "), didYouMean(o.format, diffFormats))
	}
	if !(o.level > 0 && o.level < 1) {
		return usage("--level %g: give a probability between 0 and 1, such as 0.01", o.level)
	}
	if err := o.selection.validate(nil); err != nil {
		return err
	}
	return o.validateInput()
}

func newDiff(s *streams) *cobra.Command {
	var o diffOptions
	c := &cobra.Command{
		Use:   "diff BEFORE AFTER",
		Short: "Compare two captures as populations: what changed beyond noise",
		Long: `Reads two captures, or two folders of them, from before and after a change, and
compares their connections as populations: outcomes, handshakes, how and by whom
connections are closed, findings, and the distributions of round trips, of durations
and of the times in each state, over all and by server port.

What chance alone hardly does comes first; what came and what went, and how many
comparisons are within noise, behind it.`,
		Example: `  tcplife diff before.pcap after.pcap
  tcplife diff before.pcap after.pcap --filter 'server.port == 443' --all
  tcplife diff before.pcap after.pcap --format json --exit-code`,
		Annotations: map[string]string{exitNote: diffExit},
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 2 {
				return usage("diff takes two captures, that of before and that of after; %d were given", len(args))
			}
			if slices.Contains(args, "") {
				return usage("diff: a file's name is empty")
			}
			return nil
		},
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
	completeFlags(c, map[string]cobra.CompletionFunc{
		"format": cobra.FixedCompletions(diffFormats, cobra.ShellCompDirectiveNoFileComp),
		"filter": completeFilter,
	}, "jobs", "level")
	return c
}

func (o *diffOptions) run(ctx context.Context, s *streams, args []string) error {
	if args[0] == "-" && args[1] == "-" {
		return usage("diff: standard input is given twice, and can be read once")
	}
	r := &reporting{analyzeOptions: &o.analyzeOptions, s: s}
	var two [2]*check.Population
	for i, arg := range args {
		in, err := o.expand(s, []string{arg})
		if err == nil {
			err = r.prepare(in)
		}
		if err != nil {
			return err
		}
		run, population, err := check.Survey(&o.selection.wish)
		if err != nil {
			return usage("%w", err)
		}
		title, err := r.read(ctx, in, run)
		if err == nil {
			run.Result(title)
			if fault := run.Fault(); fault != nil {
				s.say(fault)
			}
		}
		if err != nil || ctx.Err() != nil {
			return r.judged(ctx, err)
		}
		population.Name = title
		two[i] = population
	}
	d := check.Diff(two[0], two[1], o.level)
	r.reached = o.exitCode && d.Changed() > 0
	return r.finish(ctx, nil, func(w io.Writer) error {
		if o.format == "json" {
			return d.JSON(w)
		}
		return d.Text(w, o.all)
	})
}
