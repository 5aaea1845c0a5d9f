package main

import (
	"encoding/binary"
	"io"
	"net/netip"
	"slices"
	"sync"
	"time"
)

// leaky is a service that forgets to close some of its connections, and its neighbours,
// as packets that come now: a capture that is being made.
type leaky struct {
	w     io.Writer
	err   error
	ports map[netip.AddrPort]uint16
	stop  chan struct{}
	done  sync.WaitGroup
}

// The hosts of leaky.
var (
	leakClient   = netip.MustParseAddr("10.1.0.1")
	leakListener = netip.MustParseAddrPort("10.2.0.1:8080")
	fineListener = netip.MustParseAddrPort("10.2.0.1:443")
	deafListener = netip.MustParseAddrPort("10.2.0.1:81")
)

// leak writes a pcap to w: at each tick a connection that the service forgets to close,
// one that it closes 2 ms after its client, one that its client aborts, one that is
// refused, and something that is no TCP. first is how many it has forgotten at once in
// the beginning. end stops it.
func leak(w io.Writer, first int, tick time.Duration) (end func() error) {
	l := &leaky{w: w, ports: map[netip.AddrPort]uint16{}, stop: make(chan struct{})}
	le := binary.LittleEndian
	head := le.AppendUint16(le.AppendUint16(le.AppendUint32(nil, 0xa1b23c4d), 2), 4) // nanoseconds
	l.write(le.AppendUint32(le.AppendUint32(append(head, make([]byte, 8)...), 1<<16), 101))
	l.done.Go(func() {
		for range first {
			l.forgotten()
		}
		beat := time.NewTicker(tick)
		defer beat.Stop()
		for {
			select {
			case <-l.stop:
				return
			case <-beat.C:
				l.forgotten()
				l.life(fineListener, "S", "s", "a", "d", "e", "f", "g", "h", "i")
				l.life(fineListener, "S", "s", "a", "d", "e", "R")
				l.life(deafListener, "S", "r")
				l.datagram()
			}
		}
	})
	return func() error { close(l.stop); l.done.Wait(); return l.err }
}

// forgotten is a connection whose client closes and whose server does not.
func (l *leaky) forgotten() { l.life(leakListener, "S", "s", "a", "d", "e", "f", "g") }

// life plays the moves of one connection, 200 us from one to the next. Capitals, and what
// follows a lower case letter of the server, alternate as named below.
func (l *leaky) life(server netip.AddrPort, moves ...string) {
	l.ports[server]++
	client := netip.AddrPortFrom(leakClient, 33000+l.ports[server])
	const isn, answer = 1000, 5000
	at := time.Now().Add(-time.Duration(len(moves)) * 200 * time.Microsecond)
	for _, m := range moves {
		switch m {
		case "S":
			l.segment(at, client, server, 0x02, isn, 0, 0)
		case "s":
			l.segment(at, server, client, 0x12, answer, isn+1, 0)
		case "r":
			l.segment(at, server, client, 0x14, 0, isn+1, 0)
		case "a":
			l.segment(at, client, server, 0x10, isn+1, answer+1, 0)
		case "d": // a request
			l.segment(at, client, server, 0x18, isn+1, answer+1, 100)
		case "e": // its answer
			l.segment(at, server, client, 0x18, answer+1, isn+101, 200)
		case "R":
			l.segment(at, client, server, 0x14, isn+101, answer+201, 0)
		case "f": // the client's FIN, and its ACK
			l.segment(at, client, server, 0x11, isn+101, answer+201, 0)
		case "g":
			l.segment(at, server, client, 0x10, answer+201, isn+102, 0)
		case "h": // the server's
			l.segment(at, server, client, 0x11, answer+201, isn+102, 0)
		case "i":
			l.segment(at, client, server, 0x10, isn+102, answer+202, 0)
		}
		at = at.Add(200 * time.Microsecond)
	}
}

func (l *leaky) segment(at time.Time, from, to netip.AddrPort, flags byte, seq, ack uint32, payload int) {
	be := binary.BigEndian
	b := be.AppendUint16(be.AppendUint16(nil, from.Port()), to.Port())
	b = be.AppendUint32(be.AppendUint32(b, seq), ack)
	b = append(b, 0x50, flags, 0xfa, 0xf0, 0, 0, 0, 0)
	l.packet(at, 6, from.Addr(), to.Addr(), append(b, make([]byte, payload)...))
}

func (l *leaky) datagram() {
	l.packet(time.Now(), 17, leakClient, fineListener.Addr(), []byte{0, 53, 0, 53, 0, 8, 0, 0})
}

func (l *leaky) packet(at time.Time, protocol byte, from, to netip.Addr, inner []byte) {
	n := 20 + len(inner)
	var b []byte
	for _, v := range []uint32{uint32(at.Unix()), uint32(at.Nanosecond()), uint32(n), uint32(n)} {
		b = binary.LittleEndian.AppendUint32(b, v)
	}
	b = append(b, 0x45, 0, byte(n>>8), byte(n), 0, 0, 0x40, 0, 64, protocol, 0, 0)
	l.write(slices.Concat(b, from.AsSlice(), to.AsSlice(), inner))
}

func (l *leaky) write(b []byte) {
	if l.err == nil {
		_, l.err = l.w.Write(b)
	}
}
