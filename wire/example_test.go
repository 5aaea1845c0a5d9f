package wire_test

import (
	"fmt"

	"github.com/tcplife/tcplife/wire"
)

// A SYN of 10.0.0.1 to 10.0.0.2, as a capture of raw IP packets holds it.
func Example() {
	data := []byte{
		0x45, 0, 0, 44, 0, 1, 0x40, 0, 64, 6, 0, 0, // IPv4, 44 octets, TCP
		10, 0, 0, 1, 10, 0, 0, 2,
		0x9c, 0x40, 0x01, 0xbb, 0, 0, 0, 1, 0, 0, 0, 0, // ports, seq, ack
		0x60, 0x02, 0xfa, 0xf0, 0, 0, 0, 0, // SYN, window
		2, 4, 0x05, 0xb4, // MSS
	}
	frame := wire.Frame{ID: wire.NewFrameID(0, 1), Link: wire.LinkRaw, Data: data, Length: 44}

	var d wire.Decoder
	var s wire.Segment
	if skip := d.Decode(&frame, &s); skip != wire.SkipNone {
		fmt.Println("no segment:", skip)
		return
	}
	fmt.Println(s.Tuple.Source(), ">", s.Tuple.Destination(), s.Flags, "seq", s.Seq, "mss", s.Options.MSS)
	// Output: 10.0.0.1:40000 > 10.0.0.2:443 S seq 1 mss 1460
}
