package report

import (
	"strings"
	"time"

	"github.com/tcplife/tcplife/wire"
)

// Life is one connection of a tuple, in a list of all of them.
type Life struct {
	ID uint64
	// Client is the end that opened it: it need not be the same in all lives.
	Client string
	Start  wire.Time
	Lasted time.Duration
	// Since is the time from the last segment of the life before; nil for the first.
	Since          *time.Duration
	Reason, Closer string
	Findings       []string
}

// ListLives writes a list of the lives of a tuple.
func ListLives(tuple string, lives []Life, o *Options) string {
	c := o.canvas()
	c.prose("", "  ", c.paintWords(bold, plural(uint64(len(lives)), "life", "lives")+" of "+tuple))
	g := grid{heads: []string{"#", "client", "start", "lasted", "since the last", "close", "closer", "findings"},
		right: []bool{true, false, false, true, true, false, false, false}}
	for _, l := range lives {
		since := "-"
		if l.Since != nil {
			since = span(*l.Since)
		}
		start := o.clock(l.Start)
		if o.Times == TimesRelative {
			start = "+" + span(l.Start.Sub(lives[0].Start))
		}
		g.rows = append(g.rows, gridRow{cells: []string{number(l.ID), l.Client, start, span(l.Lasted), since, l.Reason, l.Closer, strings.Join(l.Findings, " ")}})
	}
	c.grid(&g)
	return c.finish()
}
