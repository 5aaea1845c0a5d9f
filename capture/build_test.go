package capture

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"

	_ "github.com/tcplife/tcplife/internal/property"
	"github.com/tcplife/tcplife/wire"
)

// order is both of binary's interfaces.
type order interface {
	binary.ByteOrder
	binary.AppendByteOrder
}

var orders = map[string]order{"little": binary.LittleEndian, "big": binary.BigEndian}

// pcapHead and pcapRec write what pcapgo's writer cannot: big-endian files, odd
// link type fields and records that contradict themselves.
func pcapHead(o order, magic uint32, major, minor uint16, snaplen, link uint32) []byte {
	b := o.AppendUint32(nil, magic)
	b = o.AppendUint16(b, major)
	b = o.AppendUint16(b, minor)
	b = append(b, make([]byte, 8)...)
	b = o.AppendUint32(b, snaplen)
	return o.AppendUint32(b, link)
}

func pcapRec(o order, sec, sub, caplen, length uint32, data []byte) []byte {
	b := o.AppendUint32(nil, sec)
	b = o.AppendUint32(b, sub)
	b = o.AppendUint32(b, caplen)
	b = o.AppendUint32(b, length)
	return append(b, data...)
}

// ng writes pcapng blocks.
type ng struct {
	order
	bytes.Buffer
}

func newNG(o order) *ng { return (&ng{order: o}).shb(1, 0) }

func (w *ng) block(typ uint32, body []byte) *ng {
	for len(body)%4 != 0 {
		body = append(body, 0)
	}
	return w.raw(typ, uint32(len(body)+12), body, uint32(len(body)+12))
}

func (w *ng) raw(typ, first uint32, body []byte, second uint32) *ng {
	w.Write(w.AppendUint32(w.AppendUint32(nil, typ), first))
	w.Write(body)
	w.Write(w.AppendUint32(nil, second))
	return w
}

func (w *ng) shb(major, minor uint16) *ng {
	b := w.AppendUint32(nil, byteOrderMagic)
	b = w.AppendUint16(b, major)
	b = w.AppendUint16(b, minor)
	return w.block(blockSection, w.AppendUint64(b, 1<<64-1))
}

func (w *ng) opt(code uint16, v []byte) []byte {
	b := w.AppendUint16(nil, code)
	b = append(w.AppendUint16(b, uint16(len(v))), v...)
	for len(b)%4 != 0 {
		b = append(b, 0)
	}
	return b
}

func (w *ng) idb(link uint16, snaplen uint32, opts ...[]byte) *ng {
	b := w.AppendUint16(nil, link)
	b = w.AppendUint16(b, 0)
	b = w.AppendUint32(b, snaplen)
	return w.block(blockInterface, append(b, bytes.Join(opts, nil)...))
}

func (w *ng) epbBody(id uint32, stamp uint64, caplen, length uint32, data []byte, opts ...[]byte) []byte {
	b := w.AppendUint32(nil, id)
	b = w.AppendUint32(b, uint32(stamp>>32))
	b = w.AppendUint32(b, uint32(stamp))
	b = w.AppendUint32(b, caplen)
	b = append(w.AppendUint32(b, length), data...)
	for len(b)%4 != 0 {
		b = append(b, 0)
	}
	return append(b, bytes.Join(opts, nil)...)
}

func (w *ng) epb(id uint32, stamp uint64, data []byte, opts ...[]byte) *ng {
	return w.block(blockEnhanced, w.epbBody(id, stamp, uint32(len(data)), uint32(len(data)), data, opts...))
}

func (w *ng) opb(id uint16, stamp uint64, data []byte) *ng {
	b := w.epbBody(0, stamp, uint32(len(data)), uint32(len(data)), data)
	w.PutUint16(b, id)
	w.PutUint16(b[2:], 7) // drops count
	return w.block(blockPacket, b)
}

func (w *ng) spb(length uint32, data []byte) *ng {
	return w.block(blockSimple, append(w.AppendUint32(nil, length), data...))
}

func (w *ng) isb(id uint32, opts ...[]byte) *ng {
	b := append(w.AppendUint32(nil, id), make([]byte, 8)...)
	return w.block(blockStatistics, append(b, bytes.Join(opts, nil)...))
}

// kept is a frame that may be kept.
type kept struct {
	At     wire.Time
	Link   wire.LinkType
	Length uint32
	Data   string
}

func keep(f *wire.Frame) kept { return kept{f.At, f.Link, f.Length, string(f.Data)} }

// tb is what testing.TB and rapid.T share.
type tb interface {
	Helper()
	Fatalf(format string, args ...any)
}

// drain reads src to its end: frames, and damage in between.
func drain(t tb, src Source) (frames []kept, damage []*DamageError) {
	t.Helper()
	defer src.Close()
	var f wire.Frame
	for {
		err := src.Next(&f)
		var d *DamageError
		switch {
		case err == nil:
			frames = append(frames, keep(&f))
			if f.ID != wire.NewFrameID(0, uint64(len(frames))) {
				t.Fatalf("frame %d is numbered %d", len(frames), f.ID.Number())
			}
		case err == io.EOF:
			i := src.Info()
			if i.Frames != uint64(len(frames)) || i.Damaged != uint64(len(damage)) || len(i.Damage) != min(len(damage), maxDamage) {
				t.Fatalf("Info counts %d frames and %d (%d) damages; seen %d and %d", i.Frames, i.Damaged, len(i.Damage), len(frames), len(damage))
			}
			return frames, damage
		case errors.As(err, &d):
			if d.Frame != uint64(len(frames)+1) {
				t.Fatalf("damage names frame %d after %d frames: %v", d.Frame, len(frames), d)
			}
			damage = append(damage, d)
		default:
			t.Fatalf("Next: %v", err)
		}
	}
}

// read drains a capture in memory that opens.
func read(t tb, b []byte) ([]kept, []*DamageError, Info) {
	t.Helper()
	src, err := NewReader(bytes.NewReader(b), "mem")
	if err != nil {
		t.Fatalf("NewReader: %v", err)
	}
	frames, damage := drain(t, src)
	return frames, damage, src.Info()
}

// octets returns n octets that differ from their neighbours.
func octets(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i*7 + n)
	}
	return b
}
