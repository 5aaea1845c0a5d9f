package scenario

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// The sections, in the order in which a file must have them.
const (
	sectionProse = iota
	sectionPackets
	sectionStates
	sectionFindings
	sectionClose
	sectionConns
)

var sectionNames = [...]string{"", "packets", "states", "findings", "close", "connections"}

// maxErrors is how many mistakes one parse reports: enough to see a pattern.
const maxErrors = 10

// Parse reads a script and checks it: the redundancy in its packets, and that
// expectations speak of hosts and frames that exist. file is only used in messages;
// every error is an *Error, several are joined.
func Parse(file string, text []byte) (*Script, error) {
	p := parser{script: &Script{File: file}}
	lines := strings.Split(string(text), "\n")
	if n := len(lines); lines[n-1] == "" {
		lines = lines[:n-1]
	}
	for i, line := range lines {
		p.number = i + 1
		line = strings.TrimRight(line, " \t\r")
		if name, ok := header(line); ok {
			p.begin(name)
		} else {
			p.line(line)
		}
	}
	p.number = len(lines)
	for want := sectionPackets; want <= sectionFindings; want++ {
		if !p.seen[want] {
			p.fail(fmt.Errorf("section -- %s -- is missing", sectionNames[want]))
		}
	}
	if len(p.errs) > 0 {
		return nil, errors.Join(p.errs...)
	}
	if err := p.script.check(); err != nil {
		return nil, err
	}
	return p.script, nil
}

// header reports whether the line begins a section, and which.
func header(line string) (string, bool) {
	name, ok := strings.CutPrefix(line, "-- ")
	if !ok {
		return "", false
	}
	return strings.CutSuffix(name, " --")
}

type parser struct {
	script  *Script
	section int
	seen    [len(sectionNames)]bool
	number  int
	errs    []error
}

func (p *parser) fail(err error) {
	if err != nil && len(p.errs) < maxErrors {
		p.errs = append(p.errs, &Error{p.script.File, p.number, err.Error()})
	}
}

func (p *parser) begin(name string) {
	for i := sectionPackets; i < len(sectionNames); i++ {
		if sectionNames[i] != name {
			continue
		}
		if i <= p.section {
			p.fail(fmt.Errorf("section -- %s -- is out of order: want packets, states, findings, close, connections", name))
			return
		}
		p.section, p.seen[i] = i, true
		p.script.HasClose = p.script.HasClose || i == sectionClose
		p.script.HasConns = p.script.HasConns || i == sectionConns
		return
	}
	p.fail(fmt.Errorf("unknown section %q: want packets, states, findings, close or connections", name))
}

func (p *parser) line(line string) {
	s := p.script
	if p.section == sectionProse {
		s.Prose = append(s.Prose, line)
		return
	}
	text, comment, _ := strings.Cut(line, "#")
	note := Note{p.number, strings.TrimSpace(comment)}
	f := strings.Fields(text)
	switch p.section {
	case sectionPackets:
		l, err := parsePacketLine(text, f)
		l.Note = note
		s.Packets = append(s.Packets, l)
		p.fail(err)
	case sectionStates:
		l, err := parseState(f)
		l.Note = note
		s.States = append(s.States, l)
		p.fail(err)
	case sectionFindings:
		l, err := parseFinding(f)
		l.Note = note
		s.Findings = append(s.Findings, l)
		p.fail(err)
	case sectionClose:
		l, err := parseClose(f)
		l.Note = note
		s.Close = append(s.Close, l)
		p.fail(err)
	case sectionConns:
		l, err := parseConn(f)
		l.Note = note
		s.Conns = append(s.Conns, l)
		p.fail(err)
	}
}

// connNumber takes an optional leading connection number off f.
func connNumber(f []string) (conn int, numbered bool, rest []string) {
	if len(f) > 0 {
		if n, err := parseInt(f[0], 1, maxConns); err == nil {
			return int(n), true, f[1:]
		}
	}
	return 1, false, f
}

// maxConns bounds connection numbers, maxFrames frame numbers, maxPort the ports
// of one host; they only keep numbers readable.
const (
	maxConns  = 999
	maxFrames = 999_999
	maxPort   = 999
)

func parseInt(s string, low, high int64) (int64, error) {
	if s == "" || strings.Trim(s, "0123456789") != "" {
		return 0, fmt.Errorf("want a number, got %q", s)
	}
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || n < low || n > high {
		return 0, fmt.Errorf("want a number from %d to %d, got %s", low, high, s)
	}
	return n, nil
}

// reserved words begin lines or stand where a host's name may.
var reserved = map[string]bool{"new": true, "host": true, "both": true, "any": true, "none": true, "no": true, "late": true}

func parseName(s string) (string, error) {
	for i, r := range s {
		if !(r >= 'a' && r <= 'z' || i > 0 && (r >= '0' && r <= '9' || r == '_')) {
			return "", fmt.Errorf("want a host's name in lower case, got %q", s)
		}
	}
	if s == "" || reserved[s] {
		return "", fmt.Errorf("want a host's name, got %q", s)
	}
	return s, nil
}

func parseEndpoint(s string) (Endpoint, error) {
	name, port, ok := strings.Cut(s, ":")
	e := Endpoint{Port: 1}
	var err error
	if e.Host, err = parseName(name); err != nil {
		return e, err
	}
	if ok {
		n, err := parseInt(port, 1, maxPort)
		if err != nil {
			return e, fmt.Errorf("port of %s: %w", name, err)
		}
		e.Port = int(n)
	}
	return e, nil
}

// parseTime reads seconds with up to nine decimals, as nanoseconds.
func parseTime(s string) (int64, error) {
	whole, frac, dot := strings.Cut(s, ".")
	if dot && (frac == "" || len(frac) > 9) {
		return 0, fmt.Errorf("want seconds with up to nine decimals, got %q", s)
	}
	sec, err := parseInt(whole, 0, 1e8)
	if err != nil {
		return 0, fmt.Errorf("time: %w", err)
	}
	ns := int64(0)
	if dot {
		if ns, err = parseInt(frac+"000000000"[len(frac):], 0, 1e9); err != nil {
			return 0, fmt.Errorf("time: %w", err)
		}
	}
	return sec*1e9 + ns, nil
}
