package census

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	_ "github.com/tcplife/tcplife/internal/property"
	"github.com/tcplife/tcplife/reassembly"
	"github.com/tcplife/tcplife/wire"
)

func drawLife(t *rapid.T, hosts int, most int64) Life {
	addr := func(label string) netip.Addr {
		return netip.AddrFrom4([4]byte{10, 0, 0, byte(rapid.IntRange(1, hosts).Draw(t, label))})
	}
	l := Life{Client: netip.AddrPortFrom(addr("client"), uint16(rapid.IntRange(40000, 40003).Draw(t, "port"))),
		Server: netip.AddrPortFrom(addr("server"), uint16(rapid.IntRange(80, 82).Draw(t, "port"))), Gone: Forever, Answered: Forever, Refused: Forever}
	last := int64(0)
	for side := range l.Sides {
		at := rapid.Int64Range(0, most).Draw(t, "start")
		for range rapid.IntRange(0, 6).Draw(t, "steps") {
			s := reassembly.State(rapid.IntRange(int(reassembly.SynSent), int(reassembly.TimeWait)).Draw(t, "state"))
			if rapid.IntRange(0, 5).Draw(t, "ends") == 0 {
				s = reassembly.Closed
			}
			l.Sides[side] = append(l.Sides[side], Step{s, wire.Time(at)})
			last = max(last, at)
			at += rapid.Int64Range(0, most/4).Draw(t, "lasts")
		}
	}
	if rapid.IntRange(0, 4).Draw(t, "gone") == 0 {
		l.Gone = wire.Time(last + rapid.Int64Range(0, most/4).Draw(t, "until"))
	}
	return l
}

// stateAt is the definition: the last state that began at or before an instant.
func stateAt(l *Life, side int, at wire.Time) (s reassembly.State, known bool) {
	for _, x := range l.Sides[side] {
		if x.At <= at {
			s, known = x.State, true
		}
	}
	if known && l.Gone != Forever && at >= l.Gone {
		s = reassembly.Closed
	}
	return s, known
}

func countAt(lives []Life, at wire.Time, want func(l *Life, side int) bool) (n Counts) {
	for i := range lives {
		for side := range 2 {
			if s, known := stateAt(&lives[i], side, at); known && want(&lives[i], side) {
				n[s]++
			}
		}
	}
	return n
}

func everyone(*Life, int) bool { return true }

// A census is compared with looking at each endpoint at each instant.
func TestCensusCounts(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		const most = 400
		lives := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) Life { return drawLife(t, 3, most) }), 0, 40).Draw(t, "lives")
		cfg := Config{Every: time.Duration(rapid.SampledFrom([]int{0, 1, 17, 100}).Draw(t, "every")), Top: 2}
		for range rapid.IntRange(0, 3).Draw(t, "moments") {
			cfg.At = append(cfg.At, wire.Time(rapid.Int64Range(0, 2*most).Draw(t, "at")))
		}
		c := New(cfg)
		for i := range lives {
			c.Add(&lives[i])
		}
		first, last := wire.Time(5), wire.Time(3*most)
		r := c.Result(first, last)

		for i, at := range append(slices.Clone(cfg.At), last) {
			if want := countAt(lives, at, everyone); r.All.At[i] != want {
				t.Fatalf("at %d: %v, want %v", at, r.All.At[i], want)
			}
			for _, h := range r.Hosts {
				want := countAt(lives, at, func(l *Life, side int) bool { return [2]netip.AddrPort{l.Client, l.Server}[side].Addr() == h.Addr })
				if h.At[i] != want {
					t.Fatalf("%v at %d: %v, want %v", h.Addr, at, h.At[i], want)
				}
			}
			for _, x := range r.Listeners {
				server := func(l *Life, side int) bool { return side == 1 && l.Server == x.Addr }
				if want := countAt(lives, at, server); x.At[i] != want {
					t.Fatalf("%v at %d: %v, want %v", x.Addr, at, x.At[i], want)
				}
				for _, h := range x.Clients {
					want := countAt(lives, at, func(l *Life, side int) bool { return server(l, side) && l.Client.Addr() == h.Addr })
					if h.At[i] != want {
						t.Fatalf("%v of %v at %d: %v, want %v", h.Addr, x.Addr, at, h.At[i], want)
					}
				}
			}
			checkSums(t, r, i)
		}
		checkPeaks(t, lives, r, 3*most)
		rows := 0
		r.All.Rows(first, last, func(at wire.Time, n *Counts) {
			rows++
			if want := countAt(lives, at, everyone); *n != want {
				t.Fatalf("over time, at %d: %v, want %v", at, *n, want)
			}
		})
		if cfg.Every > 0 && rows != int(last)/int(cfg.Every)-int(first-1)/int(cfg.Every) {
			t.Fatalf("%d rows from %d to %d every %d", rows, first, last, cfg.Every)
		}
	})
}

// checkSums wants that nothing is lost between those told apart and the others.
func checkSums(t *rapid.T, r *Result, i int) {
	sum := func(parts []Host, others *Others) (n Counts) {
		for _, h := range parts {
			for s := range n {
				n[s] += h.At[i][s]
			}
		}
		if others != nil {
			for s := range n {
				n[s] += others.At[i][s]
			}
		}
		return n
	}
	if got := sum(r.Hosts, r.OtherHosts); got != r.All.At[i] {
		t.Fatalf("all hosts together have %v, want %v", got, r.All.At[i])
	}
	for _, l := range r.Listeners {
		want := l.At[i]
		want[reassembly.Listen] = 0
		if got := sum(l.Clients, l.OtherClients); got != want {
			t.Fatalf("all clients of %v together have %v, want %v", l.Addr, got, want)
		}
	}
}

func checkPeaks(t *rapid.T, lives []Life, r *Result, until wire.Time) {
	var most [reassembly.StateCount]uint64
	sockets := uint64(0)
	opened := make([]uint64, len(r.Listeners))
	for at := range until {
		n := countAt(lives, at, everyone)
		for s := range most {
			most[s] = max(most[s], n[s])
		}
		sockets = max(sockets, n.Sockets())
		for i := range opened {
			n := countAt(lives, at, func(l *Life, side int) bool { return side == 1 && l.Server == r.Listeners[i].Addr })
			opened[i] = max(opened[i], n.Open())
		}
	}
	for s := reassembly.SynSent; int(s) < len(most); s++ {
		p := r.States[s]
		if p.Count != most[s] || p.Within != 0 {
			t.Fatalf("peak of %v: %+v, want %d", s, p, most[s])
		}
		if at := countAt(lives, p.At, everyone); p.Count > 0 && at[s] != p.Count {
			t.Fatalf("the peak of %v is said to be at %d, where there are %d, not %d", s, p.At, at[s], p.Count)
		}
	}
	if r.All.Peak.Count != sockets {
		t.Fatalf("peak of sockets %d, want %d", r.All.Peak.Count, sockets)
	}
	for i, l := range r.Listeners {
		if l.Peak.Count != opened[i] {
			t.Fatalf("peak of %v: %d open, want %d", l.Addr, l.Peak.Count, opened[i])
		}
	}
}

func simple(client, server string, from, to wire.Time) *Life {
	l := &Life{Client: netip.MustParseAddrPort(client), Server: netip.MustParseAddrPort(server), Gone: Forever, Answered: from, Refused: Forever}
	for side := range l.Sides {
		l.Sides[side] = []Step{{reassembly.Established, from}, {reassembly.Closed, to}}
	}
	return l
}

// LISTEN is what is known of a socket: from the first SYN that it answered, up to a
// refusal that no answer follows. The order in which connections settle is another.
func TestListen(t *testing.T) {
	type seen struct {
		at      wire.Time
		refused bool
	}
	for _, x := range []struct {
		name string
		seen []seen
		want string // at the instants 0 to 9
	}{
		{"answers", []seen{{2, false}, {5, false}}, "..LLLLLLLL"},
		{"answers, in another order", []seen{{5, false}, {2, false}}, "..LLLLLLLL"},
		{"refuses", []seen{{2, true}}, ".........."},
		{"closed", []seen{{2, false}, {6, true}, {7, true}}, "..LLLL...."},
		{"opened late", []seen{{2, true}, {6, false}}, "......LLLL"},
		{"restarted", []seen{{2, false}, {4, true}, {6, false}}, "..LLLLLLLL"},
		{"closed, opened, closed", []seen{{2, false}, {4, true}, {6, false}, {8, true}}, "..LLLLL..."},
	} {
		t.Run(x.name, func(t *testing.T) {
			cfg := Config{Top: 5, Every: 1}
			for at := range wire.Time(10) {
				cfg.At = append(cfg.At, at)
			}
			c := New(cfg)
			for _, s := range x.seen {
				l := simple("10.0.0.1:40000", "10.0.0.2:80", s.at, s.at+1)
				if s.refused {
					l.Answered, l.Refused = Forever, s.at
				}
				c.Add(l)
			}
			r := c.Result(0, 9)
			line := func(n uint64) string { return string(".L"[n]) }
			got := [4]string{}
			for i := range 10 {
				got[0] += line(r.All.At[i][reassembly.Listen])
				got[1] += line(r.Listeners[0].At[i][reassembly.Listen])
			}
			r.All.Rows(0, 9, func(_ wire.Time, n *Counts) { got[2] += line(n[reassembly.Listen]) })
			r.Listeners[0].Rows(0, 9, func(_ wire.Time, n *Counts) { got[3] += line(n[reassembly.Listen]) })
			for _, g := range got {
				if g != x.want {
					t.Errorf("%q, want %q", got, x.want)
				}
			}
		})
	}
}

// A flood of addresses that come once must neither grow the memory nor hide the
// host that they all talk to.
func TestManyHostsAreBounded(t *testing.T) {
	c := New(Config{Top: 3})
	const n = 100_000
	for i := range n {
		client := fmt.Sprintf("10.%d.%d.%d:40000", 1+i>>16, i>>8&255, i&255)
		c.Add(simple(client, "10.0.0.2:80", wire.Time(i), wire.Time(i+50)))
		if i%1000 == 0 {
			c.Add(simple("10.0.0.9:40000", "10.0.0.3:81", wire.Time(i), wire.Time(i+2000)))
		}
		if k := len(c.hosts.tallies) + len(c.clients.tallies); k > 4*keysKept {
			t.Fatalf("%d tallies are kept", k)
		}
		if c.budget.points > 3*maxPoints {
			t.Fatalf("%d points are kept", c.budget.points)
		}
	}
	r := c.Result(0, n)
	if h := r.Hosts[0]; h.Addr != netip.MustParseAddr("10.0.0.2") || h.Peak.Count < 50 || h.Peak.Within > 0 && h.Peak.AtMost < 50 {
		t.Errorf("the busiest host is %v with %+v", h.Addr, h.Peak)
	}
	if l := r.Listeners[1]; l.Addr != netip.MustParseAddrPort("10.0.0.3:81") || l.Clients[0].Peak.Count != 2 || l.OtherClients != nil {
		t.Errorf("the second listener is %+v", l)
	}
	if r.OtherHosts == nil || r.OtherHosts.Keys != 0 {
		t.Errorf("%+v: how many others there were cannot be known", r.OtherHosts)
	}
	at := r.All.At[0]
	if at[reassembly.Listen] != 2 || at.Sockets() != 0 || at[reassembly.Closed] != 2*(n+100) {
		t.Errorf("at the end %v", at)
	}
}

// Too many changes to keep are coarsened, and the report says so.
func TestManyChangesAreBounded(t *testing.T) {
	c := New(Config{Top: 3, Every: 1})
	const n = 600_000
	for i := range n {
		c.Add(simple("10.0.0.1:40000", "10.0.0.2:80", wire.Time(3*i), wire.Time(3*i+1000)))
	}
	if c.budget.points > 2*maxPoints {
		t.Errorf("%d points are kept", c.budget.points)
	}
	r := c.Result(0, 3*n)
	// From 1000 on there are always 333 or 334 connections.
	p := r.Listeners[0].Peak
	if p.Within == 0 || p.Count < 333 || p.Count > 334 || p.AtMost < 334 || p.AtMost > 334+uint64(p.Within) {
		t.Errorf("peak %+v", p)
	}
	if r.All.Step == 1 || r.All.Step > 64 {
		t.Errorf("counts every %d", r.All.Step)
	}
	rows := 0
	r.All.Rows(0, 3*n, func(at wire.Time, k *Counts) {
		rows++
		want := uint64(min(int64(at), 3*n-1)/3 - max(int64(at)-1000, -1)/3)
		if at >= 1000 {
			want = uint64(int64(at)/3 - (int64(at)-1000)/3)
		}
		if at >= 1000 && at < 3*n && k[reassembly.Established] != 2*want {
			t.Fatalf("%d at %d, want %d", k[reassembly.Established], at, 2*want)
		}
	})
	if rows > maxRows+1 {
		t.Errorf("%d rows", rows)
	}
}

// What crosses between goroutines must be what was there.
func TestLifeCrosses(t *testing.T) {
	var c reassembly.Conn
	c.Tuple = wire.Tuple{Src: wire.AddrFrom4([]byte{10, 0, 0, 1}), Dst: wire.AddrFrom4([]byte{10, 0, 0, 2}), SrcPort: 40000, DstPort: 80}
	c.Ends[0].Timeline = timeline(step(1, reassembly.SynSent, reassembly.Sent), step(2, reassembly.Established, reassembly.Acked))
	c.Ends[1].Timeline = timeline(step(1.5, reassembly.SynReceived, reassembly.Sent))
	c.Handshake.SYNACKs, c.Ended, c.Until = 1, reassembly.EndedEvicted, 9e9
	want := Life{Client: netip.MustParseAddrPort("10.0.0.1:40000"), Server: netip.MustParseAddrPort("10.0.0.2:80"), Gone: 9e9, Answered: 1.5e9, Refused: Forever,
		Sides: [2][]Step{{{reassembly.SynSent, 1e9}, {reassembly.Established, 2e9}}, {{reassembly.SynReceived, 1.5e9}}}}
	var l Life
	b := AppendLife(nil, &c)
	for range 2 { // the second time in memory that is there already
		l.ReadLife(b, &c.Tuple)
		if diff := cmp.Diff(want, l, cmp.Comparer(func(a, b netip.AddrPort) bool { return a == b })); diff != "" {
			t.Error(diff)
		}
	}
	if n := testing.AllocsPerRun(100, func() { b = AppendLife(b[:0], &c); l.ReadLife(b, &c.Tuple) }); n > 0 {
		t.Errorf("%v allocations", n)
	}
}
