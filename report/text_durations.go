package report

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/tcplife/tcplife/census"
	"github.com/tcplife/tcplife/reassembly"
)

// dwell prints how long endpoints stayed in each state.
func (p *printer) dwell() {
	p.heading("Time spent in each state")
	g := grid{heads: []string{"state", "side", "stays"}, right: []bool{false, false}}
	for _, x := range percentiles {
		g.heads = append(g.heads, x.name)
	}
	g.heads = append(g.heads, "max", "unfinished", "assumed")
	g.right = append(g.right, slices.Repeat([]bool{true}, len(g.heads)-2)...)
	for state := range reassembly.StateCount {
		for side := range p.s.Durations.Dwell {
			d := &p.s.Durations.Dwell[side][state]
			if d.Count() == 0 && d.Unfinished == 0 && d.Assumed == 0 {
				continue
			}
			cells := []string{reassembly.State(state).String(), reassembly.Side(side).String(), number(d.Count())}
			for _, x := range percentiles {
				cells = append(cells, spanOf(&d.Histogram, d.Percentile(x.p)))
			}
			g.rows = append(g.rows, gridRow{cells: append(cells, spanOf(&d.Histogram, d.Max()), number(d.Unfinished), number(d.Assumed))})
		}
	}
	p.grid(&g)
	p.prose("  ", "  ", "Stays are those seen from their first segment to their last. Unfinished: they went on when the connection went out of sight. "+
		"Assumed: a timer of the host profile ended them, or they had begun before the capture.")
}

func spanOf(h *census.Histogram, d time.Duration) string {
	if h.Count() == 0 {
		return "-"
	}
	return span(d)
}

// rtt draws the handshakes' round trips as bcc's tools draw theirs.
func (p *printer) rtt() {
	p.heading("Round trips of the handshakes")
	for part, what := range [census.RTTParts]string{
		census.RTTWhole:      "Whole: SYN to the ACK of the SYN-ACK",
		census.RTTClientSide: "Client's side of the tap: SYN-ACK to its ACK",
		census.RTTServerSide: "Server's side of the tap: SYN to SYN-ACK",
	} {
		r := &p.s.Durations.RTT[part]
		if part > 0 {
			p.WriteByte('\n')
		}
		first, last, ok := r.Powers.Used()
		if !ok {
			p.linef("  %s: none was seen whole", what)
			continue
		}
		line := fmt.Sprintf("%s: %s,", what, plural(r.Count(), "handshake", "handshakes"))
		for _, x := range percentiles {
			line += " " + x.name + hard + strings.ReplaceAll(span(r.Percentile(x.p)), " ", hard) + ","
		}
		p.prose("  ", "    ", line+" max"+hard+strings.ReplaceAll(span(r.Max()), " ", hard))
		p.linef("     usecs               : count     distribution")
		most := uint64(0)
		for i := first; i <= last; i++ {
			most = max(most, r.Powers[i])
		}
		for i := first; i <= last; i++ {
			from, to := r.Powers.Bounds(i)
			p.linef("%10d -> %-10d : %-8d |%s|", from/time.Microsecond, to/time.Microsecond-1, r.Powers[i], left(stars(r.Powers[i], most), starsWidth))
		}
	}
}

// starsWidth is the width of a full bar.
const starsWidth = 40

// stars returns a bar for n of most; what is there is seen.
func stars(n, most uint64) string {
	if n == 0 {
		return ""
	}
	// In parts, since n*starsWidth could overflow.
	k := n / max(most/starsWidth, 1)
	if most < 1<<56 {
		k = n * starsWidth / most
	}
	return strings.Repeat("*", int(min(max(k, 1), starsWidth)))
}
