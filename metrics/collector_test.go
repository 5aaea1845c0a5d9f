package metrics

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/tcplife/tcplife/finding"
	"github.com/tcplife/tcplife/reassembly"
	"github.com/tcplife/tcplife/wire"
)

// busy is a snapshot in which everything there is has a value.
func busy() *Snapshot {
	p := &Present{}
	for i := range 100 {
		p.Add(port("10.0.0.1", 40000+i), port("10.0.0.2", 443), both(reassembly.TimeWait, reassembly.Closed))
		p.Add(port("10.0.0.1", 50000+i), port("10.0.0.2", 80), both(reassembly.FinWait2, reassembly.CloseWait))
	}
	s := &Snapshot{Opened: 250, Present: p, Counted: true, Dropped: 3, Frozen: 1, Gaps: 2}
	s.Sources = []Source{{Name: "eth0", Frames: 1000, Bytes: 90000, Last: wire.Time(noon.UnixNano())}}
	s.Sources[0].Skipped[wire.SkipNotTCP] = 17
	return s
}

// TestLint holds names, units and help texts against Prometheus' own rules.
func TestLint(t *testing.T) {
	r := prometheus.NewPedanticRegistry()
	r.MustRegister(NewCollector(someBuild, NewRecorder(), busy))
	problems, err := testutil.GatherAndLint(r)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
}

// TestEveryMetricIsSent wants a series of each metric of the catalogue, and none that
// does not stand there; labels of closed lists hold what their lists have.
func TestEveryMetricIsSent(t *testing.T) {
	r := prometheus.NewPedanticRegistry()
	r.MustRegister(NewCollector(someBuild, NewRecorder(), busy))
	families, err := r.Gather()
	if err != nil {
		t.Fatal(err)
	}
	known := map[string]*Metric{}
	for _, m := range All() {
		if known[m.Name] != nil {
			t.Errorf("%s stands twice in the catalogue", m.Name)
		}
		known[m.Name] = m
	}
	for _, f := range families {
		m := known[f.GetName()]
		if m == nil {
			t.Errorf("%s is not in the catalogue", f.GetName())
			continue
		}
		delete(known, f.GetName())
		if got := strings.ToLower(f.GetType().String()); got != m.Kind.String() {
			t.Errorf("%s is a %s, and a %s in the catalogue", m.Name, got, m.Kind)
		}
		for _, x := range f.Metric {
			for _, l := range x.Label {
				i := slices.IndexFunc(m.Labels, func(k Label) bool { return k.Name == l.GetName() })
				if v := m.Labels[i].Values; v != nil && !slices.Contains(v(), l.GetValue()) {
					t.Errorf("%s: label %s has the value %q, which is not in its list", m.Name, l.GetName(), l.GetValue())
				}
			}
		}
	}
	for name := range known {
		t.Errorf("%s is in the catalogue and was not sent", name)
	}
}

// TestFirstScrape: counters that exist from the beginning, so that the first increase is
// seen, and no more before there is anything to say.
func TestFirstScrape(t *testing.T) {
	got := gathered(t, NewCollector(someBuild, NewRecorder(), nothing))
	for _, name := range []string{
		`tcplife_build_info{goversion="go1.26",revision="abc",schema="1",version="v0.0.1"}`,
		`tcplife_connections_closed_total{reason="refused"}`, `tcplife_findings_total{id="reset-injected",severity="error"}`,
		`tcplife_resets_total{class="foreign",role="server"}`, `tcplife_state_dwell_seconds{role="server",state="CLOSE_WAIT"}`,
	} {
		if got[name] == nil {
			t.Errorf("no %s", name)
		}
	}
	for name := range got {
		if strings.HasPrefix(name, "tcplife_endpoints") || strings.HasPrefix(name, "tcplife_capture") {
			t.Errorf("%s before anything is known", name)
		}
	}
}

// TestPresent counts by hand.
func TestPresent(t *testing.T) {
	got := gathered(t, NewCollector(someBuild, NewRecorder(), busy))
	for name, want := range map[string]float64{
		`tcplife_connections_open`:                                                     200,
		`tcplife_connections_opened_total`:                                             250,
		`tcplife_endpoints{role="client",state="TIME_WAIT"}`:                           100,
		`tcplife_endpoints{role="client",state="FIN_WAIT_2"}`:                          100,
		`tcplife_endpoints{role="server",state="CLOSE_WAIT"}`:                          100,
		`tcplife_endpoints{role="server",state="TIME_WAIT"}`:                           0,
		`tcplife_listener_endpoints{listener="10.0.0.2:80",state="CLOSE_WAIT"}`:        100,
		`tcplife_listener_endpoints{listener="other",state="CLOSE_WAIT"}`:              0,
		`tcplife_listener_endpoints{listener="10.0.0.2:443",state="TIME_WAIT"}`:        -1, // its ends are all gone
		`tcplife_client_ports_held{client="10.0.0.1",server="10.0.0.2:443"}`:           100,
		`tcplife_client_ports_time_wait{client="10.0.0.1",server="10.0.0.2:443"}`:      100,
		`tcplife_client_ports_time_wait{client="10.0.0.1",server="10.0.0.2:80"}`:       0,
		`tcplife_client_ports_left{client="10.0.0.1",server="10.0.0.2:443"}`:           28232 - 100,
		`tcplife_client_ports_left_least`:                                              28232 - 100,
		`tcplife_client_ports_held{client="other",server="other"}`:                     0,
		`tcplife_capture_frames_total{source="eth0"}`:                                  1000,
		`tcplife_capture_drops_total`:                                                  3,
		`tcplife_capture_freezes_total`:                                                1,
		`tcplife_capture_gaps_total`:                                                   2,
		`tcplife_frames_skipped_total{reason="not-tcp",source="eth0"}`:                 17,
		`tcplife_capture_last_frame_timestamp_seconds{source="eth0"}`:                  float64(noon.Unix()),
		`tcplife_capture_last_frame_timestamp_seconds{source="nobody has that input"}`: -1,
	} {
		if n := number(got[name]); n != want {
			t.Errorf("%s = %v, want %v", name, n, want)
		}
	}
}

// TestPortsLeft: the range is the profile's of the client, or what the client uses.
func TestPortsLeft(t *testing.T) {
	hosts := Hosts{Profile: reassembly.Linux, Networks: []reassembly.Network{
		{Prefix: netip.MustParsePrefix("10.1.0.0/16"), Profile: reassembly.Windows},
		{Prefix: netip.MustParsePrefix("10.1.1.0/24"), Profile: reassembly.BSD},
	}}
	for _, c := range []struct {
		client      string
		first, n    int
		left        float64
		explanation string
	}{
		{"10.0.0.1", 32768, 232, 28000, "linux: 28232"},
		{"10.0.0.1", 32768, 28232, 0, "all of linux's"},
		{"10.1.2.1", 50000, 384, 16000, "windows: 16384"},
		{"10.1.1.1", 10000, 536, 55000, "bsd, by the longer prefix: 55536"},
		{"10.0.0.1", 1024, 100, 28132, "ports below the range: as wide as linux's at least"},
	} {
		s := &Snapshot{Present: &Present{Hosts: hosts}}
		for i := range c.n {
			s.Present.Add(port(c.client, c.first+i), port("10.9.9.9", 443), both(reassembly.TimeWait, reassembly.Closed))
		}
		got := gathered(t, NewCollector(someBuild, NewRecorder(), func() *Snapshot { return s }))
		for _, name := range []string{"tcplife_client_ports_left_least", fmt.Sprintf(`tcplife_client_ports_left{client="%s",server="10.9.9.9:443"}`, c.client)} {
			if n := number(got[name]); n != c.left {
				t.Errorf("%s: %d ports from %d: %s = %v, want %v", c.explanation, c.n, c.first, name, n, c.left)
			}
		}
	}
	// Ports from 1024 to 61023 are more than any range of the profile.
	s := &Snapshot{Present: &Present{Hosts: hosts}}
	for _, p := range []int{1024, 61023} {
		s.Present.Add(port("10.0.0.1", p), port("10.9.9.9", 443), both(reassembly.Established, reassembly.Established))
	}
	got := gathered(t, NewCollector(someBuild, NewRecorder(), func() *Snapshot { return s }))
	if n := number(got["tcplife_client_ports_left_least"]); n != 60000-2 {
		t.Errorf("a client that uses 1024 to 61023: %v left, want %d", n, 60000-2)
	}
}

// mostSeries stands in docs/metrics.md. Each source has eleven of them, each named
// pair three.
const mostSeries = 1000

// TestBounds: what a scanner, a flood or a busy proxy shows makes no more series than
// anything else, the sums stay right, and memory does not grow with it.
func TestBounds(t *testing.T) {
	const n = 200_000
	p := &Present{}
	addr := func(b byte, i int) netip.Addr {
		return netip.AddrFrom4([4]byte{b, byte(i >> 16), byte(i >> 8), byte(i)})
	}
	for i := range n {
		p.Add(netip.AddrPortFrom(addr(10, i), 40000), netip.AddrPortFrom(addr(20, i), 80), both(reassembly.SynSent, reassembly.SynReceived))
		if i%1000 == 0 { // and between them one that is busy
			for k := range 10 {
				p.Add(port("10.255.0.1", 40000+i/100+k), port("20.255.0.1", 80), both(reassembly.Established, reassembly.Established))
			}
		}
	}
	if len(p.listeners) > 2*keysKept || len(p.pairs) > 2*keysKept {
		t.Errorf("%d listeners and %d pairs are kept, bounds are %d", len(p.listeners), len(p.pairs), 2*keysKept)
	}
	c := NewCollector(someBuild, NewRecorder(), func() *Snapshot { return &Snapshot{Present: p} })
	got := gathered(t, c)
	series := 0
	for _, m := range got {
		series++
		if h := m.Histogram; h != nil {
			series += len(h.Bucket) + 2 // the one above all bounds, sum, count
		}
	}
	if t.Logf("%d series", series); series >= mostSeries {
		t.Errorf("%d series, and docs/metrics.md says fewer than %d", series, mostSeries)
	}
	sum, named := 0.0, 0
	for name, m := range got {
		if strings.HasPrefix(name, "tcplife_listener_endpoints") && strings.Contains(name, "SYN_RECEIVED") {
			sum += number(m)
			named++
		}
	}
	if sum != n || named != namedListeners+1 {
		t.Errorf("%v connections in %d series, want %d in %d", sum, named, n, namedListeners+1)
	}
	if n := number(got[`tcplife_listener_endpoints{listener="20.255.0.1:80",state="ESTABLISHED"}`]); n != 2000 {
		t.Errorf("the busy listener has %v connections, want 2000", n)
	}
	if n := number(got[`tcplife_client_ports_held{client="10.255.0.1",server="20.255.0.1:80"}`]); n != 2000 {
		t.Errorf("the busy pair holds %v ports, want 2000", n)
	}
}

// TestNamesStay: a name that the traffic chose stays for a while, whatever comes.
func TestNamesStay(t *testing.T) {
	n := names[int]{max: 2, least: 2, tenure: tenure}
	order := func(a, b int) int { return a - b }
	for _, step := range []struct {
		after time.Duration
		count map[int]uint64
		want  []int
	}{
		{0, map[int]uint64{1: 10, 2: 5, 3: 1}, []int{1, 2}},
		{time.Minute, map[int]uint64{1: 10, 2: 5, 3: 1000}, []int{1, 2}},               // places are taken
		{tenure, map[int]uint64{1: 10, 2: 5, 3: 10}, []int{1, 2}},                      // not more than twice as busy
		{tenure, map[int]uint64{1: 10, 2: 5, 3: 11}, []int{3, 1}},                      // takes the idlest's place
		{tenure + time.Second, map[int]uint64{1: 0, 3: 0}, []int{3}},                   // 1 is idle and has had its time
		{tenure + time.Minute, map[int]uint64{3: 0, 4: 1, 5: 2}, []int{5, 3}},          // below the least, nobody is named
		{2*tenure + 2*time.Minute, map[int]uint64{}, nil},                              // all have gone
		{3 * tenure, map[int]uint64{7: 3, 8: 3, 9: 3}, []int{7, 8}},                    // equals by key
		{3*tenure + time.Second, map[int]uint64{7: 3, 8: 3, 9: 3, 10: 9}, []int{7, 8}}, // who has just come stays
	} {
		if got := n.choose(noon.Add(step.after), step.count, order); !slices.Equal(got, step.want) {
			t.Errorf("after %s %v are named, want %v", step.after, got, step.want)
		}
	}
}

// TestRecorder compares with the summary of the same run, which others have proved, and
// wants the sums of histograms to be their durations'.
func TestRecorder(t *testing.T) {
	for _, name := range []string{"mixed.pcap.gz", "close-wait.pcap.gz", "reset-by-peer.pcap.gz"} {
		t.Run(name, func(t *testing.T) {
			r, sum := read(t, name)
			got := gathered(t, NewCollector(someBuild, r, nothing))
			expect := func(name string, want uint64) {
				t.Helper()
				if n := number(got[name]); n != float64(want) {
					t.Errorf("%s = %v, want %d", name, n, want)
				}
			}
			for i, reason := range reassembly.CloseReasons() {
				expect(fmt.Sprintf(`tcplife_connections_closed_total{reason="%s"}`, reason), sum.Reasons[i])
			}
			for i, n := range sum.Handshakes {
				expect(fmt.Sprintf(`tcplife_handshakes_total{outcome="%s"}`, reassembly.HandshakeOutcome(i)), n)
			}
			expect(`tcplife_closes_total{by="none",closer="none"}`, sum.Closers.None)
			found := 0
			for _, f := range sum.Findings() {
				for s, n := range f.BySeverity {
					if n > 0 {
						expect(fmt.Sprintf(`tcplife_findings_total{id="%s",severity="%s"}`, f.Rule.ID, finding.Severity(s)), n)
						found++
					}
				}
			}
			if found == 0 {
				t.Error("the capture shows no findings: another one is needed")
			}
			for side, role := range roleNames {
				expect(fmt.Sprintf(`tcplife_closes_total{by="fin",closer="%s"}`, role), sum.Closers.FIN[side])
				expect(fmt.Sprintf(`tcplife_closes_total{by="rst",closer="%s"}`, role), sum.Closers.RST[side])
				expect(fmt.Sprintf(`tcplife_connection_packets_total{role="%s"}`, role), sum.Packets[side])
				expect(fmt.Sprintf(`tcplife_connection_payload_bytes_total{role="%s"}`, role), sum.Bytes[side])
				eachState(func(s reassembly.State) {
					d := &sum.Durations.Dwell[side][s]
					key := fmt.Sprintf(`{role="%s",state="%s"}`, role, s)
					h := got["tcplife_state_dwell_seconds"+key].Histogram
					if h.GetSampleCount() != d.Count() {
						t.Errorf("dwell%s counts %d, want %d", key, h.GetSampleCount(), d.Count())
					}
					// All between the shortest and the longest.
					if low, high := float64(d.Count())*d.Min().Seconds(), float64(d.Count())*d.Max().Seconds(); h.GetSampleSum() < low*0.999999 || h.GetSampleSum() > high*1.000001 {
						t.Errorf("dwell%s sums to %v, not between %v and %v", key, h.GetSampleSum(), low, high)
					}
					for _, b := range h.Bucket {
						if le := time.Duration(b.GetUpperBound() * 1e9); le >= d.Max() && b.GetCumulativeCount() != d.Count() || le < d.Min() && b.GetCumulativeCount() != 0 {
							t.Errorf("dwell%s: %d up to %s, of %d between %s and %s", key, b.GetCumulativeCount(), le, d.Count(), d.Min(), d.Max())
						}
					}
					expect(fmt.Sprintf(`tcplife_state_dwell_unmeasured_total{role="%s",state="%s",why="unfinished"}`, role, s), d.Unfinished)
					expect(fmt.Sprintf(`tcplife_state_dwell_unmeasured_total{role="%s",state="%s",why="assumed"}`, role, s), d.Assumed)
				})
			}
			for part, name := range rttParts {
				h := got[fmt.Sprintf(`tcplife_handshake_rtt_seconds{part="%s"}`, name)].Histogram
				if d := &sum.Durations.RTT[part]; h.GetSampleCount() != d.Count() || d.Count() == 0 {
					t.Errorf("round trips (%s): %d, want %d", name, h.GetSampleCount(), d.Count())
				}
			}
		})
	}
}

// TestResetClasses: what each capture shows stands in its scenario.
func TestResetClasses(t *testing.T) {
	for name, want := range map[string]map[string]uint64{
		"reset-provenance-abort.pcap":     {`class="abort",role="client"`: 1},
		"reset-provenance-refused.pcap":   {`class="refusal",role="server"`: 1},
		"reset-provenance-no-socket.pcap": {`class="reply",role="server"`: 1},
		"reset-provenance-device.pcap":    {`class="foreign",role="server"`: 1, `class="foreign",role="client"`: 1},
		"reset-provenance-miss-none.pcap": {},
	} {
		r, _ := read(t, name)
		got := gathered(t, NewCollector(someBuild, r, nothing))
		for key, n := range want {
			if v := number(got["tcplife_resets_total{"+key+"}"]); v != float64(n) {
				t.Errorf("%s: tcplife_resets_total{%s} = %v, want %d", name, key, v, n)
			}
		}
		all := 0.0
		for key, m := range got {
			if strings.HasPrefix(key, "tcplife_resets_total") {
				all += number(m)
			}
		}
		sum := uint64(0)
		for _, n := range want {
			sum += n
		}
		if all != float64(sum) {
			t.Errorf("%s: %v RSTs in all, want %d", name, all, sum)
		}
	}
}
