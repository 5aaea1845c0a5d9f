package check

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// bound is what a number must keep to: "0", "<= 3", "1..5", ">= 1, < 10", "<= 1%" or,
// of times, "<= 100ms".
type bound struct {
	text       string
	conditions []condition
}

type condition struct {
	op string // one of operators
	// value is a count, a share in millionths, or a time in nanoseconds.
	value int64
	share bool
}

var operators = []string{"<=", ">=", "<", ">", "="}

// whole is a share of all, in millionths.
const whole = 1_000_000

// unit reads the values of one kind of bound.
type unit struct {
	// example is how such a bound is written.
	example string
	parse   func(s string) (value int64, share bool, err error)
}

var (
	counts = unit{`0, "<= 3", "1..5" or "<= 1%"`, parseCount}
	times  = unit{`"<= 100ms" or "1ms..2s"`, parseTime}
)

func parseCount(s string) (int64, bool, error) {
	if p, ok := strings.CutSuffix(s, "%"); ok {
		f, err := strconv.ParseFloat(strings.TrimSpace(p), 64)
		if err != nil || math.IsNaN(f) {
			return 0, false, fmt.Errorf("%q is no share such as 1%%", s)
		}
		if f < 0 || f > 100 {
			return 0, false, fmt.Errorf("%s is impossible: a share is from 0%% to 100%%", s)
		}
		return int64(math.Round(f * whole / 100)), true, nil
	}
	n, err := strconv.ParseInt(strings.ReplaceAll(s, "_", ""), 10, 64)
	if err != nil {
		if d, e := time.ParseDuration(s); e == nil && d != 0 {
			return 0, false, fmt.Errorf("%q is a time, and this is counted", s)
		}
		return 0, false, fmt.Errorf("%q is no number", s)
	}
	if n < 0 {
		return 0, false, fmt.Errorf("%s is impossible: nothing is counted below 0", s)
	}
	return n, false, nil
}

func parseTime(s string) (int64, bool, error) {
	d, err := time.ParseDuration(s)
	if err != nil {
		if _, e := strconv.ParseFloat(s, 64); e == nil {
			return 0, false, fmt.Errorf("%s has no unit: write %sms or %ss", s, s, s)
		}
		return 0, false, fmt.Errorf("%q is no time such as 100ms or 2s", s)
	}
	if d < 0 {
		return 0, false, fmt.Errorf("%s is impossible: no time is below 0", s)
	}
	return int64(d), false, nil
}

// parseBound reads a bound. Conditions with a comma between them must all hold.
func parseBound(text string, u unit) (*bound, error) {
	b := &bound{text: strings.TrimSpace(text)}
	if b.text == "" {
		return nil, fmt.Errorf("a bound is missing: give %s", u.example)
	}
	switch b.text {
	case "none":
		b.conditions = []condition{{op: "="}}
		return b, nil
	case "all":
		b.conditions = []condition{{op: "=", value: whole, share: true}}
		return b, nil
	}
	for part := range strings.SplitSeq(b.text, ",") {
		part = strings.TrimSpace(part)
		if low, high, ok := strings.Cut(part, ".."); ok {
			for _, x := range [...]struct{ op, value string }{{">=", low}, {"<=", high}} {
				if err := b.add(x.op, strings.TrimSpace(x.value), u); err != nil {
					return nil, err
				}
			}
			continue
		}
		op := "="
		for _, o := range operators {
			if rest, ok := strings.CutPrefix(part, o); ok {
				op, part = o, strings.TrimSpace(strings.TrimPrefix(rest, "=")) // == is understood, too
				break
			}
		}
		if err := b.add(op, part, u); err != nil {
			return nil, err
		}
	}
	return b, b.possible()
}

func (b *bound) add(op, value string, u unit) error {
	v, share, err := u.parse(value)
	if err != nil {
		return fmt.Errorf("%w: give %s", err, u.example)
	}
	b.conditions = append(b.conditions, condition{op, v, share})
	return nil
}

// possible reports why nothing can keep to the bound.
func (b *bound) possible() error {
	for _, share := range []bool{false, true} {
		low, high := int64(0), int64(math.MaxInt64)
		if share {
			high = whole
		}
		for _, c := range b.conditions {
			if c.share != share {
				continue
			}
			switch c.op {
			case "<":
				high = min(high, c.value-1)
			case "<=":
				high = min(high, c.value)
			case ">":
				low = max(low, c.value+1)
			case ">=":
				low = max(low, c.value)
			default:
				low, high = max(low, c.value), min(high, c.value)
			}
		}
		if low > high {
			return fmt.Errorf("%q is impossible: nothing can be that", b.text)
		}
	}
	return nil
}

// holds compares a count, or its share of a whole, exactly. over says, when it fails,
// that there are too many.
func (b *bound) holds(n, of uint64) (ok, over bool) {
	for _, c := range b.conditions {
		have, want := n, uint64(c.value)
		if c.share {
			// Counts of connections stay far below 2^63 / whole.
			have, want = n*whole, uint64(c.value)*of
		}
		if !compare(c.op, have, want) {
			return false, have > want || have == want && c.op == "<"
		}
	}
	return true, false
}

// holdsTime compares a time.
func (b *bound) holdsTime(d time.Duration) (ok, over bool) { return b.holds(uint64(max(d, 0)), 0) }

// upper reports whether the bound says of anything that it is too much.
func (b *bound) upper() bool {
	for _, c := range b.conditions {
		if c.op[0] != '>' {
			return true
		}
	}
	return false
}

func compare(op string, a, b uint64) bool {
	switch op {
	case "<":
		return a < b
	case "<=":
		return a <= b
	case ">":
		return a > b
	case ">=":
		return a >= b
	}
	return a == b
}

// shares reports whether the bound speaks of a share.
func (b *bound) shares() bool {
	for _, c := range b.conditions {
		if c.share {
			return true
		}
	}
	return false
}

// String returns the bound as it was written.
func (b *bound) String() string { return b.text }
