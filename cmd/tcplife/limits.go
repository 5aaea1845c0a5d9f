package main

import (
	"errors"
	"math"
	"strconv"
	"strings"

	"github.com/spf13/pflag"

	"github.com/tcplife/tcplife/pipeline"
)

// limitOptions bound what a run may hold of connections.
type limitOptions struct {
	connections int
	memory      string
	octets      int
}

func (o *limitOptions) addFlags(f *pflag.FlagSet) {
	f.IntVar(&o.connections, "max-connections", 0, "hold at most `N` open connections: half-open ones go first, then those that were silent the longest; 0 is no limit")
	f.StringVar(&o.memory, "max-memory", "", "let what is held of connections take at most this `size` (256M, 2G, or octets) of memory, besides what the program itself takes")
}

// leastMemory is what the connections of some epochs take: no fewer can be held.
const leastMemory = 1 << 20

func (o *limitOptions) validate() (err error) {
	if o.connections < 0 {
		return usage("--max-connections %d: give 0 or more", o.connections)
	}
	if o.memory == "" {
		return nil
	}
	if o.octets, err = octets(o.memory); err != nil {
		return usage("--max-memory %q: %w", o.memory, err)
	}
	if o.octets < leastMemory {
		return usage("--max-memory %s: give 1M or more", o.memory)
	}
	return nil
}

// octets reads a size: a number, with K, M, G or T behind it for powers of 1024. What is
// beyond all memory is all of it.
func octets(s string) (int, error) {
	number, unit := s, 0
	trimmed := strings.TrimSuffix(strings.TrimSuffix(strings.ToUpper(s), "B"), "I")
	if n := len(trimmed); n > 0 {
		if i := strings.IndexByte("KMGT", trimmed[n-1]); i >= 0 {
			number, unit = trimmed[:n-1], 10*(i+1)
		}
	}
	f, err := strconv.ParseFloat(number, 64)
	if err != nil || !(f >= 0) {
		return 0, errSize
	}
	return int(min(f*float64(uint64(1)<<unit), math.MaxInt/2)), nil
}

var errSize = errors.New("give a size such as 512M, 2G or 1.5GiB")

// apply puts the limits into effect.
func (o *limitOptions) apply(cfg *pipeline.Config) {
	cfg.Limits.Connections = o.connections
	// What records of one sort have left is not there for another sort: together they may
	// take twice of what they hold at any time.
	cfg.Limits.Octets = o.octets / 2
}
