package main

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/tcplife/tcplife/report"
	"github.com/tcplife/tcplife/selection"
	"github.com/tcplife/tcplife/wire"
)

// Standard error has three sorts of messages: what went wrong and is in the exit code,
// what one should know, and what only those want to know who ask for it.

// tell says what went wrong.
func (s *streams) tell(format string, args ...any) { s.say(fmt.Errorf(format, args...)) }

// warn says what one should know, unless --quiet.
func (s *streams) warn(format string, args ...any) {
	if !s.quiet {
		s.say(fmt.Errorf(format, args...))
	}
}

// note says more, with --verbose.
func (s *streams) note(format string, args ...any) {
	if s.verbose {
		s.say(fmt.Errorf(format, args...))
	}
}

func (s *streams) say(err error) {
	s.pause() // a bar that is being drawn must not be written into
	fmt.Fprintf(s.err, "tcplife: %s\n", message(err))
}

// message is an error's text in one line: names in it may be anything. Only an
// expression is shown with its mark below it.
func message(err error) string {
	text := strings.TrimSpace(err.Error())
	var x *selection.ExpressionError
	if errors.As(err, &x) {
		return text // what steers a terminal in it is taken out by harmlessWriter
	}
	return report.Printable(text)
}

// harmlessWriter writes texts to a terminal that may hold what somebody else chose:
// what would steer the terminal is written out, line ends are kept.
type harmlessWriter struct{ w io.Writer }

func (h harmlessWriter) Write(p []byte) (int, error) {
	lines := strings.SplitAfter(string(p), "\n")
	for i, l := range lines {
		body, end := strings.CutSuffix(l, "\n")
		lines[i] = report.Printable(body)
		if end {
			lines[i] += "\n"
		}
	}
	if _, err := io.WriteString(h.w, strings.Join(lines, "")); err != nil {
		return 0, err
	}
	return len(p), nil
}

// skipWords say what a reason means for which a frame held no TCP segment.
var skipWords = map[wire.Skip]string{
	wire.SkipLinkType:  "of a link type that is not known",
	wire.SkipNotIP:     "not IP (ARP, LLDP and the like)",
	wire.SkipNotTCP:    "IP but not TCP (UDP, ICMP and the like)",
	wire.SkipFragment:  "fragments of packets that never became whole",
	wire.SkipTruncated: "cut off by the snap length inside their headers",
	wire.SkipMalformed: "with headers that contradict themselves",
	wire.SkipEncrypted: "encrypted (IPsec, MACsec, protected wireless)",
	wire.SkipICMP:      "ICMP errors about a TCP segment",
}

// noteSkipped says why frames of each input held no TCP segment.
func (s *streams) noteSkipped(sum *report.Summary) {
	for i := range sum.Inputs {
		in := &sum.Inputs[i]
		var words []string
		all := uint64(0)
		for k, n := range in.Skipped {
			if reason := wire.Skip(k); n > 0 && reason != wire.SkipNone {
				all += n
				words = append(words, fmt.Sprintf("%d %s (%s)", n, skipWords[reason], reason))
			}
		}
		if all == 0 {
			s.note("%s: all of its %d frames held TCP", in.Name, in.Frames)
			continue
		}
		s.note("%s: %d of %d frames held no TCP segment: %s", in.Name, all, in.Frames, strings.Join(words, ", "))
	}
}
