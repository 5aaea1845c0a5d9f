package main

import (
	"errors"
	"syscall"
)

// The errors of a pipe whose reader has gone; package syscall names only the
// first.
const errorNoData = syscall.Errno(232)

// readerGone reports whether err says that nobody reads the output any more.
func readerGone(err error) bool {
	return errors.Is(err, syscall.ERROR_BROKEN_PIPE) || errors.Is(err, errorNoData)
}
