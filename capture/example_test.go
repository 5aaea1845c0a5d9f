package capture_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"

	"github.com/tcplife/tcplife/capture"
	"github.com/tcplife/tcplife/wire"
)

// A loop over any source. Damage is told apart from the end, and what came before
// it is kept.
func ExampleNewReader() {
	cut := []byte("\xd4\xc3\xb2\xa1\x02\x00\x04\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x04\x00\x01\x00\x00\x00" +
		"\x00\xf1\x53\x65\x07\x00\x00\x00\x04\x00\x00\x00\x3c\x00\x00\x00\xde\xad\xbe\xef" +
		"\x01\xf1\x53\x65\x07\x00\x00\x00\x04\x00\x00\x00\x3c\x00\x00\x00\xde")
	src, err := capture.NewReader(bytes.NewReader(cut), "a.pcap")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer src.Close()
	var f wire.Frame
	for {
		err := src.Next(&f)
		if err == io.EOF {
			break
		}
		if damage := new(capture.DamageError); errors.As(err, &damage) {
			fmt.Println(damage.Name, damage.Frame, damage.Offset, damage.What)
			continue
		}
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println(f.ID.Number(), f.At, uint16(f.Link), len(f.Data), f.Length)
	}
	fmt.Println(src.Info().Frames, "frames")
	// Output:
	// 1 2023-11-14T22:13:20.000007000Z 1 4 60
	// a.pcap 2 44 record of 20 octets cut off after 17
	// 1 frames
}
