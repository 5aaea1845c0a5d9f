package capture

import (
	"bytes"
	"io"
	"testing"
	"time"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/pcapgo"

	"github.com/tcplife/tcplife/wire"
)

// TestStrayTimes: a time that has not come yet and fits neither neighbour is none, and
// one frame of it must not age every connection by years.
func TestStrayTimes(t *testing.T) {
	start := time.Unix(1_400_000_000, 5000).UTC()
	at := func(d time.Duration) time.Time { return start.Add(d) }
	const year = 365 * 24 * time.Hour
	for _, tt := range []struct {
		name  string
		times []time.Duration
		want  []time.Duration
		stray uint64
	}{
		{"ahead", []time.Duration{0, 40 * year, 2, 3}, []time.Duration{0, 0, 2, 3}, 1},
		{"twice", []time.Duration{0, 40 * year, 2000, 50 * year, 4000}, []time.Duration{0, 0, 2000, 2000, 4000}, 2},
		{"one that has passed", []time.Duration{0, year, 3000, 4000}, []time.Duration{0, year, 3000, 4000}, 0},
		{"a pause", []time.Duration{0, 40 * year, 40*year + 1000}, []time.Duration{0, 40 * year, 40*year + 1000}, 0},
		{"a clock that is set", []time.Duration{0, 1000, -year, -year + 1000}, []time.Duration{0, 1000, -year, -year + 1000}, 0},
		{"the last frame", []time.Duration{0, 1000, year}, []time.Duration{0, 1000, year}, 0},
	} {
		frame := []byte("frame")
		write := map[string]func(w io.Writer) func(ci gopacket.CaptureInfo) error{
			"pcap": func(w io.Writer) func(ci gopacket.CaptureInfo) error {
				p := pcapgo.NewWriterNanos(w)
				if err := p.WriteFileHeader(65535, layers.LinkTypeEthernet); err != nil {
					t.Fatal(err)
				}
				return func(ci gopacket.CaptureInfo) error { return p.WritePacket(ci, frame) }
			},
			"pcapng": func(w io.Writer) func(ci gopacket.CaptureInfo) error {
				p, err := pcapgo.NewNgWriter(w, layers.LinkTypeEthernet)
				if err != nil {
					t.Fatal(err)
				}
				return func(ci gopacket.CaptureInfo) error {
					if err := p.WritePacket(ci, frame); err != nil {
						return err
					}
					return p.Flush()
				}
			},
		}
		for format, to := range write {
			t.Run(tt.name+" in "+format, func(t *testing.T) {
				var file bytes.Buffer
				put := to(&file)
				for _, d := range tt.times {
					if err := put(gopacket.CaptureInfo{Timestamp: at(d), CaptureLength: len(frame), Length: len(frame)}); err != nil {
						t.Fatal(err)
					}
				}
				src, err := NewReader(bytes.NewReader(file.Bytes()), "mem")
				if err != nil {
					t.Fatal(err)
				}
				defer src.Close()
				for i, d := range tt.want {
					var f wire.Frame
					if err := src.Next(&f); err != nil {
						t.Fatal(err)
					}
					if want := wire.Time(at(d).UnixNano()); f.At != want {
						t.Errorf("frame %d has the time %v, want %v", i+1, f.At, want)
					}
				}
				if got := src.Info().Stray; got != tt.stray {
					t.Errorf("%d stray times, want %d", got, tt.stray)
				}
			})
		}
	}
}
