package capture

import (
	"io"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/tcplife/tcplife/internal/ownnet"
	"github.com/tcplife/tcplife/wire"
)

// TestInterfaceRate reads what a sender on the same machine can make, decoded as a report
// would: with default settings nothing is dropped at 300,000 frames a second, and whatever
// the rate, what was sent is what was handed out and what was dropped.
//
// TCPLIFE_RATE_SECONDS has it send for longer than a moment.
func TestInterfaceRate(t *testing.T) {
	seconds := 0.5
	if s := os.Getenv("TCPLIFE_RATE_SECONDS"); s != "" {
		seconds, _ = strconv.ParseFloat(s, 64)
	}
	for _, c := range []struct {
		name   string
		size   int
		rate   int // 0 is all that goes
		ring   int
		losses bool // may be
	}{
		{"64 octets at 300,000", 64, 300_000, 0, false},
		{"1514 octets at 300,000", 1514, 300_000, 0, false},
		{"64 octets at full rate", 64, 0, 0, true},
		{"1514 octets at full rate", 1514, 0, 0, true},
		{"64 octets at full rate into the smallest ring", 64, 0, MinRing, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			ownnet.Enter(t)
			ownnet.Cable(t, "a0", "b0")
			src := mustCapture(t, InterfaceOptions{RingBytes: c.ring}, "b0")
			s := newFlood(t, "a0", udp(9, c.size))
			type result struct {
				sent int
				took time.Duration
			}
			done := make(chan result)
			go func() {
				start, sent := time.Now(), 0
				for time.Since(start).Seconds() < seconds {
					if c.rate > 0 && float64(sent) > time.Since(start).Seconds()*float64(c.rate) {
						time.Sleep(200 * time.Microsecond)
						continue
					}
					if err := s.send(); err != nil {
						t.Errorf("send from a ring: %v", err)
						break
					}
					sent += floodSlots
				}
				took := time.Since(start)
				if err := src.(Stopper).Stop(); err != nil {
					t.Error(err)
				}
				done <- result{sent, took}
			}()
			var f wire.Frame
			var d wire.Decoder
			var seg wire.Segment
			seen, last, longest := 0, time.Now(), time.Duration(0)
			for {
				if seen%256 == 0 {
					now := time.Now()
					longest, last = max(longest, now.Sub(last)), now
				}
				if err := src.Next(&f); err == io.EOF {
					break
				} else if err != nil {
					t.Fatal(err)
				}
				d.Decode(&f, &seg)
				seen++
			}
			r := <-done
			l := src.(LossCounter).Losses()
			t.Logf("%d frames in %v, %.0f a second: %d handed out, %d dropped, %d freezes",
				r.sent, r.took.Round(time.Millisecond), float64(r.sent)/r.took.Seconds(), seen, l.Dropped, l.Freezes)
			if l.Received != uint64(r.sent) || uint64(seen)+l.Dropped != uint64(r.sent) {
				t.Errorf("%d frames were sent: %d handed out, and the kernel says %+v", r.sent, seen, l)
			}
			// The ring holds a third of a second. Where others take the processors for nearly
			// as long, it is them that is measured.
			if !c.losses && l.Dropped > 0 && longest < 200*time.Millisecond {
				t.Errorf("%d frames were dropped", l.Dropped)
			} else if l.Dropped > 0 {
				t.Logf("the reader stood still for up to %v", longest)
			}
		})
	}
}
