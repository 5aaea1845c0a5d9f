package selection

import (
	"fmt"
	"math"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/tcplife/tcplife/report"
	"github.com/tcplife/tcplife/wire"
)

// Wish says which connections are wanted. Of the values of one kind, one must fit;
// of the kinds that have any, and of the filters, all.
type Wish struct {
	// Filters are expressions.
	Filters []string
	// Hosts are addresses, Nets networks and Ports numbers or ranges (8000-8080) that
	// either end has.
	Hosts, Nets, Ports []string
	// Services are what the server listens on: a port, the name of a well-known one
	// ("https"), or an address with a port.
	Services []string
	// Findings are IDs, numbers of the catalogue, or severities.
	Findings []string
}

// Empty reports whether all connections are wanted.
func (w *Wish) Empty() bool {
	return len(w.Filters)+len(w.Hosts)+len(w.Nets)+len(w.Ports)+len(w.Services)+len(w.Findings) == 0
}

// Selection is a Wish that was understood. Its methods but Between may be called on
// several goroutines.
type Selection struct {
	words        []string
	expressions  []*expression
	tests        [][]func(c *report.Connection) bool
	since, until wire.Time
	windowed     bool
	faults       faults
}

// New understands a wish. An error begins with the kind that it is about, as the flag
// of the command line is called: "--host 10.0.0.x: ...".
func New(w *Wish) (*Selection, error) {
	s := &Selection{since: math.MinInt64, until: math.MaxInt64}
	for _, text := range w.Filters {
		x, err := compile(text)
		if err != nil {
			return nil, fmt.Errorf("--filter: %w", err)
		}
		s.expressions = append(s.expressions, x)
		s.words = append(s.words, "--filter "+quoted(text))
	}
	for _, kind := range []struct {
		flag   string
		values []string
		parse  func(string) (func(c *report.Connection) bool, error)
	}{
		{"host", w.Hosts, hostTest}, {"net", w.Nets, netTest}, {"port", w.Ports, portTest}, {"service", w.Services, serviceTest}, {"finding", w.Findings, hasFinding},
	} {
		var any []func(c *report.Connection) bool
		for _, v := range kind.values {
			test, err := kind.parse(v)
			if err != nil {
				return nil, fmt.Errorf("--%s %s: %w", kind.flag, v, err)
			}
			any = append(any, test)
			s.words = append(s.words, "--"+kind.flag+" "+quoted(v))
		}
		if len(any) > 0 {
			s.tests = append(s.tests, any)
		}
	}
	return s, nil
}

// quoted returns a value as it is written in a shell.
func quoted(s string) string {
	if s != "" && !strings.ContainsFunc(s, func(r rune) bool {
		return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("-_.:/+,@%", r))
	}) {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}

// Between narrows the selection to the connections that were under way at some time
// from since to until, both included; words say so. It must not be called when
// pickers are at work.
func (s *Selection) Between(since, until wire.Time, words ...string) {
	s.since, s.until, s.windowed = since, until, true
	s.words = append(s.words, words...)
}

// Words are the conditions, as flags of the command line.
func (s *Selection) Words() []string { return s.words }

// Reads returns what the filters read of a connection, in order: names of fields, and of
// functions that look at its states (dwell, was).
func (s *Selection) Reads() (names []string) {
	for _, x := range s.expressions {
		for name := range x.used {
			if f, _, call := strings.Cut(name, "("); call {
				name = f
			}
			names = append(names, name)
		}
		for _, f := range x.numbered {
			names = append(names, f.Name)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// Picker returns what picks connections on one goroutine.
func (s *Selection) Picker() report.Picker {
	p := &picker{Selection: s}
	for _, x := range s.expressions {
		p.evaluators = append(p.evaluators, x.evaluator())
	}
	return p
}

type picker struct {
	*Selection
	evaluators []*evaluator
}

// Pick implements report.Picker.
func (p *picker) Pick(c *report.Connection) (bool, func(id, stream uint64) bool) {
	if p.windowed && !inSpan(c, p.since, p.until) {
		return false, nil
	}
	for _, any := range p.tests {
		if !anyHolds(any, c) {
			return false, nil
		}
	}
	var later []func(id, stream uint64) bool
	for _, e := range p.evaluators {
		if len(e.numbered) > 0 {
			later = append(later, p.decideLater(e, c))
			continue
		}
		e.load(c)
		yes, err := e.run()
		if err != nil {
			p.faults.add(c.First, err)
		}
		if !yes {
			return false, nil
		}
	}
	if len(later) == 0 {
		return true, nil
	}
	return true, func(id, stream uint64) bool {
		for _, decide := range later {
			if !decide(id, stream) {
				return false
			}
		}
		return true
	}
}

// decideLater keeps what an expression needs of a connection until its numbers are
// known.
func (p *picker) decideLater(e *evaluator, c *report.Connection) func(id, stream uint64) bool {
	own := e.expression.evaluator()
	own.load(c)
	first := c.First
	return func(id, stream uint64) bool {
		for _, f := range own.numbered {
			own.env[f.Name] = asVariable(f, f.Number(id, stream))
		}
		yes, err := own.run()
		if err != nil {
			p.faults.add(first, err)
		}
		return yes
	}
}

func anyHolds(any []func(c *report.Connection) bool, c *report.Connection) bool {
	for _, test := range any {
		if test(c) {
			return true
		}
	}
	return false
}

// faults are the connections on which an expression could not be evaluated, such as
// states.client[3] on one with two states.
type faults struct {
	mu    sync.Mutex
	count uint64
	first wire.FrameID // of the earliest connection
	err   error
}

func (f *faults) add(first wire.FrameID, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.count++
	if f.err == nil || first < f.first {
		f.first, f.err = first, err
	}
}

// Fault says on how many connections an expression could not be evaluated, and why on
// the earliest of them; nil if there was none. Those connections were left out.
func (s *Selection) Fault() error {
	s.faults.mu.Lock()
	defer s.faults.mu.Unlock()
	switch s.faults.count {
	case 0:
		return nil
	case 1:
		return fmt.Errorf("--filter could not be evaluated on one connection, which is left out (it begins with frame %d: %w)", s.faults.first.Number(), s.faults.err)
	}
	return fmt.Errorf("--filter could not be evaluated on %d connections, which are left out (the first begins with frame %d: %w)", s.faults.count, s.faults.first.Number(), s.faults.err)
}

func hostTest(s string) (func(c *report.Connection) bool, error) {
	a, err := parseHost(s)
	return either(func(p netip.AddrPort) bool { return p.Addr() == a }), err
}

func netTest(s string) (func(c *report.Connection) bool, error) {
	n, err := parseNet(s)
	return either(func(p netip.AddrPort) bool { return n.Contains(p.Addr()) }), err
}

func portTest(s string) (func(c *report.Connection) bool, error) {
	low, high, ok := strings.Cut(s, "-")
	if !ok {
		high = low
	}
	from, err1 := strconv.ParseUint(low, 10, 16)
	to, err2 := strconv.ParseUint(high, 10, 16)
	if err1 != nil || err2 != nil || from > to {
		return nil, fmt.Errorf("give a port from 0 to 65535, or a range such as 8000-8080")
	}
	return either(func(p netip.AddrPort) bool { return from <= uint64(p.Port()) && uint64(p.Port()) <= to }), nil
}

func serviceTest(s string) (func(c *report.Connection) bool, error) {
	if n, err := strconv.ParseUint(s, 10, 16); err == nil {
		return serverIs(func(p netip.AddrPort) bool { return uint64(p.Port()) == n }), nil
	}
	if a, err := netip.ParseAddrPort(s); err == nil {
		return serverIs(func(p netip.AddrPort) bool { return p == a }), nil
	}
	if ports := report.ServicePorts(s); len(ports) > 0 {
		return serverIs(func(p netip.AddrPort) bool {
			for _, n := range ports {
				if p.Port() == n {
					return true
				}
			}
			return false
		}), nil
	}
	if near := nearest(strings.ToLower(s), report.ServiceNames()); near != "" {
		return nil, fmt.Errorf("there is no service of that name here; did you mean %s? (or give a port, or ADDRESS:PORT)", near)
	}
	return nil, fmt.Errorf("there is no service of that name here: give a port, ADDRESS:PORT, or one of %s", strings.Join(report.ServiceNames(), ", "))
}

func either(is func(p netip.AddrPort) bool) func(c *report.Connection) bool {
	return func(c *report.Connection) bool { return is(c.Tuple.Source()) || is(c.Tuple.Destination()) }
}

func serverIs(is func(p netip.AddrPort) bool) func(c *report.Connection) bool {
	return func(c *report.Connection) bool { return is(c.Tuple.Destination()) }
}

func parseHost(s string) (netip.Addr, error) {
	a, err := netip.ParseAddr(s)
	if err != nil {
		if _, e := netip.ParsePrefix(s); e == nil {
			return a, fmt.Errorf("%q is a network: ask with net", s)
		}
		return a, fmt.Errorf("%q is no IP address (names are not looked up)", s)
	}
	return a.Unmap(), nil
}

func parseNet(s string) (netip.Prefix, error) {
	n, err := netip.ParsePrefix(s)
	if err != nil {
		a, e := netip.ParseAddr(s)
		if e != nil {
			return n, fmt.Errorf("%q is no network such as 10.0.0.0/8 or 2001:db8::/32", s)
		}
		n = netip.PrefixFrom(a, a.BitLen())
	}
	return n.Masked(), nil
}
