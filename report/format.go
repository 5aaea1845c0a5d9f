package report

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Flusher is a Format that can write out what it holds back. A live report calls
// Flush after each batch, so that a reader behind a pipe sees what has settled.
type Flusher interface {
	Flush() error
}

// registry holds what makes or prints something in a format, by the format's name. It is
// filled by package variables of this package's files, before main begins.
type registry[T any] map[string]T

// add enters a format. It panics when the name is taken: two files of this package then
// claim the same name, which no input can cause.
func (r registry[T]) add(name string, how T) struct{} {
	if _, taken := r[name]; taken {
		panic(fmt.Sprintf("report: %s is registered twice as %T", name, how))
	}
	r[name] = how
	return struct{}{}
}

// names returns the names of the formats, sorted.
func (r registry[T]) names() []string { return slices.Sorted(maps.Keys(r)) }

// formats are those of whole reports.
var formats = make(registry[func() Format])

func register(name string, build func() Format) struct{} { return formats.add(name, build) }

// Formats returns the names of all formats, sorted.
func Formats() []string { return formats.names() }

// New returns a new format of the given name, for one report. The error for an
// unknown name says which names there are and which one may have been meant.
func New(name string) (Format, error) {
	if build, ok := formats[name]; ok {
		return build(), nil
	}
	names := Formats()
	msg := fmt.Sprintf("unknown report format %q: there are %s", name, strings.Join(names, ", "))
	if near := nearest(name, names); near != "" {
		msg += fmt.Sprintf("; did you mean %q?", near)
	}
	return nil, fmt.Errorf("%s", msg)
}

// Interim is a Format that can also print a connection that is still open, before Add
// prints it for good (Connection.Provisional).
type Interim interface {
	// AddInterim is Add for what was encoded of an open connection.
	AddInterim(id uint64, b *Buffer) error
}
