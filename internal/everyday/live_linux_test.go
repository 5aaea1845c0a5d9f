//go:build linux && !race

package everyday

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tcplife/tcplife/capture"
	"github.com/tcplife/tcplife/pipeline"
	"github.com/tcplife/tcplife/reassembly"
	"github.com/tcplife/tcplife/report"
	wires "github.com/tcplife/tcplife/wire"
)

// TestLiveIsTheKernel follows an interface while programs talk over it, and asks the
// kernels of both hosts for their sockets' states meanwhile: what live says of open
// connections is what they say, and what it reports in the end is what analyze reports
// of tcpdump's capture of the same.
func TestLiveIsTheKernel(t *testing.T) {
	if testing.Short() {
		t.Skip("takes a quarter of a minute: run without -short")
	}
	if os.Geteuid() != 0 {
		t.Skip("wants root, to make network namespaces for real programs and to capture what they send")
	}
	t.Setenv("PATH", os.Getenv("PATH")+":/usr/sbin:/sbin")
	for _, p := range [][2]string{{"ip", "iproute2"}, {"ss", "iproute2"}, {"tcpdump", "tcpdump"}, {"curl", "curl"}, {"nginx", "nginx"}, {"openssl", "openssl"}} {
		if _, err := exec.LookPath(p[0]); err != nil {
			t.Skipf("wants %s (Debian's %s), to compare with what real programs do", p[0], p[1])
		}
	}
	dir := t.TempDir()
	for _, d := range []string{dir, filepath.Dir(dir)} {
		if err := os.Chmod(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	client, server := newHost(t, dir), newHost(t, dir)
	cable(client, server, "10.1.0.1/24", "10.1.0.2/24")
	server.nginx("10.1.0.2")
	closer := newEnds(t, client, server, "10.1.0.2:7000")

	var source capture.Live
	if err := client.inside(func() (err error) {
		source, err = capture.OpenInterfaces([]string{"eth0"}, capture.InterfaceOptions{})
		return err
	}); err != nil {
		t.Fatal(err)
	}
	defer source.Close()
	tap := &tapped{Live: source, orders: map[string][]string{}}
	source = tap
	watch := &onlooker{rows: map[pair][]seen{}}
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var out bytes.Buffer
	format, err := report.New("ndjson")
	if err != nil {
		t.Fatal(err)
	}
	over := make(chan error, 1)
	file := filepath.Join(t.ArtifactDir(), "live.pcap")
	client.record(file, "eth0", 256, func() {
		go func() {
			sum, err := pipeline.Run(ctx, &pipeline.Config{
				Source: source, Name: "x", Profile: reassembly.Linux, Format: format, Output: &out, Report: report.Options{Inputs: []string{"x"}},
				Live: &pipeline.Live{Every: 40 * time.Millisecond, View: func() pipeline.View { return pipeline.View{Rows: 1 << 16} }, Snapshot: watch.look, Event: func(*report.Event) {}},
			})
			if err == nil && sum.Interrupted {
				err = fmt.Errorf("it says that it was interrupted")
			}
			over <- err
		}()
		polls := make(chan struct{})
		var polling sync.WaitGroup
		for _, h := range []*host{client, server} {
			polling.Go(func() {
				for {
					select {
					case <-polls:
						return
					case <-time.After(60 * time.Millisecond):
						watch.poll(t, h)
					}
				}
			})
		}
		closer.play(t)
		for _, line := range []string{
			"curl -sS -o /dev/null http://10.1.0.2/100k http://10.1.0.2/1k",
			"curl -sS -o /dev/null http://10.1.0.2:81/10k; sleep 1.3; curl -sS -o /dev/null http://10.1.0.2:81/5m",
			"curl -sSk -o /dev/null https://10.1.0.2/1k; curl -sSk -o /dev/null https://10.1.0.2:444/100k",
			"for i in $(seq 40); do curl -sS -o /dev/null http://10.1.0.2/1k & done; wait",
			"curl -sS --max-time 2 http://10.1.0.2:9999/ ; true",
		} {
			if said, err := client.run("bash", "-c", line); err != nil {
				t.Errorf("%s: %v\n%s", line, err, said)
			}
		}
		closer.wait()
		time.Sleep(2 * time.Second) // no timer of less than that is left
		close(polls)
		polling.Wait()
		stop()
		if err := <-over; err != nil {
			t.Error(err)
		}
	}, "--time-stamp-precision=nano")

	watch.judge(t, client, server)

	live, analyzed := connections(t, out.Bytes()), connections(t, analyze(t, file))
	if len(live) < 50 {
		t.Errorf("%d connections were followed", len(live))
	}
	crossed := tap.crossed(t, file)
	for key, c := range analyzed {
		if crossed[endsOf(c)] {
			delete(analyzed, key)
			delete(live, key)
		}
	}
	if len(crossed) > 5 {
		t.Errorf("of %d connections the two taps had segments in another order", len(crossed))
	}
	if d := cmp.Diff(analyzed, live); d != "" {
		t.Errorf("what analyze says of tcpdump's capture (-), and live (+):\n%.6000s", d)
	}
}

// tapped keeps in which order the segments of each tuple came: where both hosts send at
// once, on two processors, the kernel hands frames to two sockets of one interface in two
// orders, and what the reports say of that connection differs as it must.
type tapped struct {
	capture.Live
	dec    wires.Decoder
	orders map[string][]string
}

func (p *tapped) NextWithin(f *wires.Frame, d time.Duration) error {
	err := p.Live.NextWithin(f, d)
	if err == nil {
		note(&p.dec, f, p.orders)
	}
	return err
}

// Infos, Losses and Stop are the source's.
func (p *tapped) Infos() []capture.Info  { return capture.Infos(p.Live) }
func (p *tapped) Losses() capture.Losses { return p.Live.(capture.LossCounter).Losses() }
func (p *tapped) Stop() error            { return p.Live.(capture.Stopper).Stop() }

// note adds a segment to the order of its tuple.
func note(dec *wires.Decoder, f *wires.Frame, orders map[string][]string) {
	var s wires.Segment
	if dec.Decode(f, &s) != wires.SkipNone {
		return
	}
	src, dst := s.Tuple.Source(), s.Tuple.Destination()
	key := sorted(src.String(), dst.String())
	orders[key] = append(orders[key], fmt.Sprint(src, s.Seq, s.Ack, s.Flags, s.Len))
}

func sorted(a, b string) string {
	if b < a {
		a, b = b, a
	}
	return a + " " + b
}

// endsOf returns the key of a reported connection's tuple.
func endsOf(c map[string]any) string {
	end := func(name string) string {
		e := c[name].(map[string]any)
		return netip.AddrPortFrom(netip.MustParseAddr(e["ip"].(string)), uint16(e["port"].(float64))).String()
	}
	return sorted(end("client"), end("server"))
}

// crossed returns the tuples of which a file has the same segments in another order.
func (p *tapped) crossed(t *testing.T, file string) map[string]bool {
	t.Helper()
	source, err := capture.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer source.Close()
	var dec wires.Decoder
	var f wires.Frame
	orders := map[string][]string{}
	for source.Next(&f) == nil {
		note(&dec, &f, orders)
	}
	found := map[string]bool{}
	for key, here := range p.orders {
		there := orders[key]
		if slices.Equal(here, there) {
			continue
		}
		a, b := slices.Clone(here), slices.Clone(there)
		slices.Sort(a)
		slices.Sort(b)
		if slices.Equal(a, b) {
			t.Logf("%s: the taps had its segments in two orders", key)
			found[key] = true
		}
	}
	return found
}

// analyze reports on a file.
func analyze(t *testing.T, file string) []byte {
	t.Helper()
	source, err := capture.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer source.Close()
	var out bytes.Buffer
	format, err := report.New("ndjson")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := pipeline.Run(t.Context(), &pipeline.Config{Source: source, Name: "x", Profile: reassembly.Linux, Format: format, Output: &out, Report: report.Options{Inputs: []string{"x"}}}); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// connections returns those of a report, by ports and first sequence number, without what
// two taps on one interface do not agree about: how frames are counted, for how long was
// watched, and the time to the microsecond, of which each has its own.
func connections(t *testing.T, ndjson []byte) map[string]map[string]any {
	t.Helper()
	all := map[string]map[string]any{}
	var strip func(v any)
	strip = func(v any) {
		switch v := v.(type) {
		case map[string]any:
			for k, x := range v {
				_, text := x.(string)
				switch k {
				case "frame", "frames", "first_frame", "last_frame", "proof", "id", "stream", "message":
					delete(v, k)
				case "at", "start", "until", "t", "last_t", "dwell", "duration", "idle_before", "response", "rtt", "rtt_client_side", "rtt_server_side", "uid":
					delete(v, k)
				case "end":
					if text {
						delete(v, k) // otherwise it is a sequence number
					}
				default:
					strip(x)
				}
			}
		case []any:
			for _, x := range v {
				strip(x)
			}
		}
	}
	for line := range bytes.Lines(ndjson) {
		var o map[string]any
		if err := json.Unmarshal(line, &o); err != nil {
			t.Fatalf("%v in %s", err, line)
		}
		if o["type"] != "connection" {
			continue
		}
		key := fmt.Sprint(o["client"], o["server"], o["isn"])
		strip(o)
		all[key] = o
	}
	return all
}

// pair is a socket and its peer, as its host sees it.
type pair struct {
	host        *host
	local, peer netip.AddrPort
}

// seen is a state that a snapshot shows: known at some time, and since when.
type seen struct {
	at, since wires.Time
	state     reassembly.State
	has       bool
}

// asked is one answer of a host's ss: the states of its sockets, between two times.
type asked struct {
	from, to wires.Time
	host     *host
	states   map[pair]reassembly.State
}

// onlooker gathers what live and the kernels say.
type onlooker struct {
	mu    sync.Mutex
	rows  map[pair][]seen
	polls []asked
}

// look keeps what a snapshot shows. Sides are told apart by address, so the host is left
// open.
func (o *onlooker) look(s *pipeline.Snapshot) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for i := range s.Rows {
		r := &s.Rows[i]
		ends := [2]netip.AddrPort{r.Tuple.Source(), r.Tuple.Destination()}
		for side := range ends {
			p := pair{nil, ends[side], ends[1-side]}
			o.rows[p] = append(o.rows[p], seen{wires.Time(s.Wall.UnixNano()), r.Since[side], r.States[side], r.HasState[side]})
		}
	}
}

// ssStates are the names that ss has for states.
var ssStates = map[string]reassembly.State{
	"ESTAB": reassembly.Established, "SYN-SENT": reassembly.SynSent, "SYN-RECV": reassembly.SynReceived, "FIN-WAIT-1": reassembly.FinWait1, "FIN-WAIT-2": reassembly.FinWait2,
	"TIME-WAIT": reassembly.TimeWait, "CLOSE-WAIT": reassembly.CloseWait, "LAST-ACK": reassembly.LastAck, "CLOSING": reassembly.Closing,
}

func (o *onlooker) poll(t *testing.T, h *host) {
	a := asked{from: wires.Time(time.Now().UnixNano()), host: h, states: map[pair]reassembly.State{}}
	out, err := h.run("ss", "-tanH")
	if err != nil {
		t.Errorf("ss: %v\n%s", err, out)
		return
	}
	a.to = wires.Time(time.Now().UnixNano())
	for line := range strings.Lines(out) {
		f := strings.Fields(line)
		if len(f) < 5 || f[0] == "LISTEN" {
			continue
		}
		state, known := ssStates[f[0]]
		local, err1 := netip.ParseAddrPort(f[3])
		peer, err2 := netip.ParseAddrPort(f[4])
		if !known || err1 != nil || err2 != nil {
			t.Errorf("ss says %q", line)
			continue
		}
		if local.Addr() != peer.Addr() && !local.Addr().IsLoopback() { // what passes the tap
			a.states[pair{nil, local, peer}] = state
		}
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	o.polls = append(o.polls, a)
}

const (
	// transit is how long a segment may be between the tap and a state that ss shows:
	// nothing on a cable of memory, but processors are few.
	transit = 50 * time.Millisecond
	// behind is how long after a frame a snapshot shows it: what the ring holds back, a
	// flush, a snapshot's step.
	behind = 500 * time.Millisecond
)

// judge compares, for every poll and endpoint, what the kernel said with what live said of
// that time half a second later, unless it came into that state just then.
func (o *onlooker) judge(t *testing.T, hosts ...*host) {
	t.Helper()
	compared, states, wrong := 0, map[reassembly.State]int{}, 0
	addr := map[netip.Addr]*host{netip.MustParseAddr("10.1.0.1"): hosts[0], netip.MustParseAddr("10.1.0.2"): hosts[1]}
	for _, a := range o.polls {
		for p, looks := range o.rows {
			if addr[p.local.Addr()] != a.host {
				continue
			}
			var then *seen
			for i := range looks {
				if looks[i].at >= a.to.Add(behind) {
					then = &looks[i]
					break
				}
			}
			if then == nil || looks[0].since > a.from {
				continue
			}
			want, open := a.states[p]
			got := then.state
			if !then.has {
				got = reassembly.Closed
			}
			// It was in this state before ss looked, and still is.
			if then.since.Add(transit) > a.from {
				continue
			}
			compared++
			states[got]++
			if !open {
				want = reassembly.Closed
			}
			if got != want {
				if wrong++; wrong < 10 {
					t.Errorf("%v to %v: live says %v since %v, ss says %v at %v", p.local, p.peer, got, then.since.Std(), want, a.from.Std())
				}
			}
		}
		// And live knows of every socket that has been there for a while.
		for p := range a.states {
			if len(o.rows[p]) == 0 && a.host == addr[p.local.Addr()] && len(o.polls) > 0 && a.to.Add(behind) < o.polls[len(o.polls)-1].from {
				if wrong++; wrong < 10 {
					t.Errorf("ss shows %v to %v as %v, of which live knows nothing", p.local, p.peer, a.states[p])
				}
			}
		}
	}
	t.Logf("%d comparisons at %d polls: %v; %d differ", compared, len(o.polls), states, wrong)
	for _, s := range []reassembly.State{reassembly.Established, reassembly.FinWait2, reassembly.CloseWait, reassembly.TimeWait, reassembly.Closed} {
		if states[s] < 10 {
			t.Errorf("%v was compared %d times only", s, states[s])
		}
	}
}

// ends are a client and a server of Go that close connections in every way.
type ends struct {
	client, server *host
	addr           string
	listener       net.Listener
	all            sync.WaitGroup
}

func newEnds(t *testing.T, client, server *host, addr string) *ends {
	t.Helper()
	e := &ends{client: client, server: server, addr: addr}
	if err := server.inside(func() (err error) {
		e.listener, err = net.Listen("tcp", addr)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { e.listener.Close() })
	return e
}

// play opens the connections one after the other, each with what its two ends do.
func (e *ends) play(t *testing.T) {
	pause := func(d time.Duration) { time.Sleep(d) }
	drain := func(c *net.TCPConn) { io.Copy(io.Discard, c) }
	type way struct {
		name           string
		client, server func(c *net.TCPConn)
	}
	hello := []byte("hello")
	for _, w := range []way{
		{"the client closes", func(c *net.TCPConn) { c.Write(hello); pause(200 * time.Millisecond); c.Close() }, func(c *net.TCPConn) { drain(c); c.Close() }},
		{"the server closes", func(c *net.TCPConn) { drain(c); c.Close() }, func(c *net.TCPConn) { c.Write(hello); pause(200 * time.Millisecond); c.Close() }},
		{"the server is slow to close", func(c *net.TCPConn) { c.Write(hello); c.Close() }, func(c *net.TCPConn) { drain(c); pause(2 * time.Second); c.Close() }},
		{"half a close", func(c *net.TCPConn) { c.Write(hello); c.CloseWrite(); drain(c); c.Close() },
			func(c *net.TCPConn) {
				drain(c)
				for range 5 {
					c.Write(hello)
					pause(200 * time.Millisecond)
				}
				c.Close()
			}},
		{"both close at once", func(c *net.TCPConn) { pause(300 * time.Millisecond); c.Close() }, func(c *net.TCPConn) { pause(300 * time.Millisecond); c.Close() }},
		{"the client aborts", func(c *net.TCPConn) { c.Write(hello); pause(500 * time.Millisecond); c.SetLinger(0); c.Close() }, func(c *net.TCPConn) { drain(c); c.Close() }},
		{"the server aborts", func(c *net.TCPConn) { drain(c); c.Close() }, func(c *net.TCPConn) { pause(500 * time.Millisecond); c.SetLinger(0); c.Close() }},
		{"the server leaves data unread", func(c *net.TCPConn) { c.Write(hello); drain(c); c.Close() }, func(c *net.TCPConn) { pause(300 * time.Millisecond); c.Close() }},
		{"data after the peer's close", func(c *net.TCPConn) {
			pause(600 * time.Millisecond)
			c.Write(hello)
			pause(200 * time.Millisecond)
			c.Close()
		}, func(c *net.TCPConn) { c.Close() }},
		{"nobody says anything", func(c *net.TCPConn) { pause(6 * time.Second); c.Close() }, func(c *net.TCPConn) { drain(c); c.Close() }},
		{"a big transfer", func(c *net.TCPConn) { c.Write(make([]byte, 4<<20)); c.Close() }, func(c *net.TCPConn) { drain(c); c.Close() }},
	} {
		var c net.Conn
		accepted := make(chan net.Conn, 1)
		go func() {
			s, err := e.listener.Accept()
			if err != nil {
				t.Errorf("%s: %v", w.name, err)
			}
			accepted <- s
		}()
		if err := e.client.inside(func() (err error) {
			c, err = net.DialTimeout("tcp", e.addr, patience)
			return err
		}); err != nil {
			t.Fatalf("%s: %v", w.name, err)
		}
		s := <-accepted
		e.all.Go(func() { w.client(c.(*net.TCPConn)) })
		e.all.Go(func() { w.server(s.(*net.TCPConn)) })
		pause(40 * time.Millisecond)
	}
}

func (e *ends) wait() { e.all.Wait() }
