package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"golang.org/x/term"
)

// output is where a report goes.
type output struct {
	*bufio.Writer
	file *os.File // of --output; nil for standard output
	err  error    // the first error of writing
}

// isTerminal reports whether w is one.
func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// openOutput opens the file of --output, or takes standard output. failed is
// called when writing fails: to wait for more input is of no use then.
func openOutput(s *streams, path string, failed func()) (*output, error) {
	o := &output{}
	// On one screen with the report there can be no progress. Where the report goes
	// elsewhere there can.
	shared := path == "" && isTerminal(s.out)
	var w io.Writer = s.out
	if path != "" {
		f, err := os.Create(path)
		if err != nil {
			var pe *fs.PathError
			if errors.As(err, &pe) {
				err = pe.Err
			}
			return nil, &exitError{exitOutput, fmt.Errorf("--output: create %s: %w (check the folder and its permissions)", path, err)}
		}
		o.file, w = f, f
	}
	o.Writer = bufio.NewWriterSize(writerFunc(func(p []byte) (int, error) {
		if shared {
			s.pause()
		}
		n, err := w.Write(p)
		if err != nil && o.err == nil {
			o.err = err
			failed()
		}
		return n, err
	}), 1<<16)
	return o, nil
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }

// Close writes what is left. A disk that is full may say so only now.
func (o *output) Close() error {
	err := o.Flush()
	if o.file != nil {
		if e := o.file.Close(); err == nil {
			err = e
		}
	}
	return err
}

// outputError is the end of a report that could not be written. A reader of
// standard output that has seen enough (`| head`) is no error.
func outputError(err error, stdout bool) error {
	if stdout && readerGone(err) {
		return nil
	}
	return &exitError{exitOutput, fmt.Errorf("writing the report: %w", err)}
}

// sameFile reports whether two paths name one file.
func sameFile(a, b string) bool {
	x, err := os.Stat(a)
	if err != nil {
		return false
	}
	y, err := os.Stat(b)
	return err == nil && x.Mode().IsRegular() && os.SameFile(x, y)
}
