package check

import (
	"encoding/json"
	"io"
	"time"
)

// The JSON of a difference; times are seconds.
type (
	diffJSON struct {
		Type        string           `json:"type"`
		Schema      int              `json:"schema"`
		Before      populationJSON   `json:"before"`
		After       populationJSON   `json:"after"`
		Level       float64          `json:"level"`
		Changed     int              `json:"changed"`
		Comparisons []comparisonJSON `json:"comparisons"`
		Came        []string         `json:"came"`
		Went        []string         `json:"went"`
	}
	populationJSON struct {
		Capture     string   `json:"capture"`
		Connections uint64   `json:"connections"`
		Duration    float64  `json:"duration"`
		Remarks     []string `json:"remarks,omitempty"`
	}
	comparisonJSON struct {
		What     string     `json:"what"`
		TheSame  []string   `json:"the_same,omitempty"`
		Test     string     `json:"test"`
		Before   sampleJSON `json:"before"`
		After    sampleJSON `json:"after"`
		P        float64    `json:"p"`
		Adjusted float64    `json:"p_adjusted"`
		Changed  bool       `json:"changed"`
	}
	sampleJSON struct {
		Count  *uint64  `json:"count,omitempty"`
		Of     uint64   `json:"of"`
		Median *float64 `json:"p50,omitempty"`
		P90    *float64 `json:"p90,omitempty"`
		P99    *float64 `json:"p99,omitempty"`
	}
)

// JSON writes a difference for programs: every comparison, those beyond noise first.
func (d *Difference) JSON(w io.Writer) error {
	population := func(p *Population) populationJSON {
		return populationJSON{p.Name, p.Connections, p.Span.Seconds(), p.remarks}
	}
	out := diffJSON{Type: "diff", Schema: 1, Before: population(d.Before), After: population(d.After), Level: d.Level, Changed: d.Changed(),
		Comparisons: []comparisonJSON{}, Came: append([]string{}, d.Came...), Went: append([]string{}, d.Went...)}
	for i := range d.Comparisons {
		c := &d.Comparisons[i]
		x := comparisonJSON{What: c.What, TheSame: c.Others, Test: "fisher", P: c.P, Adjusted: c.Adjusted, Changed: c.Changed}
		if c.Times {
			x.Test = "kolmogorov-smirnov"
		}
		x.Before, x.After = c.sample(0), c.sample(1)
		out.Comparisons = append(out.Comparisons, x)
	}
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(out)
}

func (c *Comparison) sample(i int) sampleJSON {
	if !c.Times {
		return sampleJSON{Count: &c.Count[i], Of: c.Of[i]}
	}
	seconds := func(d time.Duration) *float64 {
		s := d.Seconds()
		return &s
	}
	return sampleJSON{Of: c.N[i], Median: seconds(c.Median[i]), P90: seconds(c.P90[i]), P99: seconds(c.P99[i])}
}
