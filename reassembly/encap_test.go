package reassembly

import (
	"testing"

	"github.com/tcplife/tcplife/wire"
)

// life feeds a handshake, a request and a close; path gives each frame its
// encapsulation.
func life(feed func(*wire.Segment), port uint16, path func(fromClient bool) wire.EncapID) {
	type step struct {
		client   bool
		flags    wire.Flags
		seq, ack wire.Seq
		n        uint32
	}
	const s, a, f = wire.SYN, wire.ACK, wire.FIN
	at := wire.Time(1e18)
	for i, p := range []step{
		{true, s, 100, 0, 0}, {false, s | a, 900, 101, 0}, {true, a, 101, 901, 0}, {true, a, 101, 901, 10}, {false, a, 901, 111, 20},
		{true, f | a, 111, 921, 0}, {false, f | a, 921, 112, 0}, {true, a, 112, 922, 0},
	} {
		at += 1e6
		t := wire.Tuple{Src: wire.Addr{Lo: 0xffff0a000001}, Dst: wire.Addr{Lo: 0xffff0a000002}, SrcPort: port, DstPort: 443}
		if !p.client {
			t = t.Reverse()
		}
		t.Encap = path(p.client)
		feed(&wire.Segment{Frame: wire.FrameID(i + 1), At: at, Tuple: t, Seq: p.seq, Ack: p.ack, Flags: p.flags, Len: p.n, TTL: 64, IPID: uint16(i + 1), Window: 1000})
	}
}

func tracked(t *testing.T) (*Tracker, *[]*Conn) {
	t.Helper()
	var conns []*Conn
	return New(Config{Settled: func(c *Conn, _ uint64) { conns = append(conns, c.Clone()) }}), &conns
}

// A tap that tags each direction differently must not cut connections in two.
func TestDirectionsUnderDifferentTags(t *testing.T) {
	tr, conns := tracked(t)
	path := func(client bool) wire.EncapID {
		if client {
			return 1
		}
		return 2
	}
	life(tr.Feed, 40000, path)
	life(tr.Feed, 40001, path)
	tr.Flush()
	if len(*conns) != 2 {
		t.Fatalf("%d connections, want 2", len(*conns))
	}
	for _, c := range *conns {
		if c.Ends[Client].Packets != 5 || c.Ends[Server].Packets != 3 || c.Close.Reason != CloseOrderly {
			t.Errorf("client %d, server %d packets, %v; want 5, 3, orderly", c.Ends[Client].Packets, c.Ends[Server].Packets, c.Close.Reason)
		}
	}
}

// The same tuple seen both ways in two VLANs is two connections: address spaces
// overlap.
func TestOverlappingAddressSpaces(t *testing.T) {
	tr, conns := tracked(t)
	for _, vlan := range []wire.EncapID{0, 1, 2} {
		life(tr.Feed, 40000, func(bool) wire.EncapID { return vlan })
	}
	tr.Flush()
	if len(*conns) != 3 {
		t.Fatalf("%d connections, want 3", len(*conns))
	}
	for _, c := range *conns {
		if c.Ends[Client].Packets != 5 || c.Ends[Server].Packets != 3 {
			t.Errorf("client %d, server %d packets, want 5 and 3", c.Ends[Client].Packets, c.Ends[Server].Packets)
		}
	}
}
