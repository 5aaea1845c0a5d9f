package record

import (
	"errors"
	"io"

	"github.com/tcplife/tcplife/capture"
	"github.com/tcplife/tcplife/wire"
)

// Extract says what Run writes, and how.
type Extract struct {
	Source capture.Source
	// Choice picks frames; nil for all.
	Choice *Choice
	// Notes are the comments; nil for none.
	Notes *Notes
	// Anonymizer, if set, makes every frame that is written anonymous.
	Anonymizer *Anonymizer
	To         Writer
}

// Run reads the source to its end and writes what is picked, and returns how many frames
// those are. The error is one of writing, or of a source that was closed before its end;
// damage is none: it stands in the source's Info.
func (e *Extract) Run() (written uint64, err error) {
	var f wire.Frame
	var comments []string
	for {
		if err := e.Source.Next(&f); err != nil {
			var damage *capture.DamageError
			if errors.As(err, &damage) {
				continue
			}
			if err == io.EOF {
				err = nil
			}
			return written, err
		}
		if e.Choice != nil && !e.Choice.Has(&f) {
			continue
		}
		if e.Anonymizer != nil {
			e.Anonymizer.Frame(&f)
		}
		if comments = comments[:0]; e.Notes != nil {
			comments = e.Notes.For(f.ID, comments)
		}
		if err := e.To.Write(&f, comments...); err != nil {
			return written, &WriteError{err}
		}
		written++
	}
}

// WriteError is an error of writing, and not of reading.
type WriteError struct{ Err error }

// Error returns the cause's text.
func (e *WriteError) Error() string { return e.Err.Error() }

// Unwrap returns the cause.
func (e *WriteError) Unwrap() error { return e.Err }

// Interfaces returns what PcapngOptions.Interface wants, from what a capture says of its
// inputs. Frames do not say by which interface they came: where an input has several of
// one link type, they are one here, without a name. plain leaves out all names.
func Interfaces(inputs []capture.Info, plain bool) func(f *wire.Frame) (int, Interface) {
	type key struct {
		input int
		link  wire.LinkType
	}
	numbers, all := map[key]int{}, []Interface{}
	number := func(k key) int {
		n, ok := numbers[k]
		if !ok {
			n = len(all)
			numbers[k] = n
			all = append(all, Interface{})
		}
		return n
	}
	for i := range inputs {
		seen := map[wire.LinkType]int{}
		for _, from := range inputs[i].Interfaces {
			n := number(key{i, from.Link})
			seen[from.Link]++
			is := &all[n]
			is.SnapLen = max(is.SnapLen, from.SnapLen)
			if is.Name, is.Description = from.Name, from.Description; seen[from.Link] > 1 || plain {
				is.Name, is.Description = "", ""
			}
			is.Received += from.Received
			is.Dropped += from.Dropped
			is.Counted = is.Counted || from.Counted
		}
	}
	return func(f *wire.Frame) (int, Interface) {
		n := number(key{f.ID.Input(), f.Link})
		return n, all[n]
	}
}
