package record

import (
	"encoding/binary"

	"github.com/tcplife/tcplife/wire"
)

// This file is about packets whose headers do not fit into their first fragment. No
// sender needs such; they are made to get past those who do not put fragments together.

// begun is a packet of which the first fragments have come, one after the other.
type begun struct {
	// frame holds the first fragment's frame, with the payload of the others behind it.
	frame []byte
	// ip is where the IP header begins, and payload what is behind it.
	ip, payload int
}

const (
	// tinyFragment is the length below which a first fragment is watched, in octets: the
	// largest TCP header has 60, and what comes through a tunnel some headers more.
	tinyFragment = 256
	// maxBegun bounds how many packets are watched at a time.
	maxBegun = 256
)

// pieces takes a fragment in, and copies the headers in it that began in an earlier one.
func (a *Anonymizer) pieces(f *wire.Frame) {
	var h *wire.Header
	for i := range a.layout.Headers {
		if x := &a.layout.Headers[i]; x.Piece && (x.Kind == wire.HeaderIPv4 || x.Kind == wire.HeaderIPv6) {
			h = x
		}
	}
	if h == nil {
		return
	}
	at := h.At + h.Size
	length := int(binary.BigEndian.Uint16(f.Data[h.At+2:])) - h.Size
	if h.V6 {
		length = int(binary.BigEndian.Uint16(f.Data[h.At+4:])) + 40 - h.Size
	}
	length = min(length, len(f.Data)-at)
	if length <= 0 {
		return
	}
	key := packet{h.Src, h.Dst, h.ID, h.V6}
	if h.From == 0 {
		if length < tinyFragment {
			if len(a.begun) >= maxBegun {
				clear(a.begun)
			}
			a.begun[key] = begun{append([]byte(nil), f.Data[:at+length]...), h.At, at}
		}
		return
	}
	b, ok := a.begun[key]
	if !ok || int(h.From) != len(b.frame)-b.payload || len(b.frame) > 2*tinyFragment {
		return
	}
	// As if the first fragment had had all of it.
	before := len(b.frame)
	b.frame = append(b.frame, f.Data[at:at+length]...)
	if place := b.ip + 2; !h.V6 {
		binary.BigEndian.PutUint16(b.frame[place:], uint16(len(b.frame)-b.ip))
	} else {
		binary.BigEndian.PutUint16(b.frame[place+2:], uint16(len(b.frame)-b.ip-40))
	}
	a.begun[key] = b
	joined := Anonymizer{ip: a.ip, hardware: a.hardware, four: a.four, six: a.six, begun: map[packet]begun{}}
	joined.make(&wire.Frame{Link: f.Link, Data: b.frame, Length: uint32(len(b.frame))})
	if joined.kept <= before {
		delete(a.begun, key) // the headers are over
		return
	}
	copy(a.out[at:at+length], joined.out[before:])
	a.kept = max(a.kept, at+min(joined.kept-before, length))
}
