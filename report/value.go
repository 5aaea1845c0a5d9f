package report

import (
	"cmp"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/tcplife/tcplife/wire"
)

// ValueKind is what a Value holds.
type ValueKind uint8

// The kinds. KindUnknown stands for what the JSON leaves out.
const (
	KindUnknown ValueKind = iota
	KindText
	// KindInteger counts something, or is an identifier; N holds it.
	KindInteger
	// KindSeconds is a duration; N holds it in nanoseconds.
	KindSeconds
	// KindFlag is yes or no; N holds 1 or 0.
	KindFlag
	// KindInstant is a time; N holds it in nanoseconds since 1970.
	KindInstant
	// KindFrame names a captured frame; N holds its wire.FrameID.
	KindFrame
	// KindList holds words; Text has them with a space in between.
	KindList
)

var kindNames = [...]string{"unknown", "text", "integer", "seconds", "yes or no", "time", "frame", "list"}

// String returns the words by which the lists of fields call it.
func (k ValueKind) String() string { return kindNames[k] }

// Value is what a Field has on one connection. It does not point into the
// connection, except that Text may share a string with it.
type Value struct {
	Kind ValueKind
	Text string
	N    int64
}

func textValue(s string) Value { return Value{Kind: KindText, Text: s} }

// countValue is an integer; what exceeds an int64 is as good as infinite.
func countValue(n uint64) Value { return Value{Kind: KindInteger, N: int64(min(n, math.MaxInt64))} }

func secondsValue(d time.Duration) Value { return Value{Kind: KindSeconds, N: int64(d)} }

func instantValue(t wire.Time) Value { return Value{Kind: KindInstant, N: int64(t)} }

func frameValue(f wire.FrameID) Value { return Value{Kind: KindFrame, N: int64(f)} }

func flagValue(b bool) Value {
	if b {
		return Value{Kind: KindFlag, N: 1}
	}
	return Value{Kind: KindFlag}
}

func listValue(words []string) Value {
	return Value{Kind: KindList, Text: strings.Join(words, " ")}
}

// known turns a value into none when a condition does not hold.
func (v Value) known(is bool) Value {
	if !is {
		return Value{}
	}
	return v
}

// Compare orders two values of one field. What is unknown comes after everything
// else.
func (v Value) Compare(o Value) int {
	if v.Kind == KindUnknown || o.Kind == KindUnknown {
		return cmp.Compare(unknownLast(v), unknownLast(o))
	}
	if v.Kind == KindText || v.Kind == KindList {
		return cmp.Compare(v.Text, o.Text)
	}
	return cmp.Compare(v.N, o.N)
}

func unknownLast(v Value) int {
	if v.Kind == KindUnknown {
		return 1
	}
	return 0
}

// append appends the value as programs read it: as in JSON, but without quotes.
// Unknown is nothing.
func (v Value) append(b []byte, multi bool) []byte {
	switch v.Kind {
	case KindText, KindList:
		return append(b, v.Text...)
	case KindInteger:
		if v.N >= 0 {
			return appendUint(b, uint64(v.N))
		}
		return strconv.AppendInt(b, v.N, 10)
	case KindSeconds:
		return appendSeconds(b, time.Duration(v.N))
	case KindFlag:
		return strconv.AppendBool(b, v.N != 0)
	case KindInstant:
		var c calendar
		var text [32]byte
		quoted := c.time(text[:0], wire.Time(v.N))
		return append(b, quoted[1:len(quoted)-1]...)
	case KindFrame:
		if f := wire.FrameID(v.N); !multi {
			return appendUint(b, f.Number())
		}
		return append(b, frameName(wire.FrameID(v.N), multi)...)
	}
	return b
}

// Words returns the words of a list; a value of another kind is one word.
func (v Value) Words() []string {
	if v.Kind == KindList {
		return strings.Fields(v.Text)
	}
	return []string{v.Text}
}
