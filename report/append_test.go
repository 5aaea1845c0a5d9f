package report

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"testing"
	"time"
	"unicode/utf8"

	"pgregory.net/rapid"

	_ "github.com/tcplife/tcplife/internal/property"
	"github.com/tcplife/tcplife/reassembly"
	"github.com/tcplife/tcplife/wire"
)

func FuzzAppendString(f *testing.F) {
	for _, s := range []string{"", "a.pcap", "\"\\/\b\f\n\r\t\x00\x1f\x7f", "caf\u00e9 \u2028\u2029 \ufffd", "\xff\xfe", "a\xc3", "\xed\xa0\x80", "😀<&>"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got := appendString(nil, s)
		if !utf8.Valid(got) {
			t.Fatalf("%q: output %q is not UTF-8", s, got)
		}
		want, err := json.Marshal(s)
		if err != nil {
			t.Fatal(err)
		}
		var a, b string
		if err := json.Unmarshal(got, &a); err != nil {
			t.Fatalf("%q: %s: %v", s, got, err)
		}
		if err := json.Unmarshal(want, &b); err != nil {
			t.Fatal(err)
		}
		if a != b {
			t.Errorf("%q: %s reads as %q, encoding/json's %s as %q", s, got, a, want, b)
		}
	})
}

func TestAppendSecondsIsExact(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "0", 1: "0.000000001", -1: "-0.000000001", time.Second: "1", 34 * time.Millisecond: "0.034", 90*time.Second + 5: "90.000000005",
		math.MaxInt64: "9223372036.854775807", math.MinInt64: "-9223372036.854775808", -1500 * time.Millisecond: "-1.5",
	} {
		if got := string(appendSeconds(nil, d)); got != want {
			t.Errorf("appendSeconds(%d) = %s, want %s", d, got, want)
		}
	}
}

// The cached minute must never leak into another one, in any order of instants.
func TestAppendTimeEqualsFormat(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var a appender
		base := rapid.Int64().Draw(t, "base")
		for _, d := range rapid.SliceOfN(rapid.Int64Range(-3*minuteLen, 3*minuteLen), 1, 20).Draw(t, "offsets") {
			at := wire.Time(base + d)
			if got, want := string(a.time(nil, at)), `"`+at.String()+`"`; got != want {
				t.Fatalf("%d: %s, want %s", int64(at), got, want)
			}
		}
	})
}

func TestFlagNames(t *testing.T) {
	for i, got := range flagNames {
		if want := wire.Flags(i).String(); got != want {
			t.Errorf("flags %#x: %q, want %q", i, got, want)
		}
	}
}

func TestUserTimeout(t *testing.T) {
	for field, want := range map[uint16]uint64{0: 0, 30: 30, 0x8002: 120, 0x7fff: 32767} {
		if got := userTimeout(field); got != want {
			t.Errorf("userTimeout(%#x) = %d s, want %d", field, got, want)
		}
	}
}

func TestSeqBase(t *testing.T) {
	c := midStream()
	if b, ok := seqBase(c.Conn, reassembly.Server); !ok || b != c.Ends[sv].First-1 {
		t.Errorf("mid-stream: %d %v, want one below the first number seen", b, ok)
	}
	c.Ends[sv].HasNext = false
	if b, ok := seqBase(c.Conn, reassembly.Server); !ok || b != c.Events[0].Ack-1 {
		t.Errorf("one direction only: %d %v, want one below the peer's first acknowledgment", b, ok)
	}
	c.Events = nil
	if _, ok := seqBase(c.Conn, reassembly.Server); ok {
		t.Error("nothing seen: a base is given")
	}
}

// A number with more than 15 digits must survive readers that use floats only
// where the contract says "number"; counters stay integers on the wire.
func TestBufferPutsNumberIn(t *testing.T) {
	var b Buffer
	a := appender{}
	a.connection(&b, cleanLife())
	for _, id := range []uint64{0, 7, math.MaxUint64} {
		var got struct{ ID json.Number }
		if err := json.Unmarshal(b.AppendTo(nil, id), &got); err != nil {
			t.Fatal(err)
		}
		if got.ID.String() != strconv.FormatUint(id, 10) {
			t.Errorf("id %d reads as %s", id, got.ID)
		}
	}
}

func TestEncodeAllocatesNothing(t *testing.T) {
	for name, c := range map[string]*Connection{"clean": cleanLife(), "lost final ACK": lostFinalACK(), "IPv6": refused(), "mid-stream": midStream()} {
		for _, inputs := range [][]string{{"a"}, {"a", "b"}} {
			f := new(ndjson)
			if err := f.Begin(new(bytes.Buffer), &Options{Inputs: inputs}); err != nil {
				t.Fatal(err)
			}
			var b Buffer
			d := NewDigest(c)
			encode := func() {
				b.Reset()
				f.Encode(&b, c)
				f.out = f.out[:0]
				if err := f.Add(1, &d, &b); err != nil {
					t.Fatal(err)
				}
			}
			encode()
			if n := testing.AllocsPerRun(100, encode); n != 0 {
				t.Errorf("%s, %d inputs: %v allocations per connection, want none", name, len(inputs), n)
			}
		}
	}
}

func BenchmarkEncode(b *testing.B) {
	for _, x := range []struct {
		name string
		c    *Connection
	}{{"clean", cleanLife()}, {"lost-final-ack", lostFinalACK()}} {
		b.Run(fmt.Sprintf("ndjson/%s", x.name), func(b *testing.B) {
			f := new(ndjson)
			var buf Buffer
			b.ReportAllocs()
			for b.Loop() {
				buf.Reset()
				f.Encode(&buf, x.c)
			}
			b.SetBytes(int64(len(buf.B)))
		})
	}
}
