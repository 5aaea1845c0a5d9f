package report

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math"
	"math/big"
	"strconv"
	"strings"
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

// The minute and the day that are known must never leak into others, in any order of
// instants.
func TestAppendTimeEqualsFormat(t *testing.T) {
	const minutes, days = int64(minuteLen), int64(dayLen)
	rapid.Check(t, func(t *rapid.T) {
		var a appender
		base := rapid.Int64().Draw(t, "base")
		for _, d := range rapid.SliceOfN(rapid.OneOf(rapid.Int64Range(-3*minutes, 3*minutes), rapid.Int64Range(-3*days, 3*days)), 1, 20).Draw(t, "offsets") {
			at := wire.Time(base + d)
			if got, want := string(a.time(nil, at)), `"`+at.String()+`"`; got != want {
				t.Fatalf("%d: %s, want %s", int64(at), got, want)
			}
		}
	})
}

func TestAppendString(t *testing.T) {
	// Each octet in each place of words of eight, alone and beside others of its sort:
	// the look at whole words must see every one.
	for c := range 256 {
		for n := range 20 {
			for at := range n {
				for _, fill := range []byte{' ', '~', byte(c)} {
					x := bytes.Repeat([]byte{fill}, n)
					x[at] = byte(c)
					if got, want := appendString(nil, string(x)), slowString(string(x)); got == nil || string(got) != want {
						t.Fatalf("%q: %s, want %s", x, got, want)
					}
				}
			}
		}
	}
}

// slowString is appendString, one character after the other.
func slowString(s string) string {
	var b strings.Builder
	for _, r := range []byte(s) {
		switch {
		case r == '"', r == '\\':
			b.WriteString(`\` + string(rune(r)))
		case r == '\n':
			b.WriteString(`\n`)
		case r == '\r':
			b.WriteString(`\r`)
		case r == '\t':
			b.WriteString(`\t`)
		case r < ' ', r == 0x7f:
			fmt.Fprintf(&b, `\u%04x`, r)
		case r > 0x7f: // the test has no character of several octets
			b.WriteString(`\ufffd`)
		default:
			b.WriteByte(r)
		}
	}
	return `"` + b.String() + `"`
}

func TestDigits(t *testing.T) {
	for n := range uint32(10000) {
		for _, x := range []uint32{n, n * 10000, n*10000 + n, 99990000 + n, n*10000 + 9999} {
			var b [8]byte
			binary.LittleEndian.PutUint64(b[:], eightDigits(x))
			if want := fmt.Sprintf("%08d", x); string(b[:]) != want {
				t.Fatalf("eightDigits(%d) = %q, want %q", x, b, want)
			}
		}
	}
	for n := range uint32(100) {
		if x := twoDigits(n); fmt.Sprintf("%c%c", x&255, x>>8) != fmt.Sprintf("%02d", n) {
			t.Errorf("twoDigits(%d) = %#x", n, x)
		}
	}
	for power := uint64(1); ; power *= 10 {
		for _, n := range []uint64{power - 1, power, power + 1, 2*power - 1, 9 * power} {
			if got, want := string(appendUint(nil, n)), strconv.FormatUint(n, 10); got != want {
				t.Errorf("appendUint(%d) = %s", n, got)
			}
		}
		if power == 1e19 {
			break
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.Uint64().Draw(t, "n")
		if got, want := string(appendUint([]byte("x"), n)), "x"+strconv.FormatUint(n, 10); got != want {
			t.Errorf("appendUint(%d) = %s", n, got)
		}
		// An exact decimal without superfluous zeros is what big.Rat prints, shortened.
		r := big.NewRat(int64(n), 1e9)
		want := r.FloatString(9)
		want = strings.TrimSuffix(strings.TrimRight(want, "0"), ".")
		if got := string(appendSeconds([]byte("x"), time.Duration(n))); got != "x"+want {
			t.Errorf("appendSeconds(%d) = %s, want %s", int64(n), got, want)
		}
	})
}

func TestAppendEndEqualsNetip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a := wire.Addr{Hi: rapid.Uint64().Draw(t, "hi"), Lo: rapid.Uint64().Draw(t, "lo")}
		if rapid.Bool().Draw(t, "mapped") {
			a.Hi, a.Lo = 0, 0xffff<<32|a.Lo&math.MaxUint32
		}
		port, v6 := rapid.Uint16().Draw(t, "port"), rapid.Bool().Draw(t, "v6")
		want := fmt.Sprintf(`{"ip":"%s","port":%d}`, a.Netip(v6), port)
		if got := string(appendEnd(nil, a, port, v6)); got != want {
			t.Errorf("%x: %s, want %s", a, got, want)
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

// What an appender keeps must not show: after other connections it writes what a new one
// would.
func TestKeptTextsDoNotShow(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var kept appender
		for range 4 {
			c := randomConnection(t)
			// Few values, so that many are alike in part.
			for i := range c.Events {
				c.Events[i].Len, c.Events[i].Window = c.Events[i].Len%3, c.Events[i].Window%3
			}
			for i := range c.Ends {
				o := &c.Ends[i].SYN
				o.Set, o.MSS, o.WindowScale = o.Set%16, o.MSS%2, o.WindowScale%2
			}
			var a, b Buffer
			kept.connection(&a, c)
			new(appender).connection(&b, c)
			if string(a.AppendTo(nil, 1)) != string(b.AppendTo(nil, 1)) {
				t.Fatalf("after others:\n%s\nalone:\n%s", a.B, b.B)
			}
		}
	})
}
