package main

import (
	"bytes"
	"io"
	"os"
	"testing"

	"github.com/tcplife/tcplife/report"
)

// TestColored looks at when colours are used.
func TestColored(t *testing.T) {
	for _, x := range []struct {
		mode, noColor, force, clicolor, term string
		tty, want                            bool
	}{
		{"auto", "", "", "", "xterm", true, true},
		{"auto", "1", "", "", "xterm", true, false},
		{"auto", "", "", "", "dumb", true, false},
		{"auto", "", "", "", "xterm", false, false},
		{"auto", "", "1", "", "xterm", false, true},
		{"auto", "", "1", "", "dumb", false, true},
		{"auto", "", "0", "", "xterm", false, false},
		{"auto", "1", "1", "", "xterm", true, false},
		{"auto", "", "", "0", "xterm", true, false},
		{"auto", "", "", "1", "xterm", true, true},
		{"never", "", "1", "", "xterm", true, false},
		{"always", "1", "", "0", "dumb", false, true},
	} {
		for name, v := range map[string]string{"NO_COLOR": x.noColor, "CLICOLOR_FORCE": x.force, "CLICOLOR": x.clicolor, "TERM": x.term} {
			t.Setenv(name, v)
		}
		if got := colored(x.mode, x.tty); got != x.want {
			t.Errorf("%+v: colour %v", x, got)
		}
	}
}

func TestUnicodeShown(t *testing.T) {
	for _, x := range []struct {
		all, ctype, lang string
		want             bool
	}{
		{"", "", "", true},
		{"", "", "de_DE.UTF-8", true},
		{"", "", "C.utf8", true},
		{"C", "", "de_DE.UTF-8", false},
		{"", "POSIX", "de_DE.UTF-8", false},
		{"", "", "en_US.ISO-8859-1", false},
		{"en_US.UTF-8", "C", "C", true},
	} {
		t.Setenv("LC_ALL", x.all)
		t.Setenv("LC_CTYPE", x.ctype)
		t.Setenv("LANG", x.lang)
		if got := unicodeShown(); got != x.want {
			t.Errorf("%+v: %v", x, got)
		}
	}
}

func TestZones(t *testing.T) {
	for _, good := range []string{"", "UTC", "utc", "local", "Europe/Berlin"} {
		if _, err := zone(good); err != nil {
			t.Error(err)
		}
	}
	for bad, want := range map[string]string{"Berlin": `did you mean "Europe/Berlin"?`, "Nowhere/At All": "no such time zone here"} {
		if _, err := zone(bad); err == nil || !bytes.Contains([]byte(err.Error()), []byte(want)) {
			t.Errorf("%s: %v", bad, err)
		}
	}
}

// TestScreen looks at a terminal: a pseudo terminal has colours and a width, and a file
// that the report goes to has not.
func TestScreen(t *testing.T) {
	tty, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		t.Skipf("wants a pseudo terminal: %v", err)
	}
	defer tty.Close()
	for _, name := range []string{"NO_COLOR", "CLICOLOR_FORCE", "CLICOLOR"} {
		t.Setenv(name, "")
	}
	t.Setenv("TERM", "xterm")
	for _, x := range []struct {
		out    io.Writer
		toFile bool
		color  bool
	}{{tty, false, true}, {tty, true, false}, {&bytes.Buffer{}, false, false}} {
		o := screenOptions{color: "auto", width: 77}
		var opts report.Options
		o.apply(x.out, x.toFile, &opts)
		if opts.Color != x.color || opts.Width != 77 {
			t.Errorf("%v, to a file %v: %+v", x.out, x.toFile, opts)
		}
	}
}
