package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/tcplife/tcplife/capture/bpf"
	"github.com/tcplife/tcplife/report"
)

// Exit codes, as in the help texts; scripts rely on them. The first that applies
// wins, in this order: interrupted, usage, open, output, damaged, findings, OK.
const (
	exitOK          = 0
	exitFindings    = 1   // findings at or above --fail-on
	exitUsage       = 2   // the command line is wrong
	exitDamaged     = 3   // an input is damaged; the report covers what can be read
	exitOpen        = 4   // an input could not be opened
	exitOutput      = 5   // the report could not be written
	exitInterrupted = 130 // stopped by a signal; the report covers what was read
)

// A command's annotation exitNote is the end of its help text.
const (
	exitNote    = "exit status"
	analyzeExit = `EXIT STATUS, the first that applies:
  130  interrupted; everything read so far is reported
  2    the command line is wrong
  4    an input could not be opened; the others are reported
  5    the report could not be written
  3    an input is damaged; everything that can be read of it is reported
  1    there are findings at or above --fail-on
  0    done; also when standard output was closed early, as by head`
	printExit = `EXIT STATUS
  0    done
  2    the command line is wrong
  5    the text could not be written`
)

// exitError carries an exit code through cobra. A nil err says nothing on stderr.
type exitError struct {
	code int
	err  error
}

func (e *exitError) Error() string {
	if e.err == nil {
		return fmt.Sprintf("exit status %d", e.code)
	}
	return e.err.Error()
}

func (e *exitError) Unwrap() error { return e.err }

func usage(format string, args ...any) error {
	return &exitError{exitUsage, fmt.Errorf(format, args...)}
}

// streams are the program's standard streams; tests put others in their place.
type streams struct {
	in io.Reader
	// err takes texts that may hold anything: what steers a terminal is taken out.
	out, err io.Writer
	// terminal is standard error itself, for what is drawn there; nil if it is no file.
	terminal       *os.File
	quiet, verbose bool
	progress       *progress
	// filter selects the frames of what is opened; nil for all.
	filter bpf.Compiler
}

func newStreams(in io.Reader, out, errOut io.Writer) *streams {
	s := &streams{in: in, out: out, err: harmlessWriter{errOut}}
	s.terminal, _ = errOut.(*os.File)
	return s
}

// checked remembers the first error of writing, which printing functions drop.
type checked struct {
	w   io.Writer
	err error
}

func (c *checked) Write(p []byte) (int, error) {
	n, err := c.w.Write(p)
	if c.err == nil {
		c.err = err
	}
	return n, err
}

// run executes one command line and returns the exit code.
func run(ctx context.Context, args []string, in io.Reader, out, errOut io.Writer) int {
	s := newStreams(in, out, errOut)
	errOut = s.err
	root := newRoot(s)
	root.SetArgs(args)
	root.SetIn(in)
	// What cobra and the commands other than analyze print goes through here.
	text := &checked{w: out}
	root.SetOut(text)
	root.SetErr(errOut)
	cmd, err := root.ExecuteContextC(ctx)
	s.pause()
	if err == nil && text.err != nil {
		err = outputError(text.err, true)
	}
	if err == nil {
		return exitOK
	}
	var e *exitError
	if !errors.As(err, &e) {
		e = &exitError{exitUsage, err} // cobra's own errors are about flags and arguments
	}
	if e.err == nil {
		return e.code
	}
	s.say(e)
	if e.code == exitUsage {
		if cmd == root && len(args) > 0 && isFile(args[0]) {
			fmt.Fprintf(errOut, "To report on that file run 'tcplife analyze %s'.\n", args[0])
		}
		if cmd.Name() == "help" {
			cmd = root
		}
		fmt.Fprintf(errOut, "Run '%s --help' for what it takes.\n", cmd.CommandPath())
	}
	return e.code
}

func isFile(path string) bool {
	st, err := os.Stat(path)
	return err == nil && !st.IsDir()
}

func newRoot(s *streams) *cobra.Command {
	root := &cobra.Command{
		Use:   "tcplife",
		Short: "Tell the life of every TCP connection in a packet capture",
		Long: `tcplife follows both endpoints of every TCP connection in a packet capture
through their states, from SYN to CLOSED, and says who did what, when, how it is
known, what went wrong, and what to do about it.`,
		Example: `  tcplife analyze capture.pcap
  tcpdump -U -w - tcp | tcplife analyze -
  tcplife explain lost-final-ack`,
		Annotations: map[string]string{exitNote: printExit},
		Version:     version(),
		Args: func(c *cobra.Command, args []string) error {
			if len(args) == 0 {
				return nil
			}
			var names []string
			for _, sub := range c.Commands() {
				names = append(names, sub.Name())
			}
			return usage("there is no command %q%s", args[0], didYouMean(args[0], names))
		},
		RunE: func(c *cobra.Command, _ []string) error {
			help(c, nil)
			return nil
		},
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	root.SetVersionTemplate("tcplife {{.Version}}\n")
	root.SetHelpFunc(help)
	root.SetUsageTemplate(strings.ReplaceAll(root.UsageTemplate(), ".LocalFlags.FlagUsages", "wrapped .LocalFlags"))
	root.SetFlagErrorFunc(flagError)
	root.SetHelpCommand(newHelp())
	// Commands and flags are few: the order of their declaration says more than the
	// alphabet.
	cobra.EnableCommandSorting = false
	root.AddCommand(newAnalyze(s), newLive(s), newCheck(s), newDiff(s), newExtract(s), newExplain(), newVersion(), newMan())
	return root
}

// flagError is what is said of a wrong flag: which one may have been meant.
func flagError(c *cobra.Command, err error) error {
	var invalid *pflag.InvalidValueError
	if errors.As(err, &invalid) {
		if give := valueKinds[invalid.GetFlag().Value.Type()]; give != "" {
			return usage("--%s %s: give %s", invalid.GetFlag().Name, invalid.GetValue(), give)
		}
	}
	var unknown *pflag.NotExistError
	if !errors.As(err, &unknown) {
		return usage("%w", err)
	}
	name := unknown.GetSpecifiedName()
	if short := unknown.GetSpecifiedShortnames(); short != "" {
		// -census for --census: the first letter that is no flag is complained about.
		if whole := strings.TrimLeft(short, "-"); c.Flags().Lookup(whole) != nil {
			return usage("unknown flag: -%s; did you mean --%s?", whole, whole)
		}
		return usage("unknown flag: -%s", name)
	}
	var names []string
	c.Flags().VisitAll(func(f *pflag.Flag) { names = append(names, f.Name) })
	hint := ""
	if near := report.Nearest(name, names); near != "" {
		hint = "; did you mean --" + near + "?"
	}
	return usage("unknown flag: --%s%s", name, hint)
}

// valueKinds say what a flag of a type takes; the parsers' own errors are Go's.
var valueKinds = map[string]string{
	"int": "a whole number", "duration": "a time such as 1s, 100ms or 5m", "bool": "true or false",
}

func init() {
	// As wide as what explain prints: broken lines of a list are hard to read.
	cobra.AddTemplateFunc("wrapped", func(f *pflag.FlagSet) string { return f.FlagUsagesWrapped(explainWidth) })
}

// help prints a help text with the exit status last, where people look for it.
func help(c *cobra.Command, _ []string) {
	long := c.Long
	if long == "" {
		long = c.Short + "."
	}
	long = strings.TrimSpace(long)
	if !strings.Contains(c.CommandPath(), " completion") { // cobra's own, with code in it
		long = fill(long, "", explainWidth)
	}
	text := long + "\n\n" + c.UsageString()
	if exits := c.Annotations[exitNote]; exits != "" {
		text += "\n" + exits + "\n"
	}
	fmt.Fprint(c.OutOrStdout(), text)
}

// newHelp takes the place of cobra's help command, which exits with 0 and prints
// to standard output when there is no such command.
func newHelp() *cobra.Command {
	return &cobra.Command{
		Use:   "help [COMMAND]",
		Short: "Print the help of a command",
		RunE: func(c *cobra.Command, args []string) error {
			of, rest, err := c.Root().Find(args)
			if err != nil || len(rest) > 0 {
				return usage("help: there is no command %q", strings.Join(args, " "))
			}
			of.InitDefaultHelpFlag()
			of.InitDefaultVersionFlag()
			help(of, nil)
			return nil
		},
		ValidArgsFunction: func(c *cobra.Command, args []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
			var names []cobra.Completion
			if len(args) == 0 {
				for _, sub := range c.Root().Commands() {
					if sub.IsAvailableCommand() {
						names = append(names, cobra.CompletionWithDesc(sub.Name(), sub.Short))
					}
				}
			}
			return names, cobra.ShellCompDirectiveNoFileComp
		},
	}
}
