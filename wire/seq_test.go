package wire

import (
	"testing"

	"pgregory.net/rapid"

	_ "github.com/tcplife/tcplife/internal/property"
)

// near draws a number, and one less than 2^31 after it.
func near(t *rapid.T) (a, b Seq, n uint32) {
	edges := []uint32{0, 1, 0x7fffffff, 0x80000000, 0xffffffff}
	a = Seq(rapid.OneOf(rapid.SampledFrom(edges), rapid.Uint32()).Draw(t, "a"))
	n = rapid.OneOf(rapid.SampledFrom([]uint32{0, 1, 1<<31 - 1}), rapid.Uint32Max(1<<31-1)).Draw(t, "n")
	return a, a.Add(n), n
}

func TestSeqProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b, n := near(t)
		if got := b.Sub(a); got != int32(n) {
			t.Fatalf("%d - %d = %d, want %d", b, a, got, n)
		}
		if got := a.Sub(b); got != -int32(n) {
			t.Fatalf("%d - %d = %d, want -%d", a, b, got, n)
		}
		if a.Before(b) != (n > 0) || b.After(a) != (n > 0) || b.Before(a) || a.After(b) {
			t.Fatalf("order of %d and %d, %d later", a, b, n)
		}
		if !b.InWindow(a, n+1) || b.InWindow(a, n) {
			t.Fatalf("%d is the last of the %d from %d", b, n+1, a)
		}
		if n > 0 && a.InWindow(b, n) {
			t.Fatalf("%d in the %d from %d", a, n, b)
		}
		// The order does not depend on where the numbers are.
		k := rapid.Uint32().Draw(t, "k")
		if a.Add(k).Before(b.Add(k)) != a.Before(b) || b.Add(k).Sub(a.Add(k)) != b.Sub(a) {
			t.Fatalf("moved by %d", k)
		}
	})
}

func TestSeqWrap(t *testing.T) {
	const last = Seq(0xffffffff)
	if last.Add(1) != 0 || last.Add(5) != 4 {
		t.Error("Add does not wrap")
	}
	if !last.Before(0) || !Seq(4).After(last) || Seq(4).Sub(last) != 5 || last.Sub(4) != -5 {
		t.Error("order across the wrap")
	}
	if !Seq(2).InWindow(last, 4) || Seq(3).InWindow(last, 4) || Seq(0xfffffffe).InWindow(last, 4) {
		t.Error("window across the wrap")
	}
	if Seq(7).InWindow(7, 0) {
		t.Error("an empty window holds a number")
	}
}

func TestSegmentSpan(t *testing.T) {
	for _, c := range []struct {
		flags Flags
		len   uint32
		span  uint32
	}{{ACK, 0, 0}, {SYN, 0, 1}, {FIN | ACK, 10, 11}, {SYN | FIN, 5, 7}} {
		s := Segment{Seq: 0xffffffff, Flags: c.flags, Len: c.len}
		if s.Span() != c.span || s.End() != Seq(c.span-1) {
			t.Errorf("%v with %d octets: span %d, end %d", c.flags, c.len, s.Span(), s.End())
		}
	}
}

func TestTupleProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		addr := rapid.Custom(func(t *rapid.T) Addr {
			return Addr{rapid.Uint64Max(1).Draw(t, "hi"), rapid.Uint64Max(2).Draw(t, "lo")}
		})
		a := Tuple{
			Src: addr.Draw(t, "src"), Dst: addr.Draw(t, "dst"),
			SrcPort: rapid.Uint16Max(2).Draw(t, "sport"), DstPort: rapid.Uint16Max(2).Draw(t, "dport"),
			V6: rapid.Bool().Draw(t, "v6"), Encap: EncapID(rapid.Uint32Max(1).Draw(t, "encap")),
		}
		if a.Reverse().Reverse() != a {
			t.Fatal("reversed twice is another")
		}
		there, s1 := a.Key()
		back, s2 := a.Reverse().Key()
		if there != back {
			t.Fatalf("keys %v and %v of the two directions", there, back)
		}
		if s1 == s2 && a != a.Reverse() {
			t.Fatalf("%v: both directions swapped: %v", a, s1)
		}
		if there.Encap != a.Encap || there.V6 != a.V6 {
			t.Fatal("the key lost a part")
		}
	})
}

func TestTupleStrings(t *testing.T) {
	s := dataSegment()
	if got := s.Tuple.Source().String(); got != "10.0.0.2:443" {
		t.Error(got)
	}
	s.Tuple.V6 = true
	if got := s.Tuple.Destination().String(); got != "[::ffff:10.0.0.1]:40000" {
		t.Error(got)
	}
	if got := data6Segment().Tuple; got.Source().String() != "[2001:db8::1]:40000" {
		t.Error(got.Source())
	}
}

func TestFrameID(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		input := rapid.IntRange(0, 1<<24-1).Draw(t, "input")
		number := rapid.Uint64Range(1, 1<<40-1).Draw(t, "number")
		if id := NewFrameID(input, number); id.Input() != input || id.Number() != number {
			t.Fatalf("%d/%d comes back as %d/%d", input, number, id.Input(), id.Number())
		}
	})
}

func TestTime(t *testing.T) {
	const a Time = 1767323045000000006
	if got := a.String(); got != "2026-01-02T03:04:05.000000006Z" {
		t.Error(got)
	}
	if a.Add(5).Sub(a) != 5 || a.Sub(a.Add(5)) != -5 {
		t.Error("Add and Sub disagree")
	}
}
