package capture

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	peer "github.com/gopacket/gopacket/afpacket"
	xbpf "golang.org/x/net/bpf"

	"github.com/tcplife/tcplife/capture/bpf"
	"github.com/tcplife/tcplife/internal/ownnet"
	"github.com/tcplife/tcplife/wire"
)

// TestInterfaceAsAfpacket captures the same frames with gopacket's afpacket: the octets
// and lengths are the same, tags put back.
func TestInterfaceAsAfpacket(t *testing.T) {
	ownnet.Enter(t)
	ownnet.Cable(t, "a0", "b0")
	other, err := peer.NewTPacket(peer.OptInterface("b0"), peer.OptAddVLANHeader(true), peer.OptPollTimeout(time.Second),
		peer.OptTPacketVersion(peer.TPacketVersion3))
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	src := mustCapture(t, InterfaceOptions{SnapLen: 65535}, "b0")
	s := newSender(t, "a0")
	var want []captured
	for i, frame := range [][]byte{
		udp(1, 60), udp(2, 61), udp(3, 1514), tagged(udp(4, 60), 0x8100, 5), tagged(udp(5, 200), 0x88a8, 0xa123),
		tagged(udp(6, 60), 0x8100, 0), tagged(tagged(udp(7, 60), 0x8100, 7), 0x88a8, 8), tagged(tagged(udp(8, 60), 0x8100, 9), 0x8100, 10),
	} {
		s.send(frame)
		want = append(want, captured{wire.NewFrameID(0, uint64(i+1)), wire.LinkEthernet, string(frame), uint32(len(frame))})
	}
	got := rest(t, src)
	if d := cmp.Diff(want, got, cmp.AllowUnexported(captured{})); d != "" {
		t.Errorf("sent (-) and captured (+):\n%s", d)
	}
	for i, w := range want {
		data, ci, err := other.ReadPacketData()
		if err != nil {
			t.Fatal(err)
		}
		if i == 5 {
			// Of a tag that is all zero it takes the validity for none.
			continue
		}
		if string(data) != w.data || ci.Length != int(w.length) {
			t.Errorf("frame %d: afpacket has %x, %d octets long; sent was %x, %d octets", i, data, ci.Length, w.data, w.length)
		}
	}
	info := src.Info()
	if x := info.Interfaces[0]; x.Received != uint64(len(want)) || x.Dropped != 0 || !x.Counted || x.Name != "b0" || info.Frames != uint64(len(want)) {
		t.Errorf("info: %+v", info)
	}
}

// TestInterfaceLoopback: on loopback each frame is captured once, on "any" as well.
func TestInterfaceLoopback(t *testing.T) {
	for _, name := range []string{"lo", AnyInterface} {
		t.Run(name, func(t *testing.T) {
			ownnet.Enter(t)
			src := mustCapture(t, InterfaceOptions{}, name)
			c, err := net.ListenPacket("udp4", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			for i := range 5 {
				if _, err := c.WriteTo(bytes.Repeat([]byte{byte(i)}, 1000), c.LocalAddr()); err != nil {
					t.Fatal(err)
				}
			}
			got := rest(t, src)
			if len(got) != 5 {
				t.Fatalf("5 frames were sent, and %d captured", len(got))
			}
			for i, f := range got {
				if f.link != wire.LinkEthernet || len(f.data) != DefaultSnapLen || f.length != 14+28+1000 || f.data[100] != byte(i) {
					t.Errorf("frame %d: %+v", i, f)
				}
			}
		})
	}
}

// TestInterfaceRaw captures on a device without a link layer.
func TestInterfaceRaw(t *testing.T) {
	for _, name := range []string{"tun9", AnyInterface} {
		t.Run(name, func(t *testing.T) {
			ownnet.Enter(t)
			ownnet.IP(t, "tuntap", "add", "dev", "tun9", "mode", "tun")
			ownnet.IP(t, "addr", "add", "10.9.0.1/24", "dev", "tun9")
			ownnet.IP(t, "link", "set", "tun9", "addrgenmode", "none")
			tun := openTun(t, "tun9")
			ownnet.IP(t, "link", "set", "tun9", "up")
			src := mustCapture(t, InterfaceOptions{Filter: ports(7)}, name)
			c, err := net.Dial("udp4", "10.9.0.2:7")
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			c.Write([]byte("hello"))
			answer := udp(7, 47)[14:]
			if _, err := tun.Write(answer); err != nil {
				t.Fatal(err)
			}
			got := rest(t, src)
			if len(got) != 2 || got[0].link != wire.LinkRaw || !strings.HasSuffix(got[0].data, "hello") || got[0].length != 33 || got[1].data != string(answer) {
				t.Errorf("captured %+v", got)
			}
		})
	}
}

// ports is a filter by hand: UDP over IPv4 to a port.
type ports uint32

func (p ports) Compile(t bpf.Target, keep uint32) (bpf.Program, error) {
	at := uint32(14)
	if t.Cooked {
		at = 0xfff00000 // SKF_NET_OFF
	}
	return xbpf.Assemble([]xbpf.Instruction{
		xbpf.LoadAbsolute{Off: at + 9, Size: 1}, xbpf.JumpIf{Val: 17, SkipFalse: 3},
		xbpf.LoadAbsolute{Off: at + 22, Size: 2}, xbpf.JumpIf{Val: uint32(p), SkipFalse: 1},
		xbpf.RetConstant{Val: keep}, xbpf.RetConstant{},
	})
}

// TestFilterBeforeFirstFrame opens a source while frames rush by: none that the filter
// does not select may be handed out.
func TestFilterBeforeFirstFrame(t *testing.T) {
	ownnet.Enter(t)
	ownnet.Cable(t, "a0", "b0")
	s := newSender(t, "a0")
	stop, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		for {
			select {
			case <-stop:
				return
			default:
				s.send(udp(1, 60))
				s.send(udp(2, 60))
			}
		}
	}()
	for range 10 {
		src := mustCapture(t, InterfaceOptions{Filter: ports(2)}, "b0")
		var f wire.Frame
		for range 20 {
			if err := src.Next(&f); err != nil {
				t.Fatal(err)
			}
			if f.Data[37] != 2 {
				t.Fatalf("frame %d is none that the filter selects: %x", f.ID.Number(), f.Data)
			}
		}
		src.Close()
	}
	close(stop)
	<-done
}

// TestInterfaces captures from several at once: in order, each an input of its own.
func TestInterfaces(t *testing.T) {
	ownnet.Enter(t)
	ownnet.Cable(t, "a0", "b0")
	ownnet.Cable(t, "c0", "d0")
	ownnet.Cable(t, "e0", "f0")
	src := mustCapture(t, InterfaceOptions{Direction: In}, "b0", "d0", "lo")
	var want []string
	from := map[string]*sender{"b0": newSender(t, "a0"), "d0": newSender(t, "c0"), "f0": newSender(t, "e0"), "a0": newSender(t, "b0")}
	for i := range 40 {
		name := []string{"b0", "d0", "f0", "a0"}[i*7%4]
		from[name].send(udp(uint16(i), 60))
		if name == "b0" || name == "d0" {
			want = append(want, fmt.Sprintf("%s %d", name, i))
		}
	}
	var got []string
	counts := map[int]uint64{}
	for _, f := range rest(t, src) {
		input := f.id.Input()
		got = append(got, fmt.Sprintf("%s %d", []string{"b0", "d0", "lo"}[input], f.data[37]))
		if counts[input]++; f.id.Number() != counts[input] {
			t.Errorf("frame %d of input %d has the number %d", counts[input], input, f.id.Number())
		}
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	for i, in := range Infos(src) {
		if in.Name != []string{"b0", "d0", "lo"}[i] || in.Frames != counts[i] || in.Interfaces[0].Received != counts[i] {
			t.Errorf("info %d: %+v", i, in)
		}
	}
	out := mustCapture(t, InterfaceOptions{Direction: Out}, "b0")
	from["b0"].send(udp(1, 60))
	from["a0"].send(udp(2, 60))
	if got := rest(t, out); len(got) != 1 || got[0].data[37] != 2 {
		t.Errorf("of one frame out and one in: %+v", got)
	}
}

// TestInterfaceLosses fills the smallest ring without reading: what was sent is what was
// handed out and what was dropped.
func TestInterfaceLosses(t *testing.T) {
	ownnet.Enter(t)
	ownnet.Cable(t, "a0", "b0")
	src := mustCapture(t, InterfaceOptions{RingBytes: MinRing}, "b0")
	s := newFlood(t, "a0", udp(9, 1514))
	const rounds, n = 50, 50 * floodSlots
	for range rounds {
		if err := s.send(); err != nil {
			t.Fatal(err)
		}
	}
	got := rest(t, src)
	l := src.(LossCounter).Losses()
	if l.Received != n || l.Dropped == 0 || l.Freezes == 0 || uint64(len(got))+l.Dropped != n {
		t.Errorf("%d frames were sent, %d handed out; the kernel says %+v", n, len(got), l)
	}
	if x := src.Info().Interfaces[0]; x.Received != n || x.Dropped != l.Dropped {
		t.Errorf("info: %+v", x)
	}
	var f wire.Frame
	for range 2 {
		if err := src.Next(&f); err != io.EOF {
			t.Errorf("after the end: %v", err)
		}
	}
}

func TestInterfaceClose(t *testing.T) {
	for name, end := range map[string]func(Live) error{"close": Live.Close, "stop": func(l Live) error { return l.(Stopper).Stop() }} {
		t.Run(name, func(t *testing.T) {
			ownnet.Enter(t)
			ownnet.Cable(t, "a0", "b0")
			s := newSender(t, "a0")
			src := mustCapture(t, InterfaceOptions{}, "b0")
			s.send(udp(1, 60))
			var f wire.Frame
			if err := src.Next(&f); err != nil {
				t.Fatal(err)
			}
			first := f.Data
			result := make(chan error)
			go func() { result <- src.Next(&f) }()
			time.Sleep(20 * time.Millisecond) // most likely it waits by now
			var all sync.WaitGroup
			for range 3 {
				all.Go(func() {
					if err := end(src); err != nil {
						t.Error(err)
					}
				})
			}
			select {
			case err := <-result:
				if name == "stop" && err != io.EOF || name == "close" && !errors.Is(err, os.ErrClosed) {
					t.Errorf("Next returned %v", err)
				}
			case <-time.After(10 * time.Second):
				t.Fatal("Next still waits")
			}
			all.Wait()
			_ = first
			src.Close()
		})
	}
	t.Run("the last frame stays", func(t *testing.T) {
		ownnet.Enter(t)
		ownnet.Cable(t, "a0", "b0")
		src := mustCapture(t, InterfaceOptions{}, "b0")
		newSender(t, "a0").send(udp(1, 60))
		var f wire.Frame
		if err := src.Next(&f); err != nil {
			t.Fatal(err)
		}
		src.Close()
		if !bytes.Equal(f.Data, udp(1, 60)) {
			t.Errorf("after Close the frame is %x", f.Data)
		}
		if err := src.Next(&f); !errors.Is(err, os.ErrClosed) {
			t.Errorf("Next after Close: %v", err)
		}
	})
}

func TestInterfaceWithin(t *testing.T) {
	ownnet.Enter(t)
	ownnet.Cable(t, "a0", "b0")
	src := mustCapture(t, InterfaceOptions{}, "b0")
	var f wire.Frame
	for _, d := range []time.Duration{0, 30 * time.Millisecond} {
		start := time.Now()
		if err := src.NextWithin(&f, d); err != ErrNoFrame {
			t.Errorf("without a frame: %v", err)
		}
		if took := time.Since(start); took < d || took > d+5*time.Second {
			t.Errorf("asked for %v it took %v", d, took)
		}
	}
	newSender(t, "a0").send(udp(3, 60))
	if err := src.NextWithin(&f, 10*time.Second); err != nil || f.Data[37] != 3 {
		t.Errorf("with a frame: %v", err)
	}
}

// TestInterfaceGoes takes interfaces down, deletes them and makes them anew.
func TestInterfaceGoes(t *testing.T) {
	for _, names := range [][]string{{"b0"}, {"lo", "b0"}} {
		t.Run(strings.Join(names, ","), func(t *testing.T) {
			ownnet.Enter(t)
			ownnet.Cable(t, "a0", "b0")
			src := mustCapture(t, InterfaceOptions{Promiscuous: true}, names...)
			var told []string
			port := uint16(0)
			var f wire.Frame
			// next returns the next frame, or the first gap that is over.
			next := func() *Gap {
				t.Helper()
				for {
					err := src.NextWithin(&f, 10*time.Second)
					var g *Gap
					if errors.As(err, &g) {
						told = append(told, fmt.Sprintf("%s %v", strings.TrimRight(g.Error(), "0123456789.µms"), g.To > g.From))
						if g.To == 0 {
							continue
						}
					} else if err != nil {
						t.Fatal(err)
					}
					return g
				}
			}
			// comes waits for the frame that is sent now.
			comes := func() {
				t.Helper()
				port++
				ownnet.AwaitCarrier(t, "a0")
				newSender(t, "a0").send(udp(port, 60))
				for next() != nil {
				}
				if f.Data[37] != byte(port) || f.ID.Input() != len(names)-1 {
					t.Fatalf("frame %d: %+v", port, f)
				}
			}
			comes()
			ownnet.IP(t, "link", "set", "b0", "down")
			ownnet.IP(t, "link", "set", "b0", "up")
			comes()
			ownnet.IP(t, "link", "del", "b0")
			ownnet.Cable(t, "a0", "b0")
			// It has another number now, which the source must learn first.
			if next() == nil {
				t.Fatal("the gap is not told")
			}
			comes()
			ownnet.IP(t, "link", "set", "b0", "down")
			var g *Gap
			if err := src.NextWithin(&f, 10*time.Second); !errors.As(err, &g) || g.To != 0 || g.From == 0 {
				t.Errorf("while it is down: %v", err)
			}
			if err := src.NextWithin(&f, 0); err != ErrNoFrame {
				t.Errorf("while it is still down: %v", err)
			}
			ownnet.IP(t, "link", "set", "b0", "up")
			comes()
			want := []string{
				"b0: the interface went down false", "b0: the interface is up again after  true",
				"b0: the interface was deleted false", "b0: the interface was made anew after  true",
				"b0: the interface is up again after  true",
			}
			// The kernel takes an interface down before it deletes it, and may be asked in between.
			told = strings.Split(strings.ReplaceAll(strings.Join(told, "\n"), "b0: the interface went down false\nb0: the interface was deleted", "b0: the interface was deleted"), "\n")
			if d := cmp.Diff(want, told); d != "" {
				t.Error(d)
			}
		})
	}
}

// TestInterfaceDeletedWhileDown: that it is gone is told too, once.
func TestInterfaceDeletedWhileDown(t *testing.T) {
	ownnet.Enter(t)
	ownnet.Cable(t, "a0", "b0")
	src := mustCapture(t, InterfaceOptions{}, "b0")
	var f wire.Frame
	next := func() string {
		t.Helper()
		var g *Gap
		if err := src.NextWithin(&f, 10*time.Second); !errors.As(err, &g) {
			t.Fatalf("no gap: %v", err)
		}
		what, _, _ := strings.Cut(g.What, " after")
		return what
	}
	ownnet.IP(t, "link", "set", "b0", "down")
	down := next()
	ownnet.IP(t, "link", "del", "b0")
	deleted := next()
	ownnet.Cable(t, "a0", "b0")
	if d := cmp.Diff([]string{"the interface went down", "the interface was deleted", "the interface was made anew"}, []string{down, deleted, next()}); d != "" {
		t.Error(d)
	}
}

func TestInterfaceErrors(t *testing.T) {
	for _, c := range []struct {
		names []string
		o     InterfaceOptions
		want  string
	}{
		{nil, InterfaceOptions{}, "none is named"},
		{[]string{"any", "lo"}, InterfaceOptions{}, "all of them already"},
		{[]string{"lo", "lo"}, InterfaceOptions{}, "named twice"},
		{[]string{"lo"}, InterfaceOptions{SnapLen: -1}, "at least 1"},
		{[]string{"lo"}, InterfaceOptions{RingBytes: 5}, "a ring of 5 octets"},
	} {
		if _, err := OpenInterfaces(c.names, c.o); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v, %+v: %v", c.names, c.o, err)
		}
	}
	ownnet.Enter(t)
	if _, err := OpenInterfaces([]string{"nope0"}, InterfaceOptions{}); err == nil || !strings.Contains(err.Error(), "nope0") || !strings.Contains(err.Error(), "ip link") {
		t.Errorf("an interface that is not there: %v", err)
	}
	if _, err := OpenInterfaces([]string{"lo"}, InterfaceOptions{HardwareTime: true}); err == nil || !strings.Contains(err.Error(), "ethtool -T lo") {
		t.Errorf("time stamps that the hardware does not make: %v", err)
	}
}
