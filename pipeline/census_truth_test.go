package pipeline

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/tcplife/tcplife/capture"
	"github.com/tcplife/tcplife/census"
	"github.com/tcplife/tcplife/reassembly"
	"github.com/tcplife/tcplife/report"
	"github.com/tcplife/tcplife/wire"
)

// truthDir holds captures together with every change of state that the kernels of
// both hosts made meanwhile.
const truthDir = "../../shared/truth"

// kernelNames are the kernel's names of the states that differ from RFC 9293's.
var kernelNames = map[string]string{"SYN_RECV": "SYN_RECEIVED", "FIN_WAIT1": "FIN_WAIT_1", "FIN_WAIT2": "FIN_WAIT_2"}

func kernelState(t *testing.T, name string) reassembly.State {
	t.Helper()
	if n, ok := kernelNames[name]; ok {
		name = n
	}
	for s := range reassembly.StateCount {
		if reassembly.State(s).String() == name {
			return reassembly.State(s)
		}
	}
	t.Fatalf("the kernel has a state %q", name)
	return 0
}

// kernelChange is a line of truth.jsonl.
type kernelChange struct {
	TS       wire.Time `json:"ts_ns"`
	Host     string
	EP       int
	Addr     string `json:"saddr"`
	Port     int    `json:"sport"`
	Peer     string `json:"daddr"`
	PeerPort int    `json:"dport"`
	Old      string
	New      string
	RxFrame  int `json:"rx_frame"`
	TxFrame  int `json:"tx_frame"`
}

// sentPacket is what the test needs of a line of packets.jsonl.
type sentPacket struct {
	Fate    string
	MadeBy  string `json:"made_by"`
	Src     string
	SPort   int
	Dst     string
	DPort   int
	Flags   string
	Len     int
	Arrived wire.Time `json:"dlv_ns"`
	Tap     wire.Time `json:"tap_ns"`
	Frame   int
}

// scenarioMeta is what the test needs of meta.json.
type scenarioMeta struct {
	Start      wire.Time         `json:"capture_start_ns"`
	End        wire.Time         `json:"capture_end_ns"`
	HostEvents []json.RawMessage `json:"host_events"`
	Sysctls    map[string]string
}

// unseen are settings of a host with which states end otherwise than the profile
// says, though no packet shows it.
var unseen = []string{"tcp_fin_timeout", "tcp_max_tw_buckets", "tcp_orphan_retries", "tcp_retries2", "tcp_rfc1337", "tcp_syn_retries", "tcp_synack_retries"}

func readJSON(t *testing.T, path string, to any) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(b, to); err != nil {
		t.Fatalf("%s: %v", path, err)
	}
}

func readLines[T any](t *testing.T, path string) (all []T) {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var x T
		if err := json.Unmarshal(lines.Bytes(), &x); err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		all = append(all, x)
	}
	return all
}

// hidden returns what happened in a scenario that a tap cannot know of, or nothing.
func hidden(packets []sentPacket, meta *scenarioMeta) string {
	if len(meta.HostEvents) > 0 {
		return "a host lost power"
	}
	for name := range meta.Sysctls {
		_, name, _ = strings.Cut(name, ":")
		if slices.Contains(unseen, strings.TrimPrefix(name, "net.ipv4.")) {
			return "a host has another " + name + " than the profile"
		}
	}
	for _, p := range packets {
		if p.Fate != "ok" && p.Fate != "in_flight_at_end" {
			return "a packet was " + p.Fate
		}
		// A copy that the path made of a packet under way is no lie; one that comes long
		// after, or that nobody sent, says something that neither host did.
		if p.MadeBy != "" && !strings.HasPrefix(p.MadeBy, "dup_") {
			return "a packet was made by " + p.MadeBy
		}
	}
	return ""
}

// interval is a span of time, both ends included.
type interval struct{ from, to wire.Time }

// loud returns the times at which the tap cannot know all states: around each change,
// since a segment passes it earlier or later than it reaches the host, and as long
// as a change stays without a frame that shows it.
func loud(changes []kernelChange, packets []sentPacket) (all []interval) {
	// The end of TIME_WAIT may come seconds late, so much slack has the kernel's timer.
	const margin, timerMargin = 50 * time.Millisecond, 5 * time.Second
	for i, c := range changes {
		timer := c.Old == "TIME_WAIT" && c.New == "CLOSED"
		m := margin
		if timer {
			m = timerMargin
		}
		from, to := c.TS.Add(-m), c.TS.Add(m)
		if c.RxFrame == 0 && c.TxFrame == 0 && !timer {
			// Nothing that passed the tap has to do with it, such as an application that
			// gives up an attempt. It shows with the endpoint's next change, if at all.
			to = census.Forever
			for _, next := range changes[i+1:] {
				if next.Host == c.Host && next.EP == c.EP && next.RxFrame+next.TxFrame > 0 {
					to = next.TS.Add(m)
					break
				}
			}
		}
		if c.New == "ESTABLISHED" && c.RxFrame > 0 {
			// A host may leave out the ACK that ends a handshake, because its application
			// wants to hear of it only when there is data, or has no room.
			for _, before := range changes[:i] {
				if before.Host != c.Host || before.EP != c.EP {
					continue
				}
				for _, p := range packets {
					if p.Src == c.Peer && p.SPort == c.PeerPort && p.Dst == c.Addr && p.DPort == c.Port && p.Flags == "A" && before.TS <= p.Arrived && p.Arrived < c.TS {
						from = min(from, p.Tap.Add(-m))
					}
				}
			}
		}
		all = append(all, interval{from, to})
	}
	slices.SortFunc(all, func(a, b interval) int { return cmp.Compare(a.from, b.from) })
	return all
}

// lives is a format that keeps what a census needs of each connection.
type lives struct {
	Discard
	tuples  []wire.Tuple
	states  [][]byte
	reused  bool // a tuple had several lives
	summary *report.Summary
}

func (*lives) Encode(b *report.Buffer, c *report.Connection) { b.B = census.AppendLife(b.B, c.Conn) }

func (f *lives) Add(_ uint64, d *report.Digest, b *report.Buffer) error {
	f.tuples = append(f.tuples, d.Tuple)
	f.reused = f.reused || d.Ended == reassembly.EndedReused
	f.states = append(f.states, bytes.Clone(b.B))
	return nil
}

func livesOf(t *testing.T, path string) *lives {
	t.Helper()
	src, err := capture.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer src.Close()
	f := &lives{}
	cfg := &Config{Source: src, Name: path, Profile: reassembly.Linux, Format: f, Output: io.Discard}
	if f.summary, err = Run(context.Background(), cfg); err != nil {
		t.Fatal(err)
	}
	return f
}

// count takes the census at any number of instants.
func (f *lives) count(at []wire.Time) (all []census.Counts) {
	for part := range slices.Chunk(at, census.MaxMoments) {
		c := census.New(census.Config{At: part, Top: 10})
		var l census.Life
		for i := range f.tuples {
			l.ReadLife(f.states[i], &f.tuples[i])
			c.Add(&l)
		}
		all = append(all, c.Result(0, 0).All.At[:len(part)]...)
	}
	return all
}

// quiet returns instants of the capture outside of all the intervals, which are in
// order: both ends and the middle of each time between them.
func quiet(loud []interval, first, last wire.Time) (at []wire.Time) {
	from := first
	for _, l := range append(loud, interval{last + 1, last + 1}) {
		if to := min(l.from-1, last); to >= from {
			at = append(at, from, from.Add(to.Sub(from)/2), to)
		}
		if l.to == census.Forever {
			break
		}
		from = max(from, l.to+1)
	}
	return at
}

// The census must equal a count over the kernels' own states, at every instant at
// which a tap can know them.
func TestCensusAgainstTheKernel(t *testing.T) {
	dirs, err := filepath.Glob(truthDir + "/*/truth.jsonl")
	if err != nil || len(dirs) == 0 {
		t.Skipf("wants captures with the kernels' own changes of state in %s", truthDir)
	}
	scenarios, instants := 0, 0
	for _, path := range dirs {
		dir := filepath.Dir(path)
		t.Run(filepath.Base(dir), func(t *testing.T) {
			var meta scenarioMeta
			readJSON(t, filepath.Join(dir, "meta.json"), &meta)
			packets := readLines[sentPacket](t, filepath.Join(dir, "packets.jsonl"))
			if why := hidden(packets, &meta); why != "" {
				t.Logf("not judged: %s", why)
				return
			}
			changes := readLines[kernelChange](t, path)
			f := livesOf(t, filepath.Join(dir, "capture.pcap"))
			at := quiet(loud(changes, packets), meta.Start, meta.End)
			got := f.count(at)
			scenarios++
			instants += len(at)
			for i, at := range at {
				var want census.Counts
				state := map[[2]any]reassembly.State{}
				for _, c := range changes {
					if c.TS <= at {
						state[[2]any{c.Host, c.EP}] = kernelState(t, c.New)
					}
				}
				for _, s := range state {
					want[s]++
				}
				// The tap knows nothing of the listening sockets that nobody asked, and of
				// attempts that never got a socket.
				for _, s := range []reassembly.State{reassembly.Closed, reassembly.Listen} {
					want[s], got[i][s] = 0, 0
				}
				if diff := gocmp.Diff(want, got[i]); diff != "" {
					t.Errorf("at +%v (-kernel +census):\n%s", at.Sub(meta.Start), diff)
					return
				}
			}
		})
	}
	t.Logf("%d scenarios, %d instants", scenarios, instants)
}
