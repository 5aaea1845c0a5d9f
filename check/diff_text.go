package check

import (
	"fmt"
	"io"
	"strings"

	"github.com/tcplife/tcplife/report"
)

// Text writes a difference for people: what changed beyond noise first. With all,
// what did not is listed, too.
func (d *Difference) Text(w io.Writer, all bool) error {
	var b strings.Builder
	for _, x := range []struct {
		when string
		p    *Population
	}{{"before", d.Before}, {"after ", d.After}} {
		fmt.Fprintf(&b, "%s  %s: %s in %s\n", x.when, report.ShortName(x.p.Name), plural(x.p.Connections, "connection", "connections"), span(x.p.Span))
		for _, remark := range x.p.remarks {
			fmt.Fprintf(&b, "        %s\n", report.Printable(remark))
		}
	}
	changed := d.Changed()
	b.WriteByte('\n')
	if changed == 0 {
		b.WriteString("Nothing changed beyond noise.\n")
	} else {
		b.WriteString("Changed beyond noise\n")
		d.rows(&b, d.Comparisons[:changed])
	}
	for _, x := range []struct {
		what string
		list []string
	}{{"Came", d.Came}, {"Went", d.Went}} {
		if len(x.list) == 0 {
			continue
		}
		fmt.Fprintf(&b, "\n%s (beyond noise only where it stands above)\n", x.what)
		for _, line := range x.list {
			fmt.Fprintf(&b, "  %s\n", line)
		}
	}
	if rest := d.Comparisons[changed:]; len(rest) > 0 {
		if all {
			b.WriteString("\nWithin noise\n")
			d.rows(&b, rest)
		} else {
			fmt.Fprintf(&b, "\nWithin noise: %s (--all lists them).\n", plural(uint64(len(rest)), "comparison", "comparisons"))
		}
	}
	fmt.Fprintf(&b, `
Beyond noise is what chance alone does in fewer than %s of such pairs of captures: shares by
Fisher's exact test (two-sided), times by the two-sample Kolmogorov-Smirnov test and only where
p50, p90 or p99 (as they stand there, with their number) moved by 5%% or more; p is corrected for
%s (Holm).
Both take connections for independent of each other, so a single outage counts as often as it
met one.
`, percentOf(d.Level), plural(uint64(len(d.Comparisons)), "comparison", "comparisons"))
	_, err := io.WriteString(w, b.String())
	return err
}

func percentOf(level float64) string { return fmt.Sprintf("%g%%", level*100) }

func (d *Difference) rows(b *strings.Builder, rows []Comparison) {
	cells := [][4]string{{"", "before", "after", "p"}}
	var others [][]string
	for i := range rows {
		c := &rows[i]
		cells = append(cells, [4]string{c.What, c.side(0), c.side(1), probability(c.Adjusted)})
		others = append(others, c.Others)
	}
	var width [4]int
	for _, row := range cells {
		for i, s := range row {
			width[i] = max(width[i], len(s))
		}
	}
	for i, row := range cells {
		fmt.Fprintf(b, "  %s\n", strings.TrimRight(fmt.Sprintf("%-*s  %-*s  %-*s  %s", width[0], row[0], width[1], row[1], width[2], row[2], row[3]), " "))
		if i > 0 && len(others[i-1]) > 0 {
			fmt.Fprintf(b, "    the same: %s\n", strings.Join(others[i-1], "; "))
		}
	}
}

// side is what a comparison found before (0) or after (1).
func (c *Comparison) side(i int) string {
	if c.Times {
		return fmt.Sprintf("%s / %s / %s (%d)", span(c.Median[i]), span(c.P90[i]), span(c.P99[i]), c.N[i])
	}
	return found(c.Count[i], c.Of[i])
}

func probability(p float64) string {
	switch {
	case p >= 0.001:
		return fmt.Sprintf("%.3f", p)
	case p < 1e-15:
		return "< 1e-15" // beyond, rounding errors are larger
	}
	return fmt.Sprintf("%.0e", p)
}
