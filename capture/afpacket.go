package capture

import (
	"errors"
	"fmt"
	"runtime"
	"time"

	"github.com/tcplife/tcplife/capture/bpf"
)

// AnyInterface is the name that stands for all interfaces, also for those to come.
const AnyInterface = "any"

const (
	// DefaultSnapLen is how many octets of a frame a live source keeps: headers are all
	// that is looked at. Ethernet, two tags, VXLAN, and IPv6 and TCP with all their
	// options are some 220; an ICMP error quotes no more.
	DefaultSnapLen = 256
	// DefaultRing is what the kernel may keep for the reader, in octets: at a million
	// frames a second of which 256 octets are kept, a tenth of a second; at ten thousand
	// ten. A report that is being written must not cost frames.
	DefaultRing = 32 << 20
	// MinRing is the smallest ring: four blocks. The kernel looks without a lock whether
	// the block a quarter of the ring ahead is free (tpacket_rcv asks
	// __packet_rcv_has_room). Below four that is the present one, which for a moment is
	// nobody's while it is handed over, and a frame that comes just then is dropped.
	MinRing = 4 * ringBlock
	// MaxRing bounds what a mistyped number takes of the memory, which is the kernel's
	// and cannot be swapped.
	MaxRing = 1 << 30
	// ringBlock is what is handed over at once, in octets. It holds two of the longest
	// frames that are believed in; a block that is not full is handed over after
	// ringRetire, which bounds how late a frame can be seen.
	ringBlock  = 512 << 10
	ringRetire = 40 * time.Millisecond
)

// Direction is which frames of an interface are wanted, as its host sees them.
type Direction int

// Directions. On loopback every frame leaves and arrives, and only its arrival counts.
const (
	InOut Direction = iota
	In
	Out
)

// InterfaceOptions say what to capture from interfaces, and how. The zero value of each
// is the default.
type InterfaceOptions struct {
	// Filter selects frames in the kernel; nil selects all. It is in force before the
	// first frame.
	Filter bpf.Compiler
	// SnapLen is how many octets of a frame are kept.
	SnapLen int
	// RingBytes is the size of the ring, rounded up to whole blocks.
	RingBytes int
	// Promiscuous asks the interfaces also for frames that are not meant for this host.
	Promiscuous bool
	// HardwareTime asks the interfaces for their own time stamps. It needs
	// CAP_NET_ADMIN, and an interface that can.
	HardwareTime bool
	Direction    Direction
}

// Stopper is a live source that can end without losing what it holds.
type Stopper interface {
	// Stop ends the capture: frames that come after it are not taken, those that are
	// held already are still handed out, and then Next returns io.EOF: Received less
	// Dropped frames were handed out by then. It may be called from any goroutine, and
	// sets a waiting Next free.
	Stop() error
}

// OpenInterfaces starts to capture from interfaces: those that are named, or all if the
// name is AnyInterface. An error says what was tried, on which interface, and the remedy.
//
// All interfaces share one ring, so that their frames come in the order in which the
// kernel saw them. Each is an input of its own, but of AnyInterface, which is one; what
// the ring dropped is counted with the first. The source is a Stopper and a LossCounter.
// An interface that goes down or is deleted gives a *Gap, and another one, with its end,
// when there is again one of that name that is up; the source waits for it.
func OpenInterfaces(names []string, o InterfaceOptions) (Live, error) {
	if len(names) == 0 {
		return nil, errors.New("capture from an interface: none is named (ip link lists them; \"any\" is all of them)")
	}
	seen := map[string]bool{}
	for _, name := range names {
		switch {
		case name == AnyInterface && len(names) > 1:
			return nil, fmt.Errorf("capture from %q and others: %q is all of them already", AnyInterface, AnyInterface)
		case seen[name]:
			return nil, fmt.Errorf("capture from interface %s: it is named twice", name)
		}
		seen[name] = true
	}
	if o.Promiscuous && names[0] == AnyInterface {
		return nil, fmt.Errorf("capture from interface %s: frames that are not meant for this host can be asked of interfaces that are named, each by its name", AnyInterface)
	}
	if o.SnapLen == 0 {
		o.SnapLen = DefaultSnapLen
	}
	if o.SnapLen < 0 || o.SnapLen > maxFrame {
		return nil, fmt.Errorf("capture %d octets of a frame: at least 1 and at most %d can be kept", o.SnapLen, maxFrame)
	}
	if o.RingBytes == 0 {
		o.RingBytes = DefaultRing
	}
	if o.RingBytes < MinRing || o.RingBytes > MaxRing {
		return nil, fmt.Errorf("capture into a ring of %d octets: at least %d and at most %d are possible", o.RingBytes, MinRing, MaxRing)
	}
	if !liveCapture {
		return nil, fmt.Errorf("capture from interface %s: live capture needs Linux, and this is %s (tcpdump -U -w - | tcplife live - reads from what captures there)", names[0], runtime.GOOS)
	}
	return openInterfaces(names, o)
}
