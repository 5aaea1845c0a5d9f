//go:build linux && !race

package main

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"os/exec"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestMetricsBesideTheKernel: a program forgets to close its sockets, and the metrics of a
// run on that interface count as many in CLOSE_WAIT as the kernel does. The run has given
// its rights away by then, and can still tell its own memory.
func TestMetricsBesideTheKernel(t *testing.T) {
	if _, err := exec.LookPath("ss"); err != nil {
		t.Skip("wants ss (Debian: iproute2), to ask the kernel")
	}
	ownNetwork(t)
	p := startFollower(t, "live", "--verbose", "--events", "none", "--metrics", "127.0.0.1:0", "lo")
	p.ready()
	address := regexp.MustCompile(`http://([0-9.:]+)/metrics`).FindStringSubmatch(p.errors())
	if address == nil {
		t.Fatalf("it does not say where the metrics are: %s", p.errors())
	}

	// Everything here happens on this goroutine: its thread alone is in that network.
	listener, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	const n = 30
	for range n {
		c, err := net.Dial("tcp4", listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		forgotten, err := listener.Accept()
		if err != nil {
			t.Fatal(err)
		}
		defer forgotten.Close()
		c.Close()
	}

	scrape := func() string {
		c, err := net.Dial("tcp4", address[1])
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		c.SetDeadline(time.Now().Add(20 * time.Second))
		if _, err := io.WriteString(c, "GET /metrics HTTP/1.1\r\nHost: "+address[1]+"\r\nConnection: close\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
		answer, err := http.ReadResponse(bufio.NewReader(c), nil)
		if err != nil {
			t.Fatal(err)
		}
		defer answer.Body.Close()
		b, err := io.ReadAll(answer.Body)
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	leaked := fmt.Sprintf("\ntcplife_listener_endpoints{listener=\"%s\",state=\"CLOSE_WAIT\"} %d\n", listener.Addr(), n)
	text := scrape()
	for start := time.Now(); !strings.Contains(text, leaked); text = scrape() {
		if time.Since(start) > 30*time.Second {
			t.Fatalf("no %s in\n%s", leaked, text)
		}
		time.Sleep(200 * time.Millisecond)
	}
	kernel, err := exec.Command("ss", "-Htan", "state", "close-wait", "src", listener.Addr().String()).Output()
	if err != nil {
		t.Fatal(err)
	}
	if lines := strings.Count(string(kernel), "\n"); lines != n {
		t.Errorf("the kernel has %d sockets in CLOSE_WAIT, and %d are told", lines, n)
	}
	for _, series := range []string{`tcplife_capture_frames_total{source="lo"} `, "tcplife_capture_drops_total 0\n", "tcplife_capture_freezes_total 0\n", "process_resident_memory_bytes "} {
		if !strings.Contains(text, "\n"+series) {
			t.Errorf("no %q in\n%s", series, text)
		}
	}
	p.cmd.Process.Signal(syscall.SIGTERM)
	p.until("close-wait-leak")
}
