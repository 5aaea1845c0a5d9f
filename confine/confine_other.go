//go:build !linux

package confine

import (
	"errors"
	"fmt"
	"runtime"
)

// Drop does nothing where there is no live capture.
func Drop(l Limits) (Outcome, error) {
	if l.User != "" {
		return Outcome{}, fmt.Errorf("become user %s on %s: %w", l.User, runtime.GOOS, errors.ErrUnsupported)
	}
	return Outcome{}, nil
}
