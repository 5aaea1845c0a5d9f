package finding

import (
	"slices"
	"testing"

	"github.com/tcplife/tcplife/reassembly"
	"github.com/tcplife/tcplife/wire"
)

// TestSelfConnect tracks a handshake between two ports of one address: RFC 9293
// figure 7, with both ends one socket, or two.
func TestSelfConnect(t *testing.T) {
	loopback := wire.AddrFrom4([]byte{127, 0, 0, 1})
	for _, tt := range []struct {
		name string
		port uint16 // of the listener; the client's is 40000
		want []string
	}{
		{"a socket with itself", 40000, []string{"H16 warning certain both [1 2]"}},
		{"near miss: two sockets of one host", 443, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var got []string
			tracker := reassembly.New(reassembly.Config{Settled: func(c *reassembly.Conn, _ uint64) {
				got = append(got, brief(check(t, c), false)...)
			}})
			there := wire.Tuple{Src: loopback, Dst: loopback, SrcPort: 40000, DstPort: tt.port}
			back := there.Reverse()
			for i, s := range []wire.Segment{
				{Tuple: there, Seq: 100, Flags: syn},
				{Tuple: back, Seq: 100, Ack: 101, Flags: synack},
				{Tuple: there, Seq: 101, Ack: 101, Flags: ack},
			} {
				s.Frame, s.At, s.TTL, s.Window = wire.FrameID(i+1), wire.Time(i*1e6), 64, 500
				tracker.Feed(&s)
			}
			tracker.Flush()
			if !slices.Equal(got, tt.want) {
				t.Errorf("found %q, want %q", got, tt.want)
			}
		})
	}
}
