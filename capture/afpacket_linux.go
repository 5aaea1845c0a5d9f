package capture

import (
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"github.com/tcplife/tcplife/wire"
)

const liveCapture = true

// afpacket captures through one packet socket and its ring, whatever the number of
// interfaces: one ring keeps the order of arrival, which two would lose, and the two
// directions of a connection may come through two interfaces.
type afpacket struct {
	o    InterfaceOptions
	name string
	ring *ring
	// links are the interfaces that were named; none for all.
	links []*link
	// fd is the packet socket, doorbell a netlink socket that becomes readable when an
	// interface changes, wake an eventfd that ends a wait.
	fd, doorbell, wake int

	// Of the reader alone. handed counts frames and inputs what each interface gave;
	// blocks counts those that were read since the doorbell was listened at; gaps are
	// those that were not told yet.
	handed uint64
	inputs []Info
	blocks int
	gaps   []*Gap

	closed, stopping atomic.Bool
	// mu is held while descriptors are used, but not while they are waited for: then
	// within is set.
	mu                sync.Mutex
	stopped           time.Time
	losses            Losses
	fdsClosed, within bool
}

// stopPatience bounds how long the frames that the kernel counted are waited for after
// Stop. It hands over a block that is not full after ringRetire.
const stopPatience = 25 * ringRetire

// backstop ends a wait in which nothing happens: should a wake-up ever be lost, the ring
// is looked at all the same.
const backstop = time.Second

func openInterfaces(names []string, o InterfaceOptions) (Live, error) {
	a := &afpacket{o: o, name: strings.Join(names, ","), fd: -1, doorbell: -1, wake: -1}
	if err := a.open(names); err != nil {
		a.release()
		return nil, err
	}
	// A source that nobody has any more must not keep its ring.
	runtime.SetFinalizer(a, (*afpacket).release)
	return a, nil
}

// open makes everything ready, in an order that lets no frame pass: the socket gets
// frames only when it is bound, and by then its filter and its ring are there.
func (a *afpacket) open(names []string) (err error) {
	fail := func(what string, err error, remedy string) error {
		return fmt.Errorf("capture from interface %s: %s: %w (%s)", a.name, what, err, remedy)
	}
	const unlikely = "is this kernel older than 3.2, or a sandbox that forbids it?"
	a.fd, err = unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
	switch {
	case errors.Is(err, unix.EPERM) || errors.Is(err, unix.EACCES):
		exe, _ := os.Executable()
		return fail("open a packet socket", err, "it needs CAP_NET_RAW: run it as root, which it ceases to be at once, or give the program the right: sudo setcap cap_net_raw+ep "+exe)
	case err != nil:
		return fail("open a packet socket", err, unlikely)
	}
	if a.wake, err = unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK); err != nil {
		return fail("make an eventfd", err, unlikely)
	}
	// The doorbell is there before the interfaces are looked at, so that no change is
	// missed.
	if a.doorbell, err = openDoorbell(); err != nil {
		return fail("listen to changes of interfaces", err, unlikely)
	}
	if names[0] != AnyInterface {
		for _, name := range names {
			l := &link{name: name}
			if err := l.look(a.fd); err != nil {
				return fmt.Errorf("capture from interface %s: %w (ip link lists the interfaces of this host)", name, err)
			}
			if !l.up {
				a.openGap(l, "the interface is down")
			}
			a.links = append(a.links, l)
		}
	}
	if a.o.HardwareTime {
		if err := a.hardwareTime(); err != nil {
			return err
		}
	}
	if err := a.attach(); err != nil {
		return err
	}
	if a.ring, err = openRing(a.fd, a.o.RingBytes); err != nil {
		return fail(fmt.Sprintf("make a ring of %d MiB", a.o.RingBytes>>20), err, "ask for a smaller one with --ring")
	}
	for i, name := range names {
		info := Info{Name: name, Format: "af_packet", Interfaces: []Interface{{
			Link: wire.LinkEthernet, SnapLen: uint32(a.o.SnapLen), Name: name, Resolution: 1e9, Counted: true,
		}}}
		if len(a.links) > 0 {
			info.Interfaces[0].Link, _ = linkOf(a.links[i].hatype)
		}
		if len(names) > 1 && i == 0 {
			info.Interfaces[0].Description = "drops counted here are those of all " + fmt.Sprint(len(names)) + " interfaces"
		}
		a.inputs = append(a.inputs, info)
	}
	for _, l := range a.links {
		a.promiscuous(l)
	}
	if err := a.bind(); err != nil && !errors.Is(err, unix.ENETDOWN) {
		return fail("bind the packet socket", err, unlikely)
	}
	return nil
}

// bind lets frames come, from the one interface that is named or from all: of several
// the filter knows the numbers.
func (a *afpacket) bind() error {
	index := 0
	if len(a.links) == 1 {
		index = a.links[0].index
	}
	return unix.Bind(a.fd, &unix.SockaddrLinklayer{Protocol: networkOrder(unix.ETH_P_ALL), Ifindex: index})
}

// promiscuous asks an interface for frames that are not meant for this host. One that
// cannot is no reason to give up: its own frames come all the same.
func (a *afpacket) promiscuous(l *link) {
	if a.o.Promiscuous && l.index > 0 {
		unix.SetsockoptPacketMreq(a.fd, unix.SOL_PACKET, unix.PACKET_ADD_MEMBERSHIP,
			&unix.PacketMreq{Ifindex: int32(l.index), Type: unix.PACKET_MR_PROMISC})
	}
}

// hardwareTime makes the interfaces stamp all frames, and the ring use those stamps.
func (a *afpacket) hardwareTime() error {
	for _, l := range a.links {
		c := unix.HwTstampConfig{Rx_filter: unix.HWTSTAMP_FILTER_ALL}
		if err := unix.IoctlSetHwTstamp(a.fd, l.name, &c); err != nil {
			return fmt.Errorf("capture from interface %s: ask for the time stamps of its hardware: %w (it needs CAP_NET_ADMIN and an interface that can: ethtool -T %s)", l.name, err, l.name)
		}
	}
	if len(a.links) == 0 {
		return fmt.Errorf("capture from interface %s: the time stamps of hardware need interfaces that are named", a.name)
	}
	if err := unix.SetsockoptInt(a.fd, unix.SOL_PACKET, unix.PACKET_TIMESTAMP, unix.SOF_TIMESTAMPING_RAW_HARDWARE); err != nil {
		return fmt.Errorf("capture from interface %s: use the time stamps of its hardware: %w", a.name, err)
	}
	return nil
}

// forever is longer than anybody waits.
const forever = time.Duration(1<<63 - 1)

// Next returns the next frame in the order of arrival, however long it takes.
func (a *afpacket) Next(f *wire.Frame) error { return a.NextWithin(f, forever) }

// NextWithin returns the next frame. It lies in the ring, and stays there until the
// following call.
func (a *afpacket) NextWithin(f *wire.Frame, d time.Duration) error {
	if a.closed.Load() {
		return a.shut()
	}
	if p, ok := a.ring.next(); ok {
		a.fill(f, &p)
		return nil
	}
	return a.wait(f, d)
}

func (a *afpacket) fill(f *wire.Frame, p *packet) {
	a.handed++
	input := 0
	for i := 1; i < len(a.links); i++ {
		if a.links[i].index == p.index {
			input = i
		}
	}
	in := &a.inputs[input]
	in.Frames++
	in.Bytes += int64(len(p.data))
	f.ID, f.At, f.Link, f.Data, f.Length = wire.NewFrameID(input, in.Frames), p.at, p.link, p.data, p.length
}

// shut is what Next returns after Close. Whoever reads may let the ring go, as the frame
// that lay in it is no longer wanted.
func (a *afpacket) shut() error {
	a.mu.Lock()
	a.ring.unmap()
	a.mu.Unlock()
	return fmt.Errorf("capture from interface %s: %w", a.name, os.ErrClosed)
}

// wait waits for the next block of the ring.
func (a *afpacket) wait(f *wire.Frame, d time.Duration) error {
	a.ring.give()
	var until time.Time
	for {
		if a.blocks++; a.blocks >= 64 {
			// A busy interface must not keep a change of another from being seen.
			a.listen()
		}
		if len(a.gaps) > 0 {
			g := a.gaps[0]
			a.gaps = a.gaps[1:]
			return g
		}
		if a.ring.take() {
			if p, ok := a.ring.next(); ok {
				a.fill(f, &p)
				return nil
			}
			a.ring.give()
			continue
		}
		if a.closed.Load() {
			return a.shut()
		}
		most := backstop
		if a.stopping.Load() {
			if a.drained() {
				return io.EOF
			}
			most = ringRetire / 4
		}
		if d < forever {
			now := time.Now()
			if until.IsZero() {
				until = now.Add(d)
			}
			if !now.Before(until) {
				return ErrNoFrame
			}
			most = min(most, until.Sub(now))
		}
		a.poll(most)
	}
}

// poll waits until the ring, the doorbell or the eventfd has something, and no longer
// than most.
func (a *afpacket) poll(most time.Duration) {
	a.mu.Lock()
	if a.fdsClosed {
		a.mu.Unlock()
		return
	}
	a.within = true
	a.mu.Unlock()
	fds := [...]unix.PollFd{
		{Fd: int32(a.fd), Events: unix.POLLIN | unix.POLLERR},
		{Fd: int32(a.wake), Events: unix.POLLIN},
		{Fd: int32(a.doorbell), Events: unix.POLLIN},
	}
	unix.Poll(fds[:], int((most+time.Millisecond-1)/time.Millisecond))
	if fds[0].Revents&unix.POLLERR != 0 {
		// The interface went down. The doorbell says so too, and says when it is back;
		// asking for the error takes it away.
		unix.GetsockoptInt(a.fd, unix.SOL_SOCKET, unix.SO_ERROR)
	}
	if fds[1].Revents != 0 {
		var b [8]byte
		unix.Read(a.wake, b[:])
	}
	if fds[2].Revents != 0 {
		a.listen()
	}
	a.mu.Lock()
	a.within = false
	if a.closed.Load() {
		a.closeFDs()
	}
	a.mu.Unlock()
}

// drained reports whether all that the kernel counted up to Stop was handed out.
func (a *afpacket) drained() bool {
	l := a.Losses()
	a.mu.Lock()
	since := time.Since(a.stopped)
	a.mu.Unlock()
	// On another processor a frame may just be on its way past the old filter.
	return since >= ringRetire && l.Received-l.Dropped == a.handed || since > stopPatience
}

// Stop attaches a filter that selects nothing: what comes from now on is neither
// received nor dropped.
func (a *afpacket) Stop() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.fdsClosed || a.closed.Load() || a.stopping.Load() {
		return nil
	}
	if err := a.setFilter(rejectAll); err != nil {
		return fmt.Errorf("stop the capture from interface %s: %w", a.name, err)
	}
	a.stopped = time.Now()
	a.stopping.Store(true)
	a.ringWake()
	return nil
}

// ringWake ends a wait. The counter of an eventfd never fills up by ones.
func (a *afpacket) ringWake() {
	unix.Write(a.wake, []byte{1, 0, 0, 0, 0, 0, 0, 1})
}

// Close ends the capture at once. Frames that were not handed out are lost; the last
// one that was stays valid until Next is called, which then returns an error.
func (a *afpacket) Close() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.closed.Load() {
		return nil
	}
	a.readStats()
	a.closed.Store(true)
	if a.within {
		a.ringWake() // and the reader closes what it waits for
		return nil
	}
	a.closeFDs()
	return nil
}

// closeFDs is called with mu held.
func (a *afpacket) closeFDs() {
	if a.fdsClosed {
		return
	}
	a.fdsClosed = true
	for _, fd := range []int{a.fd, a.doorbell, a.wake} {
		if fd >= 0 {
			unix.Close(fd)
		}
	}
}

// release gives back everything.
func (a *afpacket) release() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.closed.Store(true)
	a.closeFDs()
	if a.ring != nil {
		a.ring.unmap()
	}
}

// Losses may be called from any goroutine.
func (a *afpacket) Losses() Losses {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.readStats()
	return a.losses
}

// readStats adds what the kernel counted since it was asked last: asking sets its
// counters to 0. It is called with mu held.
func (a *afpacket) readStats() {
	if a.fdsClosed || a.closed.Load() {
		return
	}
	// It cannot fail on a packet socket with a ring.
	if s, err := unix.GetsockoptTpacketStatsV3(a.fd, unix.SOL_PACKET, unix.PACKET_STATISTICS); err == nil {
		a.losses.Received += uint64(s.Packets)
		a.losses.Dropped += uint64(s.Drops)
		a.losses.Freezes += uint64(s.Freeze_q_cnt)
	}
}

// Infos returns what each interface gave. Like Next it belongs to the reader.
func (a *afpacket) Infos() []Info {
	l := a.Losses()
	all := slices.Clone(a.inputs)
	for i := range all {
		x := all[i].Interfaces[0]
		x.Received = all[i].Frames
		if i == 0 {
			// All that is not another's, those in the ring included.
			x.Received, x.Dropped = l.Received, l.Dropped
			for _, o := range all[1:] {
				x.Received -= min(o.Frames, x.Received)
			}
		}
		all[i].Interfaces = []Interface{x}
	}
	return all
}

// Info is Infos in one.
func (a *afpacket) Info() Info {
	all := a.Infos()
	sum := all[0]
	sum.Name = a.name
	for _, in := range all[1:] {
		sum.Frames, sum.Bytes = sum.Frames+in.Frames, sum.Bytes+in.Bytes
		sum.Interfaces = append(sum.Interfaces, in.Interfaces...)
	}
	return sum
}
