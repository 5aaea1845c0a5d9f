package check

import (
	"cmp"
	"fmt"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/tcplife/tcplife/reassembly"
	"github.com/tcplife/tcplife/report"
	"github.com/tcplife/tcplife/wire"
)

// timed is one time that a connection took for something.
type timed struct {
	d time.Duration
	// whole: it was seen to its end. Otherwise it took at least as long.
	whole  bool
	frames []wire.FrameID
}

var percentileKey = regexp.MustCompile(`^p([0-9]{1,2}(?:\.[0-9]{1,3})?)$`)

// timeItems reads bounds on times: of percentiles, the shortest and the longest.
func (l *loader) timeItems(g *group, n *yaml.Node, what, nothing string, of func(c *life, take func(timed))) {
	l.group(n, what, func(k, v *yaml.Node) {
		i := &timeItem{head: l.head(g, k, what+" "+k.Value), nothing: nothing, of: of}
		switch m := percentileKey.FindStringSubmatch(k.Value); {
		case m != nil:
			i.percent, _ = strconv.ParseFloat(m[1], 64)
		case k.Value == "median":
			i.percent = 50
		case k.Value == "max":
			i.percent = 100
		case k.Value == "min":
		default:
			l.unknown(k, what, []string{"min", "median", "max", "p50", "p90", "p95", "p99"})
			return
		}
		if i.bound = l.bound(v, k.Value, times); i.bound != nil {
			g.items = append(g.items, i)
		}
	})
}

func (l *loader) dwellItems(g *group, n *yaml.Node) {
	states := slices.DeleteFunc(slices.Clone(report.LookupField("final.client").Words), func(s string) bool {
		return s == reassembly.Closed.String() || s == reassembly.Listen.String()
	})
	l.group(n, "dwell", func(k, v *yaml.Node) {
		side, state, both := parseEndpoint(k.Value)
		if !slices.Contains(states, state) {
			what := fmt.Sprintf("dwell: %q is no state in which one can stay", state)
			if near := report.Nearest(state, states); near != "" {
				l.fail(k, "%s; did you mean %q?", what, near)
			} else {
				l.fail(k, "%s: give one of %s, and before it client or server", what, strings.Join(states, ", "))
			}
			return
		}
		if side < 0 {
			l.fail(k, "dwell: %q: give a state, or client or server before one", k.Value)
			return
		}
		l.timeItems(g, v, "dwell "+k.Value, "nobody was seen in that state", func(c *life, take func(timed)) {
			for s := range c.stays {
				if !both && s != side {
					continue
				}
				for _, stay := range c.stays[s] {
					if stay.state.String() == state && (stay.whole || stay.lasting) {
						t := timed{d: stay.dwell, whole: stay.whole}
						for _, f := range []wire.FrameID{stay.frame, stay.until} {
							if f != 0 {
								t.frames = append(t.frames, f)
							}
						}
						take(t)
					}
				}
			}
		})
	})
}

// parseEndpoint reads "client TIME_WAIT", or "TIME_WAIT" for both sides. side is -1
// when there is something else in it.
func parseEndpoint(s string) (side int, state string, both bool) {
	words := strings.FieldsFunc(s, func(r rune) bool { return r == ' ' || r == '.' })
	switch {
	case len(words) == 1:
		return 0, words[0], true
	case len(words) == 2:
		return slices.Index(sides, words[0]), words[1], false
	}
	return -1, s, false
}

// timeItem bounds one percentile of some times.
type timeItem struct {
	head    Verdict
	percent float64 // 0 is the shortest, 100 the longest
	bound   *bound
	nothing string
	of      func(c *life, take func(timed))
}

func (i *timeItem) begin() counter { return &timeCounter{timeItem: i} }

type timeCounter struct {
	*timeItem
	spread  spread
	lasting uint64
	// beyond counts those that are outside of the bound themselves.
	beyond uint64
	// slowest and fastest show which they were.
	slowest, fastest extremes
}

func (c *timeCounter) see(l *life) {
	c.of(l, func(t timed) {
		if !t.whole {
			// It took at least that long: enough to break an upper bound, and nothing else.
			if !c.bound.upper() {
				return
			}
			c.lasting++
		}
		c.spread.add(t.d)
		if ok, _ := c.bound.holdsTime(t.d); !ok {
			c.beyond++
		}
		show := func() Evidence {
			text := span(t.d)
			if !t.whole {
				text += " so far, and it lasts"
			}
			return l.evidence(t.frames, text)
		}
		c.slowest.add(t.d, show)
		c.fastest.add(-t.d, show)
	})
}

func (c *timeCounter) verdict(uint64) Verdict {
	v := c.head
	v.Expected = c.bound.String()
	if c.spread.count == 0 {
		v.Failed, v.Found = true, c.nothing
		return v
	}
	// Where it is known within a bucket only, what may be within the bound is.
	low, high := c.spread.percentile(c.percent)
	ok, over := c.bound.holdsTime(low)
	if !ok {
		ok, over = c.bound.holdsTime(high)
	}
	v.Failed, v.Found = !ok, fmt.Sprintf("%s, of %d", span(high), c.spread.count)
	if c.lasting > 0 {
		v.Found += fmt.Sprintf(" (%d of them last and count with what was seen of them)", c.lasting)
	}
	switch {
	case ok:
	case over:
		c.slowest.into(&v, c.beyond)
	default:
		c.fastest.into(&v, c.beyond)
	}
	return v
}

// maxExact is how many times are kept as they are; beyond, they fall into buckets that
// are up to 1/32 wide.
const maxExact = 1 << 16

// spread knows the percentiles of times.
type spread struct {
	buckets
	exact    []time.Duration
	min, max time.Duration
}

func (s *spread) add(d time.Duration) {
	if s.count == 0 {
		s.min = d
	}
	s.min, s.max = min(s.min, d), max(s.max, d)
	s.buckets.add(d)
	if s.count <= maxExact {
		s.exact = append(s.exact, d)
	} else {
		s.exact = nil
	}
}

// percentile returns the value that p percent do not exceed, by nearest rank. Where there
// are too many to be kept it lies between low and high, which are the same otherwise.
func (s *spread) percentile(p float64) (low, high time.Duration) {
	switch {
	case s.count == 0:
		return 0, 0
	case p == 0:
		return s.min, s.min
	case p == 100:
		return s.max, s.max
	}
	rank := uint64(math.Ceil(p / 100 * float64(s.count)))
	rank = min(max(rank, 1), s.count)
	if s.exact != nil {
		slices.Sort(s.exact)
		return s.exact[rank-1], s.exact[rank-1]
	}
	low, high = s.at(rank)
	return max(low, s.min), min(high, s.max)
}

// extremes keeps the examples with the largest values, the earlier first among equals.
type extremes struct {
	values []time.Duration
	shown  []Evidence
}

func (x *extremes) add(d time.Duration, show func() Evidence) {
	at, _ := slices.BinarySearchFunc(x.values, d, func(a, b time.Duration) int { return cmp.Or(cmp.Compare(b, a), -1) })
	if at == maxEvidence {
		return
	}
	x.values, x.shown = slices.Insert(x.values, at, d), slices.Insert(x.shown, at, show())
	if len(x.values) > maxEvidence {
		x.values, x.shown = x.values[:maxEvidence], x.shown[:maxEvidence]
	}
}

func (x *extremes) into(v *Verdict, of uint64) {
	v.Evidence = x.shown[:min(uint64(len(x.shown)), of)]
	v.More = of - uint64(len(v.Evidence))
}

// span prints a time with three significant digits.
func span(d time.Duration) string {
	for _, u := range []struct {
		unit time.Duration
		name string
	}{{time.Second, "s"}, {time.Millisecond, "ms"}, {time.Microsecond, "us"}} {
		if d >= u.unit || -d >= u.unit {
			f := float64(d) / float64(u.unit)
			decimals := 2
			if math.Abs(f) >= 100 {
				decimals = 0
			} else if math.Abs(f) >= 10 {
				decimals = 1
			}
			text := strconv.FormatFloat(f, 'f', decimals, 64)
			if strings.Contains(text, ".") {
				text = strings.TrimRight(strings.TrimRight(text, "0"), ".")
			}
			return text + " " + u.name
		}
	}
	return fmt.Sprintf("%d ns", d.Nanoseconds())
}
