//go:build linux && !race

package everyday

import (
	"os"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// wire joins two hosts by a wire of some length: every packet arrives the delay after
// it was sent, in order. The kernel's own netem would do, but is not built into every
// kernel; a TUN device is. A tap on it sees raw IP packets and no offload.
func wire(t *testing.T, a, b *host, delay time.Duration, addrsA, addrsB []string) {
	t.Helper()
	ends := [2]*os.File{tun(t, a), tun(t, b)}
	a.up(addrsA...)
	b.up(addrsB...)
	var moving sync.WaitGroup
	moving.Go(func() { move(ends[0], ends[1], delay) })
	moving.Go(func() { move(ends[1], ends[0], delay) })
	t.Cleanup(func() {
		ends[0].Close()
		ends[1].Close()
		moving.Wait()
	})
}

// tun makes the host's interface eth0.
func tun(t *testing.T, h *host) (device *os.File) {
	t.Helper()
	err := h.inside(func() error {
		fd, err := unix.Open("/dev/net/tun", unix.O_RDWR|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
		if err != nil {
			return err
		}
		req, err := unix.NewIfreq("eth0")
		if err != nil {
			return err
		}
		req.SetUint16(unix.IFF_TUN | unix.IFF_NO_PI)
		if err := unix.IoctlIfreq(fd, unix.TUNSETIFF, req); err != nil {
			unix.Close(fd)
			return err
		}
		// Only now, since what is no device yet cannot be waited for.
		device = os.NewFile(uintptr(fd), "/dev/net/tun")
		return nil
	})
	if err != nil {
		t.Skipf("wants /dev/net/tun, for a wire that takes time: %v", err)
	}
	return device
}

// move carries packets one way until the devices are closed.
func move(from, to *os.File, delay time.Duration) {
	type packet struct {
		due  time.Time
		data []byte
	}
	// More than both hosts' windows hold: a wire that is full would lose packets.
	way := make(chan packet, 1<<14)
	var delivering sync.WaitGroup
	delivering.Go(func() {
		for p := range way {
			time.Sleep(time.Until(p.due))
			to.Write(p.data) // fails when the test is over, or the host took no more
		}
	})
	buf := make([]byte, 1<<16)
	for {
		n, err := from.Read(buf)
		if err != nil {
			break
		}
		way <- packet{time.Now().Add(delay), append([]byte(nil), buf[:n]...)}
	}
	close(way)
	delivering.Wait()
}
