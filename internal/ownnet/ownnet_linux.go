package ownnet

import (
	"errors"
	"os/exec"
	"runtime"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// Enter gives the test a network of its own, in which lo alone is up. The thread
// stays the test's, and ends with it; programs that it starts share its network.
func Enter(t *testing.T) {
	t.Helper()
	runtime.LockOSThread()
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		runtime.UnlockOSThread()
		t.Skipf("wants root, for a network namespace of its own: %v", err)
	}
	IP(t, "link", "set", "lo", "up")
}

// IP calls the program of that name.
func IP(t *testing.T, args ...string) {
	t.Helper()
	if out, err := exec.Command("ip", args...).CombinedOutput(); err != nil {
		if errors.Is(err, exec.ErrNotFound) {
			t.Skip("wants ip (Debian: iproute2), to make interfaces")
		}
		t.Fatalf("ip %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

// Cable makes two interfaces that are joined by a cable, and quiet: without IPv6 they
// send nothing of their own accord.
func Cable(t *testing.T, a, b string) {
	t.Helper()
	IP(t, "link", "add", a, "type", "veth", "peer", "name", b)
	for _, name := range []string{a, b} {
		IP(t, "link", "set", name, "addrgenmode", "none")
		IP(t, "link", "set", name, "up")
	}
	AwaitCarrier(t, a)
	AwaitCarrier(t, b)
}

// AwaitCarrier waits until the kernel has noticed that there is one: what is sent before goes
// nowhere.
func AwaitCarrier(t *testing.T, name string) {
	t.Helper()
	for start := time.Now(); !running(t, name); time.Sleep(time.Millisecond) {
		if time.Since(start) > 10*time.Second {
			t.Fatalf("%s is up, and has no carrier", name)
		}
	}
	time.Sleep(2 * time.Millisecond) // it connects the queue a moment later
}

func running(t *testing.T, name string) bool {
	t.Helper()
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	r, err := unix.NewIfreq(name)
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.IoctlIfreq(fd, unix.SIOCGIFFLAGS, r); err != nil {
		t.Fatal(err)
	}
	return r.Uint16()&unix.IFF_RUNNING != 0
}
