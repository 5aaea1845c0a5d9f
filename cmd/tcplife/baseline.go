package main

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/pflag"

	"github.com/tcplife/tcplife/check"
)

// baselineOptions are the flags of check that compare with what was before.
type baselineOptions struct {
	read, write string
	update      bool
	tolerance   string

	// old is what was read, new what is to be written; nil where there is none.
	old, new  *check.Baseline
	allowance check.Tolerance
}

func (o *baselineOptions) addFlags(f *pflag.FlagSet) {
	f.StringVarP(&o.read, "baseline", "b", "", "compare with this `file`, which --write-baseline has made")
	f.StringVar(&o.write, "write-baseline", "", "write what becomes of the connections to this `file`, to be compared with later")
	f.BoolVar(&o.update, "update", false, "with --baseline: print what changed, and write the baseline anew")
	f.StringVar(&o.tolerance, "tolerance", "", "how far a time may be off, as a `share` of what it was and a span on top of it (default "+check.DefaultTolerance.String()+", or what the baseline was written with)")
}

func (o *baselineOptions) given() bool { return o.read != "" || o.write != "" }

// validate checks what can be checked without opening anything.
func (o *baselineOptions) validate() (err error) {
	switch {
	case o.read != "" && o.write != "":
		return usage("--baseline and --write-baseline: give one of the two; --baseline FILE --update writes it anew")
	case o.update && o.read == "":
		return usage("--update writes the file of --baseline anew, and none is given")
	case o.tolerance != "" && !o.given():
		return usage("--tolerance is that of a baseline, and none is given")
	}
	o.allowance = check.DefaultTolerance
	if o.tolerance != "" {
		if o.allowance, err = check.ParseTolerance(o.tolerance); err != nil {
			return usage("--tolerance: %w", err)
		}
	}
	return nil
}

// load reads the baseline, or sees whether one can be written.
func (o *baselineOptions) load() error {
	if o.write != "" {
		if _, err := os.Stat(o.write); err == nil {
			return usage("--write-baseline %s: it exists: compare with --baseline %[1]s, and write it anew with --update", o.write)
		}
		o.new = check.NewBaseline(o.allowance)
	}
	if o.read == "" {
		return nil
	}
	text, err := readText(o.read, mostBaseline)
	if errors.Is(err, fs.ErrNotExist) {
		return usage("--baseline: %w (--write-baseline %s makes one)", err, o.read)
	}
	if err != nil {
		return usage("--baseline: %w", err)
	}
	if o.old, err = check.LoadBaseline(o.read, text); err != nil {
		return usage("--baseline %w", err)
	}
	if o.tolerance == "" {
		o.allowance = o.old.Tolerance
	}
	if o.update {
		o.new = check.NewBaseline(o.allowance)
	}
	return nil
}

// compare holds what a run kept against the baseline.
func (r *checking) compare(run *check.Run, result *check.Result) error {
	o := &r.options.baselines
	if !o.given() {
		return nil
	}
	lives, err := run.Remembered(result.Capture)
	if err != nil {
		return usage("%w", err)
	}
	if o.new != nil {
		if o.new.Of(lives.Capture, false) != nil {
			return usage("two captures are called %s: a baseline tells them apart by that name", lives.Capture)
		}
		o.new.Captures = append(o.new.Captures, lives)
	}
	if o.old == nil {
		return nil
	}
	was := o.old.Of(result.Capture, !r.each)
	if was == nil {
		result.Verdicts = append(result.Verdicts, check.Verdict{What: "baseline exists", Kind: "baseline", Failed: true, At: check.Position{File: o.read},
			Expected: "a capture of the baseline", Found: "the baseline has no " + filepath.Base(result.Capture)})
		return nil
	}
	result.Verdicts = append(result.Verdicts, o.old.Compare(was, lives, o.allowance)...)
	return nil
}

// endBaseline says which captures of the baseline were not read, and writes the new one.
func (r *checking) endBaseline() error {
	o := &r.options.baselines
	if o.old != nil && r.each {
		var read []string
		for _, x := range r.results {
			read = append(read, x.Capture)
		}
		for _, name := range o.old.Missing(read) {
			r.results = append(r.results, &check.Result{Capture: name, Verdicts: []check.Verdict{{What: "baseline " + name, Kind: "baseline", Failed: true, At: check.Position{File: o.read},
				Expected: "the captures of the baseline", Found: "it was not read"}}})
			r.reached = true
		}
	}
	if o.new == nil {
		return nil
	}
	if r.unread || r.damaged {
		r.s.tell("the baseline is not written: an input could not be read whole")
		return nil
	}
	path := o.write
	if o.update {
		path, r.reached = o.read, false
		for _, x := range r.results {
			for i := range x.Verdicts {
				// What is expected besides is not made right by writing the baseline anew.
				r.reached = r.reached || x.Verdicts[i].Failed && x.Verdicts[i].Kind != "baseline"
			}
		}
	}
	var b bytes.Buffer
	if err := o.new.Write(&b); err != nil {
		return err
	}
	if err := replaceFile(path, b.Bytes()); err != nil {
		var pe *fs.PathError
		if errors.As(err, &pe) {
			err = pe.Err // its name is one that nobody knows
		}
		return &exitError{exitOutput, fmt.Errorf("write the baseline %s: %w (check the folder and its permissions)", path, err)}
	}
	n := 0
	for _, l := range o.new.Captures {
		n += len(l.Connections)
	}
	r.s.warn("%s is written: connections %d, captures %d", path, n, len(o.new.Captures))
	return nil
}

// replaceFile writes a file whole or not at all.
func replaceFile(path string, data []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), "."+strings.TrimPrefix(filepath.Base(path), ".")+"-*")
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if e := f.Close(); err == nil {
		err = e
	}
	if err == nil {
		err = os.Chmod(f.Name(), 0o644)
	}
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		os.Remove(f.Name())
	}
	return err
}
