package ui

import (
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/charmbracelet/x/ansi"
)

// width is how many columns a terminal gives to s, colours not counted.
func width(s string) int { return ansi.StringWidth(s) }

// cut returns s in at most n columns; where something is left out it ends with two dots.
func cut(s string, n int) string {
	if width(s) <= n {
		return s
	}
	if n < 3 {
		return ansi.Truncate(s, max(n, 0), "")
	}
	return ansi.Truncate(s, n, "..")
}

// left and right make s n columns wide.
func left(s string, n int) string {
	s = cut(s, n)
	return s + blanks(n-width(s))
}

func right(s string, n int) string {
	s = cut(s, n)
	return blanks(n-width(s)) + s
}

func blanks(n int) string { return strings.Repeat(" ", max(n, 0)) }

// shortEndpoint prints an address and port in at most n columns, if it can. What is left
// out is the part that neighbours have in common: the first octets of IPv4, the middle
// of IPv6, where the network ends and the host begins. The port stays.
func shortEndpoint(a netip.AddrPort, n int) string {
	s := a.String()
	if len(s) <= n {
		return s
	}
	port := ":" + strconv.Itoa(int(a.Port()))
	addr := a.Addr().WithZone("").String()
	if a.Addr().Is4() {
		for i := 0; i < len(addr); i++ {
			if addr[i] == '.' && 2+len(addr)-i+len(port) <= n+1 {
				return "." + addr[i:] + port
			}
		}
		return cut(port, n)
	}
	room := n - len(port) - 4 // [, .., ]
	if room < 4 {
		return cut(port, n)
	}
	tail := (room + 1) / 2
	head, end := addr[:min(room-tail, len(addr))], addr[len(addr)-min(tail, len(addr)):]
	// Groups stay whole: half a number is another one.
	if i := strings.LastIndexByte(head, ':'); i >= 0 {
		head = head[:i+1]
	}
	if i := strings.IndexByte(end, ':'); i >= 0 {
		end = end[i:]
	}
	return "[" + head + ".." + end + "]" + port
}

// shortSpan prints a duration in at most six columns: what stands in a list is compared,
// not read out.
func shortSpan(d time.Duration) string {
	digits := func(v float64, unit string) string {
		p := 0
		if v < 9.95 {
			p = 1
		}
		return strings.TrimSuffix(strconv.FormatFloat(v, 'f', p, 64), ".0") + unit
	}
	pair := func(a int64, x string, b int64, y string) string {
		if b < 10 {
			return strconv.FormatInt(a, 10) + x + "0" + strconv.FormatInt(b, 10) + y
		}
		return strconv.FormatInt(a, 10) + x + strconv.FormatInt(b, 10) + y
	}
	switch {
	case d < 0:
		return "-"
	case d < time.Millisecond:
		return digits(float64(d)/float64(time.Microsecond), "us")
	case d < time.Second:
		return digits(float64(d)/float64(time.Millisecond), "ms")
	case d < time.Minute:
		return digits(d.Seconds(), "s")
	case d < time.Hour:
		s := int64(d / time.Second)
		return pair(s/60, "m", s%60, "s")
	case d < 100*time.Hour:
		m := int64(d / time.Minute)
		return pair(m/60, "h", m%60, "m")
	}
	return strconv.FormatInt(int64(d/(24*time.Hour)), 10) + "d"
}
