package metrics

import (
	"errors"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// serve starts a server on a free port and returns where it is.
func serve(t *testing.T, health func() error) (s *Server, base string) {
	t.Helper()
	s, warning, err := Listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if warning != "" {
		t.Errorf("a warning about loopback: %s", warning)
	}
	r := prometheus.NewPedanticRegistry()
	r.MustRegister(NewCollector(someBuild, NewRecorder(), busy))
	s.Serve(r, health)
	return s, strings.TrimSuffix(s.URL(), "/metrics")
}

func get(t *testing.T, url string) (code int, body string) {
	t.Helper()
	answer, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	b, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer.StatusCode, string(b)
}

func TestServer(t *testing.T) {
	var wrong error
	s, base := serve(t, func() error { return wrong })
	if code, body := get(t, base+"/metrics"); code != 200 || !strings.Contains(body, "\ntcplife_connections_open 200\n") {
		t.Errorf("/metrics: %d, %.200s", code, body)
	}
	if code, body := get(t, base+"/healthz"); code != 200 || body != "ok\n" {
		t.Errorf("/healthz of a run that goes on: %d, %q", code, body)
	}
	wrong = errors.New("nothing was heard of the run for a minute")
	if code, body := get(t, base+"/healthz"); code != 503 || !strings.Contains(body, "for a minute") {
		t.Errorf("/healthz of a run that hangs: %d, %q", code, body)
	}
	if code, _ := get(t, base+"/"); code != 200 {
		t.Errorf("/: %d", code)
	}
	if code, _ := get(t, base+"/debug/pprof"); code != 404 {
		t.Errorf("/debug/pprof: %d", code)
	}
	answer, err := http.Post(base+"/metrics", "text/plain", strings.NewReader("x"))
	if err != nil {
		t.Fatal(err)
	}
	answer.Body.Close()
	if answer.StatusCode != http.StatusMethodNotAllowed {
		t.Errorf("POST: %d", answer.StatusCode)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if _, err := http.Get(base + "/metrics"); err == nil {
		t.Error("answers after Close")
	}
	// And the address is free again.
	again, _, err := Listen(strings.TrimPrefix(base, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	if err := again.Close(); err != nil { // without having served
		t.Error(err)
	}
}

// TestServerGivesUp: a peer that connects and says nothing does not stay, nor do many.
func TestServerTimes(t *testing.T) {
	s, _ := serve(t, func() error { return nil })
	defer s.Close()
	if s.http.ReadHeaderTimeout <= 0 || s.http.ReadTimeout <= 0 || s.http.WriteTimeout <= 10*time.Second || s.http.IdleTimeout <= 0 {
		t.Errorf("timeouts %v %v %v %v: each bounds what a peer can hold, and Prometheus may take 10 s", s.http.ReadHeaderTimeout, s.http.ReadTimeout, s.http.WriteTimeout, s.http.IdleTimeout)
	}
	addr := s.listener.Addr().String()
	var peers []net.Conn
	for range maxPeers + 1 {
		c, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		peers = append(peers, c)
	}
	// The last one waits until another has gone.
	last := peers[maxPeers]
	if _, err := io.WriteString(last, "GET /healthz HTTP/1.0\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	last.SetReadDeadline(time.Now().Add(300 * time.Millisecond))
	var b [64]byte
	if n, err := last.Read(b[:]); err == nil {
		t.Errorf("more than %d peers are answered at once: %q", maxPeers, b[:n])
	}
	for _, c := range peers[:maxPeers] {
		c.Close()
	}
	last.SetReadDeadline(time.Now().Add(10 * time.Second))
	if n, err := last.Read(b[:]); err != nil || !strings.HasPrefix(string(b[:n]), "HTTP/1.0 200") {
		t.Errorf("the peer that had to wait got %q, %v", b[:n], err)
	}
}

func TestListen(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	port := strconv.Itoa(taken.Addr().(*net.TCPAddr).Port)
	for address, want := range map[string]string{
		"127.0.0.1:" + port: "ss -ltnp 'sport = :" + port + "'",
		"9777":              "give HOST:PORT",
		"127.0.0.1:70000":   "up to 65535",
		"127.0.0.1:http":    "give a number",
		"192.0.2.1:9777":    "192.0.2.1:9777",
		"":                  "give HOST:PORT",
	} {
		s, _, err := Listen(address)
		if err == nil {
			s.Close()
			t.Errorf("%q is served", address)
		} else if !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v; want %q in it", address, err, want)
		}
	}
	for address, warned := range map[string]bool{"127.0.0.1:0": false, "localhost:0": false, "0.0.0.0:0": true, ":0": true} {
		s, warning, err := Listen(address)
		if err != nil {
			t.Fatal(err)
		}
		s.Close()
		if (warning != "") != warned || warned && !strings.Contains(warning, "127.0.0.1:") {
			t.Errorf("%s: warning %q", address, warning)
		}
	}
}
