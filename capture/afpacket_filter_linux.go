package capture

import (
	"fmt"

	xbpf "golang.org/x/net/bpf"
	"golang.org/x/sys/unix"

	"github.com/tcplife/tcplife/capture/bpf"
	"github.com/tcplife/tcplife/wire"
)

// rejectAll selects no frame.
var rejectAll = bpf.Program{{Op: unix.BPF_RET | unix.BPF_K}}

// maxProgram is the kernel's bound on a program, BPF_MAXINSNS, in instructions.
const maxProgram = 4096

// Ancillary loads of linux/filter.h, SKF_AD_OFF and what is added to it. They are
// written as the kernel has them, since x/net/bpf assembles but cannot jump over
// programs that are there already.
const (
	loadAncillary = unix.BPF_LD | unix.BPF_W | unix.BPF_ABS

	ancillaryPktType = 0xfffff000 + 4
	ancillaryIfIndex = 0xfffff000 + 8
	ancillaryHatype  = 0xfffff000 + 28
)

// attach puts the filter in force, in place of one that may be there. Which frames are
// wanted at all comes first; then the program for the kind of interface that the frame
// comes from.
func (a *afpacket) attach() error {
	p, err := a.program()
	if err != nil {
		return err
	}
	if len(p) > maxProgram {
		return fmt.Errorf("filter frames of interface %s: the filter has %d instructions, and the kernel takes %d (ask for less with the filter, and select the rest with --filter)", a.name, len(p), maxProgram)
	}
	if err := a.setFilter(p); err != nil {
		return fmt.Errorf("filter frames of interface %s: attach the program to the packet socket: %w", a.name, err)
	}
	return nil
}

func (a *afpacket) setFilter(p bpf.Program) error {
	f := make([]unix.SockFilter, len(p))
	for i, x := range p {
		f[i] = unix.SockFilter{Code: x.Op, Jt: x.Jt, Jf: x.Jf, K: x.K}
	}
	return unix.SetsockoptSockFprog(a.fd, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, &unix.SockFprog{Len: uint16(len(f)), Filter: &f[0]})
}

func (a *afpacket) program() (bpf.Program, error) {
	keep := uint32(a.o.SnapLen)
	ethernet, cooked := all(keep), all(keep)
	if f := a.o.Filter; f != nil {
		onlyEthernet := len(a.links) > 0
		for _, l := range a.links {
			onlyEthernet = onlyEthernet && (l.hatype == unix.ARPHRD_ETHER || l.hatype == unix.ARPHRD_LOOPBACK)
		}
		var err error
		if ethernet, err = f.Compile(bpf.Target{Link: wire.LinkEthernet, Kernel: true}, keep); err != nil {
			return nil, err
		}
		if cooked, err = f.Compile(bpf.Target{Link: wire.LinkRaw, Kernel: true, Cooked: true}, keep); err != nil {
			if !onlyEthernet {
				return nil, fmt.Errorf("filter frames of interface %s, not all of which is Ethernet: %w", a.name, err)
			}
			cooked = rejectAll
		}
	}
	const jump, equal = unix.BPF_JMP | unix.BPF_JA, unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K
	var p bpf.Program
	add := func(op uint16, jt, jf uint8, k uint32) {
		p = append(p, xbpf.RawInstruction{Op: op, Jt: jt, Jf: jf, K: k})
	}
	if len(a.links) > 1 {
		add(loadAncillary, 0, 0, ancillaryIfIndex)
		for i, l := range a.links {
			add(equal, 0, 1, uint32(l.index))
			add(jump, 0, 0, uint32(2*(len(a.links)-1-i)+1)) // past the others and the refusal
		}
		p = append(p, rejectAll...)
	}
	// On loopback each frame passes twice: it leaves and arrives.
	add(loadAncillary, 0, 0, ancillaryHatype)
	add(equal, 0, 3, unix.ARPHRD_LOOPBACK)
	add(loadAncillary, 0, 0, ancillaryPktType)
	add(equal, 0, 1, unix.PACKET_OUTGOING)
	p = append(p, rejectAll...)
	if a.o.Direction != InOut {
		add(loadAncillary, 0, 0, ancillaryHatype)
		add(equal, 3, 0, unix.ARPHRD_LOOPBACK)
		add(loadAncillary, 0, 0, ancillaryPktType)
		if a.o.Direction == In {
			add(equal, 0, 1, unix.PACKET_OUTGOING)
		} else {
			add(equal, 1, 0, unix.PACKET_OUTGOING)
		}
		p = append(p, rejectAll...)
	}
	add(loadAncillary, 0, 0, ancillaryHatype)
	add(equal, 2, 0, unix.ARPHRD_ETHER)
	add(equal, 1, 0, unix.ARPHRD_LOOPBACK)
	add(jump, 0, 0, uint32(len(ethernet)))
	p = append(p, ethernet...)
	return append(p, cooked...), nil
}

// all selects every frame.
func all(keep uint32) bpf.Program {
	return bpf.Program{{Op: unix.BPF_RET | unix.BPF_K, K: keep}}
}
