package capture

import (
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tcplife/tcplife/capture/bpf"
	"github.com/tcplife/tcplife/internal/ownnet"
	"github.com/tcplife/tcplife/wire"
)

// TestFiltersInKernel: on a packet socket the filters select what they do of a file. The
// kernel has put the outer tag aside there, so that what asks for no tag sees the frame
// as if it had none.
func TestFiltersInKernel(t *testing.T) {
	text, err := os.ReadFile("bpf/testdata/filters.txt")
	if err != nil {
		t.Fatal(err)
	}
	var filters []*bpf.Filter
	for i, line := range strings.Split(strings.TrimSpace(string(text)), "\n") {
		// Closing a packet socket takes the kernel long, so only some are tried.
		if i%4 != 0 && !strings.Contains(line, "vlan") {
			continue
		}
		// Where a tag is asked for in the middle, what stands before it sees a file's
		// frame with the tag and a live one without; so does whoever counts octets.
		if strings.Contains(line, "vlan") && (strings.Contains(line, "ether[") || !strings.HasPrefix(strings.TrimPrefix(line, "not "), "vlan")) {
			continue
		}
		filters = append(filters, mustParse(t, line))
	}
	var frames [][]byte
	for _, name := range []string{"../testdata/pcaps/half-close.pcap", "../testdata/pcaps/icmp-port-unreachable.pcap", "../testdata/pcaps/kernel-v6-simultaneous-open.pcap"} {
		src, err := Open(name)
		if err != nil {
			t.Fatal(err)
		}
		var f wire.Frame
		for src.Next(&f) == nil {
			if f.Link == wire.LinkEthernet && int(f.Length) == len(f.Data) && len(f.Data) <= 1500 {
				frames = append(frames, append([]byte(nil), f.Data...))
			}
		}
		src.Close()
	}
	for _, port := range []uint16{22, 53, 80, 443, 8040} {
		frames = append(frames, udp(port, 70))
	}
	for _, f := range frames[:min(len(frames), 40)] {
		frames = append(frames, tagged(f, 0x8100, 5), tagged(tagged(f, 0x8100, 10), 0x88a8, 5), tagged(f, 0x9100, 5))
	}
	if len(frames) < 60 {
		t.Fatalf("only %d frames to send", len(frames))
	}
	ownnet.Enter(t)
	ownnet.Cable(t, "a0", "b0")
	s := newSender(t, "a0")
	selected := 0
	for len(filters) > 0 {
		now := filters[:min(len(filters), 40)]
		filters = filters[len(now):]
		// They are read while the frames are sent: on a busy machine that takes longer
		// than a small ring lasts, of which each block is handed over after ringRetire.
		var sources []Live
		captures := make([][]captured, len(now))
		var reading sync.WaitGroup
		for i, f := range now {
			src := mustCapture(t, InterfaceOptions{Filter: f, SnapLen: 65535, RingBytes: MinRing, Direction: In}, "b0")
			sources = append(sources, src)
			reading.Go(func() { captures[i] = toEnd(t, src) })
		}
		for _, f := range frames {
			s.send(f)
		}
		for _, src := range sources { // all at once, as each takes its time
			if err := src.(Stopper).Stop(); err != nil {
				t.Fatal(err)
			}
		}
		reading.Wait()
		for i, f := range now {
			var want, got []string
			p, err := f.Compile(bpf.Target{Link: wire.LinkEthernet}, 1)
			if err != nil {
				t.Fatal(err)
			}
			for _, b := range frames {
				seen := b
				if kind := string(b[12:14]); !strings.Contains(f.String(), "vlan") && (kind == "\x81\x00" || kind == "\x88\xa8") {
					seen = append(append([]byte(nil), b[:12]...), b[16:]...)
				}
				if p.Run(seen, uint32(len(seen))) > 0 {
					want = append(want, string(b))
				}
			}
			for _, c := range captures[i] {
				got = append(got, c.data)
			}
			selected += len(got)
			if d := cmp.Diff(want, got); d != "" {
				t.Errorf("%q: selected of a file (-) and in the kernel (+), with %+v:\n%s", f, sources[i].(LossCounter).Losses(), d)
			}
			sources[i].Close()
			sources[i].Next(new(wire.Frame)) // lets the ring go
		}
	}
	if selected < 500 {
		t.Errorf("only %d frames were selected", selected)
	}
}
