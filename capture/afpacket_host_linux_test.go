package capture

import (
	"fmt"
	"io"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/tcplife/tcplife/wire"
)

// sender sends frames as they are.
type sender struct {
	t  *testing.T
	fd int
	to unix.SockaddrLinklayer
}

func newSender(t *testing.T, name string) *sender {
	t.Helper()
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	l := link{name: name}
	if err := l.look(fd); err != nil {
		t.Fatal(err)
	}
	return &sender{t, fd, unix.SockaddrLinklayer{Ifindex: l.index}}
}

func (s *sender) send(frame []byte) {
	s.t.Helper()
	if err := unix.Sendto(s.fd, frame, 0, &s.to); err != nil {
		s.t.Fatalf("send a frame: %v", err)
	}
}

// flood sends one frame again and again as fast as it goes, out of a ring of its own.
type flood struct {
	fd int
	m  []byte
}

const floodSlot, floodSlots = 2048, 1024

// newFlood is called on the test's thread, which is in the right network; send is not.
func newFlood(t *testing.T, name string, frame []byte) *flood {
	t.Helper()
	check := func(what string, err error) {
		t.Helper()
		if err != nil {
			t.Fatalf("send from a ring: %s: %v", what, err)
		}
	}
	to := newSender(t, name).to
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
	check("socket", err)
	t.Cleanup(func() { unix.Close(fd) })
	check("version", unix.SetsockoptInt(fd, unix.SOL_PACKET, unix.PACKET_VERSION, unix.TPACKET_V2))
	check("bypass", unix.SetsockoptInt(fd, unix.SOL_PACKET, unix.PACKET_QDISC_BYPASS, 1))
	const block = 1 << 16
	check("ring", unix.SetsockoptTpacketReq(fd, unix.SOL_PACKET, unix.PACKET_TX_RING, &unix.TpacketReq{
		Block_size: block, Block_nr: floodSlot * floodSlots / block, Frame_size: floodSlot, Frame_nr: floodSlots,
	}))
	m, err := unix.Mmap(fd, 0, floodSlot*floodSlots, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	check("map", err)
	t.Cleanup(func() { unix.Munmap(m) })
	check("bind", unix.Bind(fd, &to))
	// Behind struct tpacket2_hdr, aligned, less the address that only arrivals have.
	const at = unix.SizeofTpacket2Hdr
	for i := range floodSlots {
		copy(m[i*floodSlot+at:], frame)
		native.PutUint32(m[i*floodSlot+4:], uint32(len(frame)))
	}
	return &flood{fd, m}
}

// send sends the whole ring, which holds floodSlots frames.
func (s *flood) send() error {
	for i := range floodSlots {
		native.PutUint32(s.m[i*floodSlot:], unix.TP_STATUS_SEND_REQUEST)
	}
	if err := unix.Send(s.fd, nil, 0); err != nil {
		return err
	}
	// The receiver's processor may still have some of them.
	for i := range floodSlots {
		for late := time.Now(); native.Uint32(s.m[i*floodSlot:]) != unix.TP_STATUS_AVAILABLE; time.Sleep(50 * time.Microsecond) {
			if time.Since(late) > 10*time.Second {
				return fmt.Errorf("frame %d of the ring was not sent: status %#x", i, native.Uint32(s.m[i*floodSlot:]))
			}
		}
	}
	return nil
}

func mustCapture(t *testing.T, o InterfaceOptions, names ...string) Live {
	t.Helper()
	src, err := OpenInterfaces(names, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { src.Close() })
	return src
}

// captured is a frame that was handed out.
type captured struct {
	id     wire.FrameID
	link   wire.LinkType
	data   string
	length uint32
}

// rest stops a source and returns the frames that it still has.
func rest(t *testing.T, src Live) (all []captured) {
	t.Helper()
	if err := src.(Stopper).Stop(); err != nil {
		t.Fatal(err)
	}
	return toEnd(t, src)
}

// toEnd returns the frames of a source up to its end. It may be called on any goroutine.
func toEnd(t *testing.T, src Live) (all []captured) {
	t.Helper()
	var f wire.Frame
	var last wire.Time
	for {
		err := src.Next(&f)
		if err == io.EOF {
			return all
		}
		if err != nil {
			t.Errorf("Next: %v", err)
			return all
		}
		if f.At < last || f.At == 0 {
			t.Errorf("frame %d is of %v, and the one before of %v", f.ID.Number(), f.At, last)
		}
		last = f.At
		all = append(all, captured{f.ID, f.Link, string(f.Data), f.Length})
	}
}
