package main

import (
	"fmt"
	"runtime"

	"github.com/spf13/pflag"

	"github.com/tcplife/tcplife/capture"
)

// interfaceOptions are the flags of live that say how an interface is read.
type interfaceOptions struct{}

func (o *interfaceOptions) addFlags(*pflag.FlagSet) {}
func (o *interfaceOptions) validate() error         { return nil }

// open opens interfaces.
func (o *interfaceOptions) open(names []string, _ string) (capture.Live, error) {
	const instead = "let another program capture, and follow what it writes: tcpdump -i %s -U -w - tcp | tcplife live -"
	if runtime.GOOS != "linux" {
		return nil, fmt.Errorf("open %s: live capture from an interface needs Linux, and this is %s ("+instead+")", names[0], runtime.GOOS, names[0])
	}
	return nil, fmt.Errorf("open %s: interfaces are not read yet ("+instead+")", names[0], names[0])
}

// filter leaves out frames of a source that a tcpdump filter does not match.
func (o *interfaceOptions) filter(_ capture.Live, expression string) (capture.Live, error) {
	return nil, usage("a filter for files and pipes is not built yet: give it to the program that writes them (tcpdump -w - '%s'), or select connections with --filter, --port and the like", expression)
}
