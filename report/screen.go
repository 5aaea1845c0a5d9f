package report

import (
	"time"

	"github.com/tcplife/tcplife/wire"
)

// What is drawn on a screen beside a report prints quantities, instants and colours as
// reports do.

// Number prints n with a comma between thousands.
func Number(n uint64) string { return number(n) }

// Count prints a number and its noun.
func Count(n uint64, one, many string) string { return plural(n, one, many) }

// Octets prints a length in decimal units: 1.2 MB is 1,200,000 octets.
func Octets(n uint64) string { return octets(n) }

// Span prints a duration with two or three significant digits.
func Span(d time.Duration) string { return span(d) }

// Clock prints an instant to the millisecond, in Options.Zone.
func (o *Options) Clock(t wire.Time) string { return o.clock(t) }

// TimeOfDay prints an instant to the millisecond without its day, in Options.Zone.
func (o *Options) TimeOfDay(t wire.Time) string { return o.in(t).Format("15:04:05.000") }

// ZoneName names the zone of the clock at an instant.
func (o *Options) ZoneName(t wire.Time) string { return o.zone(t) }

// Paint returns s in the colour of a part of the text ("error", "warning", "info",
// "good", "heading", "faint"), if colours are wanted.
func (o *Options) Paint(part, s string) string {
	c := canvas{color: o.Color, colors: o.Colors}
	return c.paint(colorParts[part], s)
}

// Shown returns s as the reader's terminal can show it.
func (o *Options) Shown(s string) string {
	if o.ASCII {
		return toASCII(s)
	}
	return s
}
