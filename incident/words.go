package incident

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/tcplife/tcplife/wire"
)

// num prints a number with its thousands parted.
func num[N ~uint16 | ~uint32 | ~uint64 | ~int](n N) string {
	s := strconv.FormatUint(uint64(n), 10)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// count prints a number and its noun.
func count[N ~uint16 | ~uint32 | ~uint64 | ~int](n N, noun string) string {
	switch {
	case n == 1:
		return "1 " + noun
	case strings.HasSuffix(noun, "s"):
		return num(n) + " " + noun + "es"
	}
	return num(n) + " " + noun + "s"
}

// span prints how long something took, with two or three digits.
func span(d time.Duration) string {
	switch {
	case d >= 100*time.Minute:
		return fmt.Sprintf("%.1f h", d.Hours())
	case d >= 10*time.Minute:
		return fmt.Sprintf("%.0f min", d.Minutes())
	case d >= 100*time.Second:
		return fmt.Sprintf("%.0f s", d.Seconds())
	case d >= 10*time.Second:
		return strings.TrimSuffix(fmt.Sprintf("%.1f", d.Seconds()), ".0") + " s"
	case d >= time.Second:
		return strings.TrimSuffix(strings.TrimSuffix(fmt.Sprintf("%.2f", d.Seconds()), "0"), ".0") + " s"
	case d >= time.Millisecond:
		return fmt.Sprintf("%.0f ms", float64(d)/float64(time.Millisecond))
	}
	return fmt.Sprintf("%.1f ms", float64(d)/float64(time.Millisecond))
}

// clock prints when something was, in UTC; the report says on which day.
func clock(t wire.Time) string { return t.Std().Format("15:04:05.000") }

// percent prints a share. A part that is not all is not 100 %, and a part that is some
// is not 0 %.
func percent[N, M ~uint32 | ~uint64](part N, of M) string {
	p, all := uint64(part), uint64(of)
	if all == 0 {
		return "0 %"
	}
	n := (p*200 + all) / (2 * all)
	switch {
	case n == 100 && p < all:
		n = 99
	case n == 0 && p > 0:
		return "less than 1 %"
	}
	return strconv.FormatUint(n, 10) + " %"
}

// perSecond prints a rate.
func perSecond(n uint64, d time.Duration) string { return rate(n, d, time.Second) + " a second" }

// perMinute prints a rate.
func perMinute(n uint64, d time.Duration) string { return rate(n, d, time.Minute) + " a minute" }

func rate(n uint64, d, unit time.Duration) string {
	if d <= 0 {
		d = 1
	}
	v := float64(n) * float64(unit) / float64(d)
	if v >= 10 {
		return num(uint64(v + 0.5))
	}
	return strings.TrimSuffix(fmt.Sprintf("%.1f", v), ".0")
}

// are returns the verb of a number.
func are[N ~uint32 | ~uint64 | ~int](n N, one, many string) string {
	if n == 1 {
		return one
	}
	return many
}

// few joins names, and says how many more there are.
func few(names []string, most int) string {
	more := len(names) - most
	if more > 1 {
		names = append(names[:most:most], num(more)+" more")
	}
	if len(names) < 2 {
		return strings.Join(names, "")
	}
	return strings.Join(names[:len(names)-1], ", ") + " and " + names[len(names)-1]
}

// listed joins words as a sentence does.
func listed(words []string) string { return few(words, len(words)) }
