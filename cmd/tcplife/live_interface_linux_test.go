//go:build linux && !race

package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/tcplife/tcplife/internal/ownnet"
)

// ownNetwork gives the test a network of its own, with lo and two interfaces joined by a
// cable.
func ownNetwork(t *testing.T) {
	t.Helper()
	ownnet.Enter(t)
	ownnet.Cable(t, "a0", "b0")
}

// follower is tcplife as it runs. Its output is read line by line.
type follower struct {
	t      *testing.T
	cmd    *exec.Cmd
	lines  chan string
	mu     sync.Mutex
	stderr bytes.Buffer
}

func (p *follower) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.stderr.Write(b)
}

func (p *follower) errors() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.stderr.String()
}

// startFollower starts it on the test's thread, whose network it shares. It ends with the test.
func startFollower(t *testing.T, args ...string) *follower {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	name := filepath.Join(t.TempDir(), "tcplife")
	if err := os.Symlink(self, name); err != nil { // see TestMain
		t.Fatal(err)
	}
	p := &follower{t: t, cmd: exec.Command(name, args...), lines: make(chan string, 10_000)}
	p.cmd.Stderr = p
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	p.cmd.Stdout = w
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	w.Close()
	go func() {
		defer close(p.lines)
		defer r.Close()
		b := bufio.NewReaderSize(r, 1<<20)
		for {
			line, err := b.ReadString('\n')
			if line != "" {
				p.lines <- line
			}
			if err != nil {
				return
			}
		}
	}()
	t.Cleanup(func() { p.cmd.Process.Kill(); p.cmd.Wait() })
	return p
}

// until returns the first line that matches, and those before it.
func (p *follower) until(pattern string) (before []string, line string) {
	p.t.Helper()
	re := regexp.MustCompile(pattern)
	late := time.After(20 * time.Second)
	for {
		select {
		case line, ok := <-p.lines:
			switch {
			case !ok:
				p.t.Fatalf("it ended before it printed %s\n%s%s", pattern, strings.Join(before, ""), p.errors())
			case re.MatchString(line):
				return before, line
			}
			before = append(before, line)
		case <-late:
			p.t.Fatalf("it did not print %s\n%s%s", pattern, strings.Join(before, ""), p.errors())
		}
	}
}

// ready waits until it gave its rights away, which is the last that it does before it
// begins.
func (p *follower) ready() {
	p.t.Helper()
	for start := time.Now(); !strings.Contains(p.errors(), "goes on as user"); time.Sleep(5 * time.Millisecond) {
		if time.Since(start) > 20*time.Second {
			p.t.Fatalf("it does not begin: %s", p.errors())
		}
	}
}

// exchange opens a connection on loopback, says a word and closes it.
func exchange(t *testing.T) {
	t.Helper()
	listener, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	go func() {
		if c, err := listener.Accept(); err == nil {
			io.Copy(io.Discard, c)
			c.Close()
		}
	}()
	c, err := net.Dial("tcp4", listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	c.Write([]byte("hello"))
	c.(*net.TCPConn).CloseWrite()
	io.Copy(io.Discard, c)
	c.Close()
}

// TestLivePrivileges: when it has begun it has no rights any more, on no thread; it
// writes where it may; and interfaces that go and come are survived, and named.
func TestLivePrivileges(t *testing.T) {
	ownNetwork(t)
	folder, err := os.MkdirTemp("", "live")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(folder) })
	recordings := folder + "/recordings"
	if err := os.Mkdir(recordings, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, f := range []string{folder, recordings} {
		if err := os.Chmod(f, 0o777); err != nil {
			t.Fatal(err)
		}
	}
	out := folder + "/out.ndjson"
	p := startFollower(t, "live", "--verbose", "--format", "ndjson", "--output", out, "--record", recordings, "--record-on", "warning", "lo", "b0", "tcp")
	p.ready()
	exchange(t)
	waitForText(t, out, `"event":"closed"`)

	tasks, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/status", p.cmd.Process.Pid))
	if err != nil || len(tasks) < 3 {
		t.Fatalf("%d threads: %v", len(tasks), err)
	}
	for _, name := range tasks {
		status, err := os.ReadFile(name)
		if err != nil {
			continue // the thread has ended
		}
		for field, want := range map[string]string{
			"Uid": "65534\t65534\t65534\t65534", "Gid": "65534\t65534\t65534\t65534", "Groups": "", "NoNewPrivs": "1",
			"CapInh": "0000000000000000", "CapPrm": "0000000000000000", "CapEff": "0000000000000000", "CapAmb": "0000000000000000",
		} {
			m := regexp.MustCompile("(?m)^" + field + ":[ \t]*(.*?)[ \t]*$").FindSubmatch(status)
			if m == nil || string(m[1]) != want {
				t.Errorf("%s: %s is %q", name, field, m)
			}
		}
	}

	// What is recorded is a file that it makes now.
	if c, err := net.Dial("tcp4", "127.0.0.1:9"); err == nil {
		c.Close()
		t.Fatal("somebody listens on port 9 of a network of our own")
	}
	for start := time.Now(); ; time.Sleep(10 * time.Millisecond) {
		if files, _ := filepath.Glob(recordings + "/*.pcapng"); len(files) == 1 {
			break
		}
		if time.Since(start) > 20*time.Second {
			t.Fatalf("nothing was recorded: %s", p.errors())
		}
	}

	ownnet.IP(t, "link", "set", "b0", "down")
	waitForText(t, out, `"capture":"b0","what":"the interface went down"`)
	ownnet.IP(t, "link", "set", "b0", "up")
	waitForText(t, out, "the interface is up again after")
	ownnet.IP(t, "link", "del", "b0")
	waitForText(t, out, "the interface was deleted")
	ownnet.Cable(t, "a0", "b0")
	waitForText(t, out, "the interface was made anew after")

	// The file was rotated away: the next lines go into a new one.
	if err := os.Rename(out, folder+"/old.ndjson"); err != nil {
		t.Fatal(err)
	}
	p.cmd.Process.Signal(unix.SIGHUP)
	for start := time.Now(); ; time.Sleep(10 * time.Millisecond) {
		if _, err := os.Stat(out); err == nil {
			break
		}
		if time.Since(start) > 20*time.Second {
			t.Fatalf("no new file: %s", p.errors())
		}
	}
	exchange(t)
	waitForText(t, out, `"event":"closed"`)
	p.cmd.Process.Signal(unix.SIGINT)
	if err := p.cmd.Wait(); err != nil {
		t.Errorf("%v: %s", err, p.errors())
	}
	text, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	var sum struct {
		Type        string
		Connections int
		Files       []struct {
			Name       string
			Interfaces []struct{ Received, Dropped uint64 }
		}
	}
	if err := json.Unmarshal([]byte(lines[len(lines)-1]), &sum); err != nil || sum.Type != "summary" || sum.Connections != 3 || len(sum.Files) != 2 || sum.Files[0].Name != "lo" || sum.Files[1].Name != "b0" {
		t.Errorf("the summary: %v, %+v\n%s", err, sum, lines[len(lines)-1])
	}
}

// waitForText waits until a file holds what a pattern says.
func waitForText(t *testing.T, name, pattern string) {
	t.Helper()
	re := regexp.MustCompile(pattern)
	for start := time.Now(); ; time.Sleep(10 * time.Millisecond) {
		text, _ := os.ReadFile(name)
		if re.Match(text) {
			return
		}
		if time.Since(start) > 20*time.Second {
			t.Fatalf("%s does not hold %s:\n%s", name, pattern, text)
		}
	}
}

// TestLiveOverload: what the ring has no room for is counted to the frame, and costs the
// report its trust.
func TestLiveOverload(t *testing.T) {
	ownNetwork(t)
	p := startFollower(t, "live", "--verbose", "--format", "ndjson", "--events", "none", "--ring", "2", "--direction", "in", "b0")
	p.ready()
	// While it stands still the ring fills.
	exchange(t)
	p.cmd.Process.Signal(unix.SIGSTOP)
	const sent = 60_000
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	a0, err := net.InterfaceByName("a0")
	if err != nil {
		t.Fatal(err)
	}
	frame := append([]byte("\x02\x00\x00\x00\x00\x01\x02\x00\x00\x00\x00\x02\x08\x00\x45\x00\x00\x28\x00\x00\x00\x00\x40\x06\x00\x00\x0a\x00\x00\x01\x0a\x00\x00\x02\x9c\x40\x00\x50"),
		make([]byte, 16)...)
	frame[46], frame[47] = 0x50, 0x10
	for range sent {
		for {
			err := unix.Sendto(fd, frame, 0, &unix.SockaddrLinklayer{Ifindex: a0.Index})
			if err == unix.ENOBUFS {
				time.Sleep(time.Millisecond)
				continue
			}
			if err != nil {
				t.Fatal(err)
			}
			break
		}
	}
	p.cmd.Process.Signal(unix.SIGCONT)
	p.cmd.Process.Signal(unix.SIGTERM)
	before, line := p.until(`"type":"summary"`)
	var sum struct {
		Files []struct {
			Frames     uint64
			Interfaces []struct{ Received, Dropped uint64 }
		}
		Quality struct{ Dropped uint64 }
	}
	if err := json.Unmarshal([]byte(line), &sum); err != nil || len(sum.Files) != 1 || len(sum.Files[0].Interfaces) != 1 {
		t.Fatalf("%v: %s", err, line)
	}
	f := sum.Files[0]
	x := f.Interfaces[0]
	if x.Received != sent || x.Dropped == 0 || f.Frames+x.Dropped != sent {
		t.Errorf("%d frames were sent: %d are in the report, and of %d the kernel dropped %d", sent, f.Frames, x.Received, x.Dropped)
	}
	if sum.Quality.Dropped != x.Dropped || !strings.Contains(strings.Join(before, "")+line, `"capture-loss"`) {
		t.Errorf("the report does not say that the capture lacks frames: %s%s", strings.Join(before, ""), line)
	}
}

func TestLiveInterfaceMistakes(t *testing.T) {
	for _, c := range []struct{ args, want string }{
		{"live lo tcp prot 80", `at character 5 ("prot")`},
		{"live --direction up lo", "give in, out or both"},
		{"live --snaplen 0 lo", "give 1 or more"},
		{"live --ring 0 lo", "give from 2 to 1024"},
		{"live --capture-filter tcp lo udp", "give one of the two"},
		{"live --bpf 5 lo", "5 instructions, and 0 numbers"},
		{"live --promiscuous any", "of interfaces that are named"},
		{"live nosuchinterface0", "nosuchinterface0"},
	} {
		var stdout, stderr bytes.Buffer
		if code := run(t.Context(), strings.Fields(c.args), strings.NewReader(""), &stdout, &stderr); code != exitUsage && code != exitOpen || !strings.Contains(stderr.String(), c.want) {
			t.Errorf("%s: exit code %d: %s", c.args, code, &stderr)
		}
	}
}
