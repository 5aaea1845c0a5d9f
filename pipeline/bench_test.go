package pipeline

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/tcplife/tcplife/report"
	"github.com/tcplife/tcplife/wire"
)

// benchCaptures are made once; each has about 200 000 frames.
var benchCaptures = map[string]func() []wire.Frame{
	// Short connections of all kinds, 2000 at a time.
	"short": func() []wire.Frame {
		return generate(1, taste{Frames: benchFrames, Active: 2000, Hosts: 20000})
	},
	// 50 long transfers.
	"bulk": func() []wire.Frame {
		open := plots["orderly"][:3]
		steps := append([]step(nil), open...)
		for len(steps) < benchFrames/50 {
			steps = append(steps, step{true, ack, 1448}, step{true, ack, 1448}, step{false, ack, 0})
		}
		var actors []*actor
		for i := range 50 {
			a := &actor{steps: steps, seqs: [2]uint32{uint32(i) << 20, uint32(i) << 24}}
			a.src, a.dst, a.srcPort, a.dstPort = 0x0a000001, 0x0a000002, uint16(40000+i), 443
			actors = append(actors, a)
		}
		rng := rand.New(rand.NewPCG(2, 2))
		var frames []wire.Frame
		for len(frames) < benchFrames {
			if a := actors[rng.IntN(len(actors))]; !a.over() {
				frames = appendFrame(frames, a.frame())
			}
		}
		return number(frames)
	},
	// A SYN each, never answered.
	"flood": func() []wire.Frame {
		rng := rand.New(rand.NewPCG(3, 3))
		var frames []wire.Frame
		for len(frames) < benchFrames {
			frames = appendFrame(frames, packet{src: rng.Uint32(), dst: 0x0a000002, srcPort: uint16(rng.Uint32()), dstPort: 80, seq: rng.Uint32(), flags: syn})
		}
		return number(frames)
	},
}

const benchFrames = 200_000

// appendFrame appends a packet, 3 microseconds after the one before.
func appendFrame(frames []wire.Frame, p packet) []wire.Frame {
	data, length := p.append(nil)
	at := wire.Time(1_700_000_000_000_000_000).Add(time.Duration(len(frames)) * 3 * time.Microsecond)
	return append(frames, wire.Frame{At: at, Link: wire.LinkEthernet, Data: data, Length: length})
}

func BenchmarkRun(b *testing.B) {
	for _, kind := range []string{"short", "bulk", "flood"} {
		frames := benchCaptures[kind]()
		for _, name := range []string{"discard", "text", "ndjson"} {
			for _, jobs := range []int{1, 2} {
				b.Run(fmt.Sprintf("%s/%s/jobs=%d", kind, name, jobs), func(b *testing.B) {
					b.ReportAllocs()
					for b.Loop() {
						cfg := &Config{Source: play(frames), Name: "bench", Jobs: jobs, Format: format(b, name), Output: io.Discard, Report: report.Options{Inputs: []string{"bench"}}}
						if _, err := Run(context.Background(), cfg); err != nil {
							b.Fatal(err)
						}
					}
					b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(len(frames)), "ns/packet")
				})
			}
		}
	}
}
