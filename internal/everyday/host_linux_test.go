//go:build linux && !race

package everyday

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// patience bounds every wait for a program that starts or stops.
	patience = 30 * time.Second
	// longest is what one program may take: of all steps none takes more than some ten
	// seconds, on a busy machine.
	longest = 3 * time.Minute
)

// host is a network namespace and the programs in it. Both end with the test, also
// when it is killed: the namespace has no name, and programs die with their parent.
type host struct {
	t     *testing.T
	netns *os.File
	dir   string
}

func newHost(t *testing.T, dir string) *host {
	t.Helper()
	h := &host{t: t, dir: dir}
	err := onThread(func() (err error) {
		if err = unix.Unshare(unix.CLONE_NEWNET); err != nil {
			return err
		}
		h.netns, err = os.Open("/proc/thread-self/ns/net")
		return err
	})
	if err != nil {
		t.Skipf("wants the right to make network namespaces, for hosts of its own: %v", err)
	}
	t.Cleanup(func() { h.netns.Close() })
	h.must("ip", "link", "set", "lo", "up")
	return h
}

// onThread calls f on a thread whose network namespace f may change.
func onThread(f func() error) error {
	runtime.LockOSThread()
	home, err := os.Open("/proc/thread-self/ns/net")
	if err != nil {
		runtime.UnlockOSThread()
		return err
	}
	defer home.Close()
	err = f()
	if back := unix.Setns(int(home.Fd()), unix.CLONE_NEWNET); back != nil {
		// Left locked, the thread ends with its goroutine: nobody else may get it.
		return errors.Join(err, fmt.Errorf("return to the namespace of before: %w", back))
	}
	runtime.UnlockOSThread()
	return err
}

// inside calls f on a thread that is in the host's namespace.
func (h *host) inside(f func() error) error {
	return onThread(func() error {
		if err := unix.Setns(int(h.netns.Fd()), unix.CLONE_NEWNET); err != nil {
			return fmt.Errorf("enter the namespace: %w", err)
		}
		return f()
	})
}

// path names the namespace for ip.
func (h *host) path() string { return fmt.Sprintf("/proc/%d/fd/%d", os.Getpid(), h.netns.Fd()) }

// cable joins two hosts by a pair of virtual interfaces, without delay and with the
// offload that they have by default: segments of up to 64 kB pass the tap.
func cable(a, b *host, addrA, addrB string) {
	a.t.Helper()
	a.must("ip", "link", "add", "eth0", "type", "veth", "peer", "name", "eth0", "netns", b.path())
	a.up(addrA)
	b.up(addrB)
}

// up gives the host's interface its addresses.
func (h *host) up(addrs ...string) {
	h.t.Helper()
	for _, a := range addrs {
		args := []string{"addr", "add", a, "dev", "eth0"}
		if strings.Contains(a, ":") {
			args = append(args, "nodad") // nobody else is there to have the address
		}
		h.must("ip", args...)
	}
	h.must("ip", "link", "set", "eth0", "up")
}

// command is a program that runs in the host's namespace.
func (h *host) command(ctx context.Context, name string, args ...string) *exec.Cmd {
	c := exec.CommandContext(ctx, name, args...)
	c.Dir = h.dir
	c.Env = append(os.Environ(), "LC_ALL=C", "HOME="+h.dir)
	c.WaitDelay = patience
	// As the first process of a namespace of its own it takes its children with it.
	c.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Cloneflags: syscall.CLONE_NEWPID}
	return c
}

// start starts c in the host's namespace.
func (h *host) start(c *exec.Cmd) error { return h.inside(c.Start) }

// must runs a program that has to succeed, and returns what it printed.
func (h *host) must(name string, args ...string) string {
	h.t.Helper()
	out, err := h.run(name, args...)
	if err != nil {
		h.t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
	return out
}

func (h *host) run(name string, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(h.t.Context(), longest)
	defer cancel()
	c := h.command(ctx, name, args...)
	var out bytes.Buffer
	c.Stdout, c.Stderr = &out, &out
	if err := h.start(c); err != nil {
		return "", err
	}
	err := c.Wait()
	return out.String(), err
}

// serve starts a server and returns when something listens at every one of the
// addresses. The server ends with the test.
func (h *host) serve(c *exec.Cmd, listens ...string) {
	h.t.Helper()
	var log lines
	if c.Stdout == nil {
		c.Stdout = &log
	}
	c.Stderr = c.Stdout
	if err := h.start(c); err != nil {
		h.t.Fatalf("start %s: %v", c.Path, err)
	}
	gone := make(chan error, 1)
	go func() { gone <- c.Wait() }()
	h.t.Cleanup(func() {
		c.Process.Kill()
		<-gone
		if h.t.Failed() {
			h.t.Logf("%s said:\n%s", filepath.Base(c.Path), log.tail(5))
		}
	})
	deadline := time.Now().Add(patience)
	for _, addr := range listens {
		for !h.listening(addr) {
			if time.Now().After(deadline) {
				h.t.Fatalf("%s does not listen on %s after %v", c.Path, addr, patience)
			}
			time.Sleep(20 * time.Millisecond)
		}
	}
}

// listening reports whether the address takes connections.
func (h *host) listening(addr string) bool {
	return h.inside(func() error {
		c, err := net.DialTimeout("tcp", addr, time.Second)
		if err == nil {
			c.Close()
		}
		return err
	}) == nil
}

// lines keeps what a program prints.
type lines struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *lines) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(b)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

func (l *lines) tail(n int) string {
	all := strings.Split(strings.TrimSpace(l.String()), "\n")
	return strings.Join(all[max(0, len(all)-n):], "\n")
}

// lost is the line in which tcpdump says what its buffer had no room for.
var lost = regexp.MustCompile(`(?m)^([0-9]+) packets? dropped by kernel`)

// record captures what passes the host's interface, while f runs, to the file. Further
// arguments are tcpdump's.
func (h *host) record(file, ifname string, snap int, f func(), further ...string) {
	h.t.Helper()
	var said lines
	// 64 MiB of buffer: a busy machine must not make holes.
	args := append([]string{"-n", "-i", ifname, "-s", fmt.Sprint(snap), "-B", "65536", "-Z", "root", "-w", file}, further...)
	c := h.command(context.Background(), "tcpdump", args...)
	c.Stderr = &said
	if err := h.start(c); err != nil {
		h.t.Fatal(err)
	}
	gone := make(chan error, 1)
	go func() { gone <- c.Wait() }()
	defer func() {
		// libpcap hands over a block of frames when it is full or a second old; then
		// the last connections have been closed too.
		time.Sleep(1500 * time.Millisecond)
		c.Process.Signal(os.Interrupt)
		select {
		case <-gone:
		case <-time.After(patience):
			c.Process.Kill()
			h.t.Errorf("tcpdump does not end")
		}
		if m := lost.FindStringSubmatch(said.String()); m == nil || m[1] != "0" {
			h.t.Errorf("the capture has holes that tcpdump made, so that what follows says little:\n%s", said.String())
		}
	}()
	for deadline := time.Now().Add(patience); !strings.Contains(said.String(), "listening on"); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			h.t.Fatalf("tcpdump does not begin:\n%s", said.String())
		}
	}
	f()
}
