package pipeline

import (
	"io"

	"github.com/tcplife/tcplife/report"
)

// Discard is a format that prints nothing, for passes that only look.
type Discard struct{}

// Begin does nothing.
func (Discard) Begin(io.Writer, *report.Options) error { return nil }

// Encode does nothing.
func (Discard) Encode(*report.Buffer, *report.Connection) {}

// Add does nothing.
func (Discard) Add(uint64, *report.Digest, *report.Buffer) error { return nil }

// Late does nothing.
func (Discard) Late(*report.Late) error { return nil }

// End does nothing.
func (Discard) End(*report.Summary) error { return nil }
