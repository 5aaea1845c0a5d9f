package main

import (
	"errors"

	"github.com/spf13/pflag"

	"github.com/tcplife/tcplife/capture/bpf"
	"github.com/tcplife/tcplife/finding"
)

// packetFilterOptions say which frames are looked at, in the words of tcpdump.
type packetFilterOptions struct {
	expression, program string
	lifecycle           bool
}

func (o *packetFilterOptions) addFlags(f *pflag.FlagSet) {
	f.StringVar(&o.expression, "capture-filter", "", "look only at frames that this `filter` selects, in the language of tcpdump")
	f.StringVar(&o.program, "bpf", "", "the same with a compiled `program`: \"$(tcpdump -ddd -y EN10MB 'FILTER')\"")
	f.BoolVar(&o.lifecycle, "lifecycle-only", false, "of those only SYN, FIN, RST, segments without data and ICMP errors")
}

// compiler returns the filter; nil when all frames are wanted.
func (o *packetFilterOptions) compiler() (bpf.Compiler, error) {
	if o.program != "" {
		switch {
		case o.expression != "":
			return nil, usage("--bpf and a filter: give one of the two, or let tcpdump compile both")
		case o.lifecycle:
			return nil, usage("--lifecycle-only with --bpf: the program cannot be extended, so give the filter as text")
		}
		p, err := bpf.ParseProgram(o.program)
		if err != nil {
			return nil, usage("--bpf: %w", err)
		}
		return p, nil
	}
	if o.expression == "" && !o.lifecycle {
		return nil, nil
	}
	f, err := bpf.Parse(o.expression)
	if err == nil && o.lifecycle {
		f, err = f.OnlyLifecycle()
	}
	var wrong *bpf.Error
	switch {
	case errors.As(err, &wrong):
		return nil, usage("%w", err)
	case err != nil:
		return nil, err
	}
	return f, nil
}

// needData are the findings that would be wrong where segments with data are left out on
// purpose: they rest on what was sent before or after, or on who sent nothing. Others that
// need data are not found then, which is right. A test compares both over all captures.
var needData = []string{
	"accept-queue-overflow", "fin-answered-by-reset", "fin-beyond-hole", "half-closed-for-long", "late-data-reset", "no-data",
	"reset-injected", "reset-provenance", "reset-share", "service-unreachable", "three-segment-close", "unsolicited-answer",
}

// withhold adds what must not be told of the frames that are left, which may be nothing.
func (o *packetFilterOptions) withhold(g *finding.Grades) *finding.Grades {
	if !o.lifecycle {
		return g
	}
	if g == nil {
		g = &finding.Grades{}
	}
	g.Ignore = append(g.Ignore, needData...)
	return g
}
