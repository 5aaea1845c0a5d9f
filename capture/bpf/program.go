// Package bpf compiles the filter language of tcpdump to classic BPF, as pcap-filter(7)
// describes it, and runs such programs over frames. It decides as libpcap's programs do
// (a test compares them) and refuses what it does not know.
package bpf

import (
	"golang.org/x/net/bpf"

	"github.com/tcplife/tcplife/wire"
)

// Program is a classic BPF program. It returns how many octets of a frame to keep, 0
// for none of it.
type Program []bpf.RawInstruction

// Target is what a program is to run on.
type Target struct {
	// Link is the link type of the frames.
	Link wire.LinkType
	// Kernel is set when the program runs in the kernel, on a packet socket: it may ask
	// for what is known of the frame beside its octets, and finds a VLAN tag there.
	Kernel bool
	// Cooked is set, beside Kernel, for frames of interfaces whose link layer is not
	// known: only what follows it is looked at.
	Cooked bool
}

// Compiler is a filter that makes a program for each target. The program keeps keep
// octets of what it selects.
type Compiler interface {
	Compile(t Target, keep uint32) (Program, error)
}
