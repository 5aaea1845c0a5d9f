package reassembly

import (
	"testing"

	"github.com/tcplife/tcplife/wire"
)

// A sampled SYN without an answer was not refused an answer: that was not picked.
func TestSampledSilence(t *testing.T) {
	for _, c := range []struct {
		traits  wire.Traits
		outcome HandshakeOutcome
		result  Outcome
	}{
		{0, HandshakeUnanswered, OutcomeFailure},
		{wire.TraitSampled, HandshakePending, OutcomeUnknown},
	} {
		settled := 0
		tr := New(Config{Settled: func(conn *Conn, _ uint64) {
			settled++
			if conn.Handshake.Outcome != c.outcome || conn.Outcome != c.result || conn.Sampled() != (c.traits != 0) {
				t.Errorf("traits %d: handshake %v, outcome %v", c.traits, conn.Handshake.Outcome, conn.Outcome)
			}
		}})
		s := wire.Segment{Frame: wire.NewFrameID(0, 1), At: 1e9, Seq: 1, Flags: wire.SYN, Traits: c.traits}
		s.Tuple.Src, s.Tuple.Dst = wire.AddrFrom4([]byte{10, 0, 0, 1}), wire.AddrFrom4([]byte{10, 0, 0, 2})
		s.Tuple.SrcPort, s.Tuple.DstPort = 40000, 443
		tr.Feed(&s)
		tr.Advance(s.At.Add(24 * 3600e9))
		tr.Flush()
		if settled != 1 {
			t.Errorf("%d connections", settled)
		}
	}
}
