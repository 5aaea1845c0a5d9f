package census

import (
	"fmt"
	"net/netip"
	"testing"

	"github.com/tcplife/tcplife/reassembly"
	"github.com/tcplife/tcplife/wire"
)

// ordinary is the life of a connection that ends well.
func ordinary(i int) *Life {
	at := wire.Time(1e18) + wire.Time(i)*10_000
	step := func(ms int) wire.Time { return at + wire.Time(ms)*1e6 }
	return &Life{Client: netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, byte(i >> 4), byte(i)}), uint16(i)), Server: netip.MustParseAddrPort("10.1.0.1:80"),
		Gone: Forever, Answered: step(1), Refused: Forever, Sides: [2][]Step{
			{{reassembly.SynSent, at}, {reassembly.Established, step(2)}, {reassembly.FinWait1, step(20)}, {reassembly.FinWait2, step(22)}, {reassembly.TimeWait, step(23)}, {reassembly.Closed, step(60_023)}},
			{{reassembly.SynReceived, step(1)}, {reassembly.Established, step(3)}, {reassembly.CloseWait, step(21)}, {reassembly.LastAck, step(23)}, {reassembly.Closed, step(24)}}}}
}

func BenchmarkAdd(b *testing.B) {
	for _, cfg := range []Config{{Top: 10}, {Top: 10, Every: 1e6}} {
		b.Run(fmt.Sprintf("every %v", cfg.Every), func(b *testing.B) {
			lives := make([]*Life, 100_000)
			for i := range lives {
				lives[i] = ordinary(i)
			}
			b.ReportAllocs()
			c := New(cfg)
			for i := range b.N {
				c.Add(lives[i%len(lives)])
			}
		})
	}
}
