package report

import (
	"fmt"
	"slices"
	"strings"
)

// Flusher is a Format that can write out what it holds back. A live report calls
// Flush after each batch, so that a reader behind a pipe sees what has settled.
type Flusher interface {
	Flush() error
}

// formats holds each format's constructor by name. It is filled by package
// variables of this package's files, before main begins.
var formats = make(map[string]func() Format)

// register adds a format. It panics when the name is taken: two files of this
// package then claim the same name, which no input can cause.
func register(name string, build func() Format) struct{} {
	if _, taken := formats[name]; taken {
		panic("report: format " + name + " is registered twice")
	}
	formats[name] = build
	return struct{}{}
}

// Formats returns the names of all formats, sorted.
func Formats() []string {
	names := make([]string, 0, len(formats))
	for name := range formats {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

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
