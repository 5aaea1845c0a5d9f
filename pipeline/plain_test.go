package pipeline

import (
	"bytes"
	"context"
	"reflect"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tcplife/tcplife/finding"
	"github.com/tcplife/tcplife/reassembly"
	"github.com/tcplife/tcplife/report"
)

// What is counted of connections that show nothing of their capture, without a digest, is
// what is counted of their digests.
func TestPlainConnectionsCountAsOthersDo(t *testing.T) {
	for seed := range uint64(8) {
		wish := taste{Frames: 8000, Active: 100, Hosts: 8, Lost: 40 * int(seed%2), Doubled: 20 * int(seed%3), Repeated: 40, Noise: 20, Pause: 4, Leap: 1}
		frames := generate(seed, wish)
		if seed%4 == 3 {
			frames = frames[len(frames)/2:] // many have begun before
		}
		var out bytes.Buffer
		var plainly, all report.Summary
		plain, others := 0, 0
		cfg := config(t, play(frames), "text", &out)
		cfg.Jobs = 1
		if seed%2 == 0 {
			cfg.Limits.Connections = 60
		}
		cfg.Observe = func(c *report.Connection) {
			// Somebody who observes has logs written: those of others have none.
			conn := *c.Conn
			if conn.Seen&(reassembly.SeenRST|reassembly.SeenAckUnseen) == 0 {
				conn.Events = nil
			}
			v := *c
			v.Conn, v.Findings = &conn, nil
			if n := others % 7; n == 0 {
				v.Findings = c.Findings
			}
			var d report.Digest
			d.Take(&v)
			all.Count(&d)
			if finding.Unremarkable(&conn) {
				want := finding.Trace{First: conn.First, Frames: d.Trace.Frames, Data: d.Trace.Data}
				if diff := cmp.Diff(want, d.Trace); diff != "" {
					t.Fatalf("%v is unremarkable, and shows\n%s", conn.Tuple, diff)
				}
			}
			if plainly.CountPlain(&v) {
				plain++
				return
			}
			others++
			plainly.Count(&d)
		}
		if _, err := Run(context.Background(), cfg); err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(&all, &plainly) {
			t.Fatalf("all by their digests: %+v\nthose that can be without: %+v", all, plainly)
		}
		if plain < 20 || others < 20 {
			t.Errorf("%d connections are plain, %d are not: too few to say anything", plain, others)
		}
	}
}
