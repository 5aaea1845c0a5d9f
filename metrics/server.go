package metrics

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"syscall"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"golang.org/x/net/netutil"
)

// Server answers scrapes at /metrics, and at /healthz whether the run goes on.
type Server struct {
	listener net.Listener
	http     http.Server
	served   chan error
}

// Bounds of what a peer can make the server do.
const (
	// A scrape is one short request, and Prometheus keeps its connection.
	requestTime = 5 * time.Second
	// answerTime is longer than Prometheus waits by default (10 s).
	answerTime = 30 * time.Second
	idleTime   = 5 * time.Minute
	// maxPeers connections at once: a few monitoring systems and somebody with a browser.
	maxPeers = 32
	// maxScrapes at once.
	maxScrapes  = 4
	maxHeader   = 16 << 10
	closingTime = time.Second
)

// Check says what is wrong with an address, HOST:PORT, as it is written.
func Check(address string) error {
	_, _, err := split(address)
	return err
}

func split(address string) (host, port string, err error) {
	host, port, err = net.SplitHostPort(address)
	if err != nil {
		return "", "", fmt.Errorf("%q is no address to serve metrics at: give HOST:PORT, such as 127.0.0.1:9777 or [::1]:9777", address)
	}
	if _, e := strconv.ParseUint(port, 10, 16); e != nil {
		return "", "", fmt.Errorf("%q is no port to serve metrics at: give a number up to 65535, or 0 for any that is free", port)
	}
	if host == "localhost" {
		host = "127.0.0.1" // whatever a resolver says of it
	}
	return host, port, nil
}

// Listen takes the address, so that it is sure to have it; Serve answers. The warning, if
// it is not empty, says who can read what is served there. An error says what to do.
func Listen(address string) (s *Server, warning string, err error) {
	host, port, err := split(address)
	if err != nil {
		return nil, "", err
	}
	network := "tcp"
	if a, err := netip.ParseAddr(host); err == nil && a.Is4() {
		network = "tcp4" // 0.0.0.0 is no more than it says
	}
	l, err := net.Listen(network, net.JoinHostPort(host, port))
	if err != nil {
		return nil, "", fmt.Errorf("metrics cannot be served at %s: %w%s", address, cause(err), remedy(err, port))
	}
	at, _ := netip.ParseAddrPort(l.Addr().String())
	if !at.Addr().IsLoopback() {
		warning = fmt.Sprintf("metrics at %s: every host that reaches this address can read them, and they name addresses of clients and servers; without a firewall give 127.0.0.1:%d", at, at.Port())
	}
	return &Server{listener: netutil.LimitListener(l, maxPeers), served: make(chan error, 1)}, warning, nil
}

// cause returns what the system said, without the words that say again what was tried.
func cause(err error) error {
	var op *net.OpError
	if errors.As(err, &op) && op.Err != nil {
		return op.Err
	}
	return err
}

// remedy says what to do where it is known.
func remedy(err error, port string) string {
	var name *net.DNSError
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return fmt.Sprintf(" (another program, perhaps another tcplife, has it: ss -ltnp 'sport = :%s' names it; give another port, or 0 for any that is free)", port)
	case errors.Is(err, syscall.EACCES):
		return " (ports below 1024 are root's: give a higher one)"
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		return " (no interface here has that address: ip address lists those that there are)"
	case errors.As(err, &name):
		return " (give an address)"
	}
	return ""
}

// URL is where the metrics are.
func (s *Server) URL() string { return "http://" + s.listener.Addr().String() + "/metrics" }

// Serve begins to answer, and returns. health says what is wrong with the run, nil as
// long as nothing is.
func (s *Server) Serve(metrics prometheus.Gatherer, health func() error) {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(metrics, promhttp.HandlerOpts{MaxRequestsInFlight: maxScrapes, EnableOpenMetrics: true}))
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		if err := health(); err != nil {
			w.WriteHeader(http.StatusServiceUnavailable)
			fmt.Fprintln(w, err)
			return
		}
		fmt.Fprintln(w, "ok")
	})
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		fmt.Fprintln(w, "tcplife: /metrics for Prometheus, /healthz")
	})
	s.http = http.Server{Handler: mux, ReadHeaderTimeout: requestTime, ReadTimeout: requestTime, WriteTimeout: answerTime, IdleTimeout: idleTime, MaxHeaderBytes: maxHeader}
	go func() { s.served <- s.http.Serve(s.listener) }()
}

// Close lets a scrape that is under way have its answer, and gives the address back. It
// returns why serving had ended before, if it had.
func (s *Server) Close() error {
	if s.http.Handler == nil { // never served
		return s.listener.Close()
	}
	ctx, cancel := context.WithTimeout(context.Background(), closingTime)
	defer cancel()
	if s.http.Shutdown(ctx) != nil {
		s.http.Close()
	}
	if err := <-s.served; !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serving metrics at %s: %w", s.listener.Addr(), err)
	}
	return nil
}
