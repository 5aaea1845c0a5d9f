package pipeline

import (
	"bytes"
	"context"
	"encoding/json"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/tcplife/tcplife/reassembly"
	"github.com/tcplife/tcplife/report"
	"github.com/tcplife/tcplife/wire"
)

// limited runs frames within limits and returns the report and its summary.
func limited(t tester, frames []wire.Frame, limits Limits, jobs int, seed uint64, held ...func(reassembly.Held)) (string, *report.Summary) {
	t.Helper()
	var out bytes.Buffer
	cfg := config(t, play(number(frames)), "ndjson", &out)
	cfg.Jobs, cfg.Limits, cfg.held = jobs, limits, nil
	if len(held) > 0 {
		cfg.held = held[0]
	}
	sum, err := run(context.Background(), cfg, reassembly.Seed{A: seed, B: ^seed})
	if err != nil {
		t.Fatal(err)
	}
	return out.String(), sum
}

// limitedConn is what these tests read of a connection.
type limitedConn struct {
	Type, UID  string
	Evicted    bool
	RoleBy     string `json:"role_by"`
	FirstFrame int    `json:"first_frame"`
	Packets    struct{ Client, Server int }
	Client     struct{ Port int }
	Close      struct{ Reason string }
	Handshake  struct{ Outcome string }
}

func connsOf(t tester, ndjson string) (all []limitedConn) {
	t.Helper()
	for line := range strings.Lines(ndjson) {
		var c limitedConn
		if err := json.Unmarshal([]byte(line), &c); err != nil {
			t.Fatal(err)
		}
		if c.Type == "connection" {
			all = append(all, c)
		}
	}
	return all
}

// tcp is a frame of a test.
func tcp(at wire.Time, p packet) wire.Frame {
	data, length := p.append(nil)
	return wire.Frame{At: at, Link: wire.LinkEthernet, Data: data, Length: length}
}

// Limits that are never reached change nothing, and what they do where they are does not
// depend on who did it or on where in memory things are.
func TestLimitsForAnyJobsAndSeed(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		wish := taste{
			Frames:   rapid.IntRange(1, 12000).Draw(t, "frames"),
			Active:   rapid.SampledFrom([]int{5, 300, 3000}).Draw(t, "active"),
			Hosts:    rapid.SampledFrom([]int{3, 100}).Draw(t, "hosts"),
			Lost:     rapid.IntRange(0, 100).Draw(t, "lost"),
			Doubled:  rapid.IntRange(0, 100).Draw(t, "doubled"),
			Repeated: rapid.IntRange(0, 100).Draw(t, "repeated"),
			Noise:    rapid.IntRange(0, 100).Draw(t, "noise"),
			Pause:    rapid.SampledFrom([]int{0, 5}).Draw(t, "pause"),
			VLANs:    rapid.SampledFrom([]int{0, 3}).Draw(t, "vlans"),
		}
		frames := generate(rapid.Uint64().Draw(t, "frames' seed"), wish)
		free, _ := limited(t, frames, Limits{}, 1, 1)
		ample, _ := limited(t, frames, Limits{Connections: len(frames) + 1, Octets: 1 << 30}, 2, 7)
		if ample != free {
			t.Fatalf("a limit that is not reached changes the report:\n%s", firstDifference(free, ample))
		}
		l := Limits{
			Connections: rapid.SampledFrom([]int{0, 1, 50, 400}).Draw(t, "connections"),
			Octets:      rapid.SampledFrom([]int{0, 1, 40_000, 400_000}).Draw(t, "octets"),
		}
		first, sum := limited(t, frames, l, 1, 1)
		for _, jobs := range []int{1, 3, 64} {
			if got, _ := limited(t, frames, l, jobs, rapid.Uint64().Draw(t, "seed")); got != first {
				t.Fatalf("%+v with %d jobs differs:\n%s", l, jobs, firstDifference(first, got))
			}
		}
		// Nothing is lost and nothing counts twice.
		packets := func(report string) (n int) {
			for _, c := range connsOf(t, report) {
				n += c.Packets.Client + c.Packets.Server
			}
			return n
		}
		if a, b := packets(free), packets(first)+int(sum.LatePackets); sum.Limits.Evicted > 0 && b < a {
			t.Fatalf("%d packets in the limited report, %d in the free one", b, a)
		}
		evicted := 0
		for _, c := range connsOf(t, first) {
			if c.Evicted {
				evicted++
			}
		}
		if uint64(evicted) != sum.Limits.Evicted {
			t.Fatalf("%d connections are marked, %d counted", evicted, sum.Limits.Evicted)
		}
	})
}

// Half-open connections go first, the oldest of them before the others; of the open ones
// those that were silent the longest.
func TestWhoIsEvictedFirst(t *testing.T) {
	at := wire.Time(1_700_000_000_000_000_000)
	var frames []wire.Frame
	add := func(p packet) {
		at = at.Add(time.Millisecond)
		frames = append(frames, tcp(at, p))
	}
	const a, b = 0x0a000001, 0x0a000002
	open := func(port uint16) {
		add(packet{src: a, dst: b, srcPort: port, dstPort: 443, seq: 100, flags: syn})
		add(packet{src: b, dst: a, srcPort: 443, dstPort: port, seq: 200, ack: 101, flags: wire.SYN | wire.ACK})
		add(packet{src: a, dst: b, srcPort: port, dstPort: 443, seq: 101, ack: 201, flags: wire.ACK})
	}
	for i := range uint16(290) {
		open(1000 + i)
	}
	for range 30 { // the first of them talks on
		add(packet{src: a, dst: b, srcPort: 1000, dstPort: 443, seq: 101, ack: 201, flags: wire.ACK})
	}
	for i := range uint16(124) {
		add(packet{src: a, dst: b, srcPort: 20000 + i, dstPort: 443, seq: 100, flags: syn})
	}
	if len(frames) != batchSegments {
		t.Fatal("the first epoch is to end here")
	}
	add(packet{src: a, dst: b, srcPort: 1000, dstPort: 443, seq: 101, ack: 201, flags: wire.ACK})
	ports := func(from, n int) (all []int) {
		for i := range n {
			all = append(all, from+i)
		}
		return all
	}
	// 414 are held; room is made for an eighth.
	for most, want := range map[int][]int{
		414: nil,
		413: ports(20000, 414-(413-413/8)),
		400: ports(20000, 414-(400-400/8)),
		200: append(ports(1001, 414-(200-200/8)-124), ports(20000, 124)...),
	} {
		text, sum := limited(t, frames, Limits{Connections: most}, 2, 5)
		var gone []int
		for _, c := range connsOf(t, text) {
			if !c.Evicted {
				continue
			}
			gone = append(gone, c.Client.Port)
			if c.Close.Reason != "open-at-end" || c.Client.Port >= 20000 && c.Handshake.Outcome != "pending" {
				t.Errorf("port %d: %s, %s: it may have gone on", c.Client.Port, c.Close.Reason, c.Handshake.Outcome)
			}
		}
		slices.Sort(gone)
		if !slices.Equal(gone, want) || sum.Limits.Evicted != uint64(len(want)) {
			t.Errorf("at most %d: these ports went: %v; want %v", most, gone, want)
		}
	}
}

// What follows goes on under the same uid, with the same client.
func TestEvictedGoesOn(t *testing.T) {
	at := wire.Time(1_700_000_000_000_000_000)
	var frames []wire.Frame
	add := func(p packet) {
		at = at.Add(time.Millisecond)
		frames = append(frames, tcp(at, p))
	}
	const a, b = 0x0a000001, 0x0a000002
	// Client and server have ports that say nothing about who is which.
	add(packet{src: a, dst: b, srcPort: 5000, dstPort: 6000, seq: 100, flags: syn})
	add(packet{src: b, dst: a, srcPort: 6000, dstPort: 5000, seq: 200, ack: 101, flags: wire.SYN | wire.ACK})
	add(packet{src: a, dst: b, srcPort: 5000, dstPort: 6000, seq: 101, ack: 201, flags: wire.ACK})
	add(packet{src: a, dst: b, srcPort: 5001, dstPort: 6000, seq: 100, flags: syn})
	for i := range uint16(600) {
		add(packet{src: a, dst: b, srcPort: 20000 + i, dstPort: 443, seq: 100, flags: syn})
		add(packet{src: b, dst: a, srcPort: 443, dstPort: 20000 + i, seq: 200, ack: 101, flags: syn | ack})
		add(packet{src: a, dst: b, srcPort: 20000 + i, dstPort: 443, seq: 101, ack: 201, flags: ack})
	}
	for len(frames) < 2*batchSegments {
		add(packet{src: a, dst: b, srcPort: 20599, dstPort: 443, seq: 101, ack: 201, flags: ack})
	}
	add(packet{src: b, dst: a, srcPort: 6000, dstPort: 5000, seq: 201, ack: 101, flags: wire.ACK | wire.PSH, payload: 50})
	add(packet{src: a, dst: b, srcPort: 5001, dstPort: 6000, seq: 100, flags: syn})  // once more
	add(packet{src: a, dst: b, srcPort: 20000, dstPort: 443, seq: 9999, flags: syn}) // another one
	text, _ := limited(t, frames, Limits{Connections: 500}, 2, 5)
	uids := map[int][]limitedConn{}
	for _, c := range connsOf(t, text) {
		uids[c.Client.Port] = append(uids[c.Client.Port], c)
	}
	for port, same := range map[int]bool{5000: true, 5001: true, 20000: false} {
		lives := uids[port]
		if len(lives) != 2 || !lives[0].Evicted || lives[1].Evicted || lives[0].RoleBy != "syn" || lives[1].RoleBy != "syn" {
			t.Fatalf("port %d: %+v", port, lives)
		}
		if (lives[0].UID == lives[1].UID) != same {
			t.Errorf("port %d: uids %s and %s, want the same: %v", port, lives[0].UID, lives[1].UID, same)
		}
	}
}

// A flood within a limit takes no more memory the longer it lasts.
func TestFloodWithinLimits(t *testing.T) {
	flood := func(n int) []wire.Frame {
		at := wire.Time(1_700_000_000_000_000_000)
		frames := make([]wire.Frame, 0, n)
		for i := range n {
			at = at.Add(3 * time.Microsecond)
			frames = append(frames, tcp(at, packet{src: 0x0b000000 + uint32(i), dst: 0x0a800000, srcPort: uint16(i), dstPort: 443, seq: uint32(i), flags: syn}))
		}
		return frames
	}
	for _, l := range []Limits{{Connections: 3000}, {Octets: 1 << 20}} {
		var most reassembly.Held
		watch := func(h reassembly.Held) {
			most.Open, most.Buried, most.Octets = max(most.Open, h.Open), max(most.Buried, h.Buried), max(most.Octets, h.Octets)
		}
		_, sum := limited(t, flood(60_000), l, 2, 9, watch)
		if sum.Limits.Evicted < 30_000 || sum.Limits.Forgotten == 0 {
			t.Errorf("%+v: %d evicted, %d forgotten", l, sum.Limits.Evicted, sum.Limits.Forgotten)
		}
		// One epoch may come on top, and what was evicted last is remembered.
		if l.Connections > 0 && (most.Open > l.Connections+batchSegments || most.Buried > 2*l.Connections+batchSegments) ||
			l.Octets > 0 && most.Octets > l.Octets+l.Octets/2 {
			t.Errorf("%+v: %+v were held at most", l, most)
		}
	}
}

func TestLowest(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for range 200 {
		all := make([]reassembly.Standing, r.IntN(60))
		for i := range all {
			all[i] = reassembly.Standing{Open: r.IntN(2) == 0, Last: wire.Time(r.IntN(5)), Stamp: uint64(i)}
		}
		r.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
		n := r.IntN(len(all) + 2)
		want := slices.SortedFunc(slices.Values(all), reassembly.Standing.Compare)
		want = want[:min(n, len(want))]
		if got := slices.SortedFunc(slices.Values(lowest(all, n)), reassembly.Standing.Compare); !slices.Equal(got, want) {
			t.Fatalf("the lowest %d are %v, want %v", n, got, want)
		}
	}
}
