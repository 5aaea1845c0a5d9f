package main

import (
	"io"
	"os"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/spf13/pflag"
	"golang.org/x/term"

	"github.com/tcplife/tcplife/report"
)

// screenOptions are the flags that say how text is shown.
type screenOptions struct {
	color, tz, times string
	utc              bool
	width            int
	zone             *time.Location
	colors           report.Colors
}

func (o *screenOptions) addFlags(f *pflag.FlagSet) {
	f.StringVar(&o.color, "color", "auto", "`when` text has colours: auto (on a terminal, unless NO_COLOR is set), always, never")
	f.IntVar(&o.width, "width", 0, "text: how many `columns` a line may have (default: the terminal's, or no limit)")
	f.StringVar(&o.times, "times", "", "text: print instants from the first frame (relative), of the clock (absolute), or in a drawing from the line before (delta)")
	f.StringVar(&o.tz, "tz", "UTC", "the time `zone` of the clock in text, and of --at, --since and --until: UTC, local, or a name such as Europe/Berlin")
	f.BoolVar(&o.utc, "utc", false, "the same as --tz UTC")
}

var colorModes = []string{"auto", "always", "never"}

// validate checks the flags and finds the zone.
func (o *screenOptions) validate() (err error) {
	if !slices.Contains(colorModes, o.color) {
		return usage("--color %q: give auto, always or never%s", o.color, didYouMean(o.color, colorModes))
	}
	if o.width < 0 {
		return usage("--width %d: give a number of columns, or 0 for the terminal's", o.width)
	}
	if _, ok := report.ParseTimes(o.times); o.times != "" && !ok {
		return usage("--times %q: give relative, absolute or delta%s", o.times, didYouMean(o.times, report.TimesNames()))
	}
	if o.utc {
		o.tz = "UTC"
	}
	o.zone, err = zone(o.tz)
	return err
}

// zone finds a time zone by its name.
func zone(name string) (*time.Location, error) {
	switch strings.ToLower(name) {
	case "", "utc", "z":
		return time.UTC, nil
	case "local":
		return time.Local, nil
	}
	z, err := time.LoadLocation(name)
	if err != nil {
		// A name without its region: Berlin.
		for _, region := range []string{"Europe", "America", "Asia", "Africa", "Australia", "Pacific", "Atlantic", "Indian"} {
			if _, e := time.LoadLocation(region + "/" + name); e == nil {
				return nil, usage(`--tz %q: no such time zone; did you mean %q?`, name, region+"/"+name)
			}
		}
		return nil, usage("--tz %q: no such time zone here: give UTC, local, or a name of the tz database such as Europe/Berlin", name)
	}
	return z, nil
}

// apply says what the report's reader can show.
func (o *screenOptions) apply(out io.Writer, toFile bool, opts *report.Options) {
	tty := !toFile && isTerminal(out)
	if tty {
		opts.Width, _, _ = term.GetSize(int(out.(*os.File).Fd()))
	}
	if o.width > 0 {
		opts.Width = o.width
	}
	opts.Colors = o.colors
	opts.Color = colored(o.color, tty)
	opts.ASCII = !unicodeShown()
	opts.Times, _ = report.ParseTimes(o.times)
	opts.Zone = o.zone
}

// colored decides about colours: what was asked for on the command line, then NO_COLOR
// (no-color.org), CLICOLOR_FORCE and CLICOLOR (bixense.com/clicolors), then whether it
// is a terminal that has them.
func colored(mode string, tty bool) bool {
	switch mode {
	case "always":
		return true
	case "never":
		return false
	}
	switch {
	case os.Getenv("NO_COLOR") != "":
		return false
	case os.Getenv("CLICOLOR_FORCE") != "" && os.Getenv("CLICOLOR_FORCE") != "0":
		return true
	case os.Getenv("CLICOLOR") == "0":
		return false
	}
	return tty && os.Getenv("TERM") != "dumb"
}

// colorWished reports whether the environment says something about colours.
func colorWished() bool {
	return os.Getenv("NO_COLOR") != "" || os.Getenv("CLICOLOR_FORCE") != "" && os.Getenv("CLICOLOR_FORCE") != "0" || os.Getenv("CLICOLOR") == "0"
}

// unicodeShown reports whether what reads the output knows more than ASCII. A locale
// that says nothing says nothing against it: containers, cron and Windows have none,
// and nearly every terminal is UTF-8.
func unicodeShown() bool {
	if runtime.GOOS == "windows" {
		return true
	}
	for _, name := range []string{"LC_ALL", "LC_CTYPE", "LANG"} {
		if v := os.Getenv(name); v != "" {
			v = strings.ToLower(v)
			return strings.Contains(v, "utf-8") || strings.Contains(v, "utf8")
		}
	}
	return true
}
