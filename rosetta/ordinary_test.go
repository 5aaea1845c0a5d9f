package rosetta

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/tcplife/tcplife/reassembly"
	"github.com/tcplife/tcplife/wire"
)

// Of an ordinary connection the short way says what the long way says.
func TestOrdinaryIsTheSame(t *testing.T) {
	states := map[string]int{}
	rapid.Check(t, func(t *rapid.T) {
		var short, long Watcher
		for range 20 {
			c := drawLog(t)
			got, ok := short.ordinary(c.Events, c.Start)
			if !ok {
				continue
			}
			states[got.Zeek.State]++
			long.read(ports{c.Tuple.SrcPort, c.Tuple.DstPort}, c.Events)
			want := long.views(&long.alone, c.Start)
			if diff := cmp.Diff(want, got); diff != "" {
				t.Fatalf("%+v\n%s", c.Events, diff)
			}
		}
	})
	for _, state := range []string{"SF", "S1", "S2", "S3", "RSTO", "RSTR"} {
		if states[state] < 10 {
			t.Errorf("only %d connections of state %s went the short way", states[state], state)
		}
	}
}

// drawLog draws a connection that is ordinary but for some odds and ends, if any.
func drawLog(t *rapid.T) *reassembly.Conn {
	one := func(label string, of int) bool { return rapid.IntRange(0, of).Draw(t, label) == of }
	at := wire.Time(rapid.SampledFrom([]int64{1_700_000_000_000_000_000, -3_000_000_000}).Draw(t, "start"))
	c := &reassembly.Conn{Start: at, Tuple: wire.Tuple{SrcPort: 40000, DstPort: rapid.SampledFrom([]uint16{80, 22, 7777}).Draw(t, "port")}}
	var next, covered [2]wire.Seq // covered: what each side has acknowledged of the other
	for i := range next {
		next[i] = wire.Seq(rapid.SampledFrom([]uint32{1000, 5000, 0xffff_fff0, 0xffff_ffff, 0x7fff_fff8, 0}).Draw(t, "isn"))
	}
	odd := one("odd", 2)
	headers := one("headers only", 2)
	rare := []time.Duration{0, time.Second, 4*time.Second + 999_999_999, 5 * time.Second, 6 * time.Second, 59 * time.Second, time.Minute, 250 * time.Second, -time.Second}
	var fins [2]bool
	add := func(from reassembly.Side, flags wire.Flags, n uint32) {
		s := reassembly.Event{At: at, Count: 1, Window: 500, Seq: next[from], Len: n, Flags: flags, From: from}
		if flags&wire.ACK != 0 {
			if !one("held back", 3) || flags&wire.SYN != 0 {
				covered[from] = next[from^1]
			}
			s.Ack = covered[from]
		}
		if n > 0 && headers {
			s.Traits = wire.TraitSnapped
		}
		if odd && one("change", 15) {
			switch rapid.IntRange(0, 6).Draw(t, "what") {
			case 0:
				s.Seq = s.Seq.Add(uint32(rapid.IntRange(-3, 3).Draw(t, "seq")))
			case 1:
				s.Ack = s.Ack.Add(uint32(rapid.IntRange(-3, 3).Draw(t, "ack")))
			case 2:
				s.Window = 0
			case 3:
				s.Traits ^= wire.TraitSnapped
			case 4:
				s.Flags ^= rapid.SampledFrom([]wire.Flags{wire.SYN, wire.ACK, wire.FIN, wire.RST, wire.PSH}).Draw(t, "flag")
			case 5:
				s.From ^= 1
			case 6:
				s.Len = uint32(rapid.SampledFrom([]int{0, 1, 20_000}).Draw(t, "len"))
			}
		}
		c.Events = append(c.Events, s)
		seg := ofEvent(&s)
		if end := seg.end(); end.After(next[from]) {
			next[from] = end
		}
		fins[from] = fins[from] || flags&wire.FIN != 0
		at = at.Add(time.Millisecond)
		if one("pause", 30) {
			at = at.Add(rapid.SampledFrom(rare).Draw(t, "span"))
		}
	}
	add(reassembly.Client, wire.SYN, 0)
	add(reassembly.Server, wire.SYN|wire.ACK, 0)
	if !one("no answer", 10) {
		add(reassembly.Client, wire.ACK, 0)
	}
	for range rapid.IntRange(0, 15).Draw(t, "segments") {
		from := reassembly.Side(rapid.IntRange(0, 1).Draw(t, "from"))
		switch rapid.IntRange(0, 9).Draw(t, "sort") {
		case 0, 1:
			if !fins[from] || odd && one("twice", 3) {
				add(from, wire.FIN|wire.ACK, uint32(rapid.SampledFrom([]int{0, 0, 10}).Draw(t, "last")))
			}
		case 2, 3, 4, 5:
			if !fins[from] || odd && one("behind", 3) {
				add(from, wire.PSH|wire.ACK, uint32(rapid.SampledFrom([]int{1, 10, 1448, 9000}).Draw(t, "len")))
			}
		default:
			add(from, wire.ACK, 0)
		}
	}
	if one("reset", 3) {
		add(reassembly.Side(rapid.IntRange(0, 1).Draw(t, "resets")), rapid.SampledFrom([]wire.Flags{wire.RST, wire.RST | wire.ACK}).Draw(t, "rst"), 0)
	}
	return c
}
