package scenario

import (
	"fmt"
	"slices"
	"strings"

	"github.com/tcplife/tcplife/reassembly"
)

// evidences are the words of reassembly.Evidence.
var evidences = []string{
	reassembly.Sent.String(), reassembly.Acked.String(), reassembly.Passed.String(),
	reassembly.Timer.String(), reassembly.Assumed.String(),
}

// confidences are the words of finding.Confidence; the package does not import
// finding for them.
var confidences = []string{"possible", "likely", "certain"}

func stateNames() []string {
	var names []string
	for s := range reassembly.StateCount {
		names = append(names, reassembly.State(s).String())
	}
	return names
}

// parseState reads: [N] HOST STATE..., or [N] HOST -.
func parseState(f []string) (StateLine, error) {
	var l StateLine
	if len(f) == 0 {
		return l, nil
	}
	l.Conn, l.Numbered, f = connNumber(f)
	if len(f) < 2 {
		return l, fmt.Errorf("want: [CONNECTION] HOST STATE..., or - for no states")
	}
	var err error
	if l.Host, err = parseName(f[0]); err != nil {
		return l, err
	}
	if len(f) == 2 && f[1] == "-" {
		return l, nil
	}
	for _, w := range f[1:] {
		step, err := parseStep(w)
		if err != nil {
			return l, err
		}
		l.Steps = append(l.Steps, step)
	}
	return l, nil
}

// parseStep reads STATE[/EVIDENCE][@FRAME].
func parseStep(w string) (Step, error) {
	s := Step{Frame: -1}
	if rest, frame, ok := strings.Cut(w, "@"); ok {
		n, err := parseInt(frame, 1, maxFrames)
		if err != nil {
			return s, fmt.Errorf("frame of %s: %w", rest, err)
		}
		s.Frame, w = int(n), rest
	}
	var ok bool
	s.State, s.Evidence, ok = strings.Cut(w, "/")
	if ok && !slices.Contains(evidences, s.Evidence) {
		return s, fmt.Errorf("want one of %s after /, got %q", strings.Join(evidences, ", "), s.Evidence)
	}
	if !slices.Contains(stateNames(), s.State) {
		return s, fmt.Errorf("want a state of RFC 9293 with underscores, got %q", s.State)
	}
	return s, nil
}

// parseFinding reads: none, none warning, no ID, or
// [N] ID ENDPOINT [frames N,N] [CONFIDENCE] [CATALOGUE].
func parseFinding(f []string) (FindingLine, error) {
	l := FindingLine{Conn: 1}
	if len(f) == 0 {
		return FindingLine{}, nil
	}
	switch strings.Join(f, " ") {
	case "none":
		l.Kind = FindingNone
		return l, nil
	case "none warning":
		l.Kind = FindingNoneWarning
		return l, nil
	}
	var err error
	if f[0] == "no" {
		l.Kind = FindingNot
		if len(f) != 2 {
			return l, fmt.Errorf("want: no ID")
		}
		l.ID, err = parseID(f[1])
		return l, err
	}
	l.Kind = FindingWant
	l.Conn, l.Numbered, f = connNumber(f)
	if len(f) < 2 {
		return l, fmt.Errorf("want: [CONNECTION] ID ENDPOINT [frames N,N] [CONFIDENCE] [CATALOGUE]")
	}
	if l.ID, err = parseID(f[0]); err != nil {
		return l, err
	}
	if l.Endpoint = f[1]; f[1] != "both" && f[1] != "any" {
		if _, err := parseName(f[1]); err != nil {
			return l, err
		}
	}
	for f = f[2:]; len(f) > 0; f = f[1:] {
		switch w := f[0]; {
		case w == "frames" && l.Frames == nil && len(f) > 1:
			for _, n := range strings.Split(f[1], ",") {
				v, err := parseInt(n, 1, maxFrames)
				if err != nil {
					return l, fmt.Errorf("frames: %w", err)
				}
				l.Frames = append(l.Frames, int(v))
			}
			f = f[1:]
		case slices.Contains(confidences, w) && l.Confidence == "":
			l.Confidence = w
		case isCatalogue(w) && l.Catalogue == "":
			l.Catalogue = w
		default:
			return l, fmt.Errorf("want frames N,N, a confidence or a catalogue number, each once; got %q", w)
		}
	}
	return l, nil
}

func parseID(s string) (string, error) {
	if s == "" || strings.Trim(s, "abcdefghijklmnopqrstuvwxyz0123456789-") != "" || strings.Trim(s, "0123456789") == "" {
		return "", fmt.Errorf("want a finding's ID in lower case with hyphens, got %q", s)
	}
	return s, nil
}

// isCatalogue reports whether s looks like a number of the catalogue: C05b, R01.
func isCatalogue(s string) bool {
	if len(s) < 3 || len(s) > 4 || s[0] < 'A' || s[0] > 'Z' {
		return false
	}
	return strings.Trim(s[1:3], "0123456789") == "" && (len(s) == 3 || s[3] >= 'a' && s[3] <= 'z')
}

// closeKeys are the facts that a close section may name.
var closeKeys = []string{"reason", "closer", "by", "handshake", "outcome", "role", "icmp"}

// parseClose reads: [N] KEY VALUE...
func parseClose(f []string) (CloseLine, error) {
	var l CloseLine
	if len(f) == 0 {
		return l, nil
	}
	l.Conn, l.Numbered, f = connNumber(f)
	if len(f) < 2 || !slices.Contains(closeKeys, f[0]) {
		return l, fmt.Errorf("want: [CONNECTION] and one of %s, and its value", strings.Join(closeKeys, ", "))
	}
	l.Key, l.Value = f[0], f[1:]
	if l.Key != "handshake" && l.Key != "icmp" && len(l.Value) != 1 {
		return l, fmt.Errorf("%s has one value", l.Key)
	}
	return l, nil
}

// parseConn reads: N CLIENT > SERVER FIRST-LAST [ROLE], or late A > B FIRST-LAST.
func parseConn(f []string) (ConnLine, error) {
	var l ConnLine
	if len(f) == 0 {
		return l, nil
	}
	if f[0] == "late" {
		l.Late, f = true, f[1:]
	} else {
		var numbered bool
		if l.Conn, numbered, f = connNumber(f); !numbered {
			return l, fmt.Errorf("want a connection's number or late")
		}
	}
	if len(f) < 4 || len(f) > 5 || f[1] != ">" || l.Late && len(f) == 5 {
		return l, fmt.Errorf("want: N CLIENT > SERVER FIRST-LAST [syn|synack|port|guess], or late A > B FIRST-LAST")
	}
	var err error
	if l.Client, err = parseEndpoint(f[0]); err != nil {
		return l, err
	}
	if l.Server, err = parseEndpoint(f[2]); err != nil {
		return l, err
	}
	first, last, _ := strings.Cut(f[3], "-")
	a, err := parseInt(first, 1, maxFrames)
	if err != nil {
		return l, fmt.Errorf("first frame: %w", err)
	}
	b, err := parseInt(last, a, maxFrames)
	if err != nil {
		return l, fmt.Errorf("last frame: %w", err)
	}
	l.First, l.Last = int(a), int(b)
	if len(f) == 5 {
		if l.RoleBy = f[4]; !slices.Contains([]string{"syn", "synack", "port", "guess"}, l.RoleBy) {
			return l, fmt.Errorf("want syn, synack, port or guess, got %q", l.RoleBy)
		}
	}
	return l, nil
}
