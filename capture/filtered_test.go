package capture

import (
	"bytes"
	"encoding/binary"
	"io"
	"strings"
	"testing"

	"github.com/tcplife/tcplife/capture/bpf"
	"github.com/tcplife/tcplife/wire"
)

func mustParse(t *testing.T, filter string) *bpf.Filter {
	t.Helper()
	f, err := bpf.Parse(filter)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func TestFiltered(t *testing.T) {
	o := orders["little"]
	b := pcapHead(o, pcapMagicNano, 2, 4, 0, 1)
	for i := range 6 {
		frame := tagged(udp(uint16(i%3), 60), 0x8100, uint16(i))
		if i < 4 {
			frame = udp(uint16(i%3), 60)
		}
		b = append(b, pcapRec(o, now, uint32(i), uint32(len(frame)), uint32(len(frame)), frame)...)
	}
	for filter, want := range map[string]string{"": "123456", "udp dst port 1": "2", "udp port 0": "14", "vlan": "56", "vlan 5 and port 2": "6", "tcp": ""} {
		src, err := NewReader(bytes.NewReader(b), "mem")
		if err != nil {
			t.Fatal(err)
		}
		s := Filtered(src, mustParse(t, filter))
		var f wire.Frame
		got := ""
		for {
			if err = s.Next(&f); err != nil {
				break
			}
			got += string('0' + rune(f.ID.Number()))
		}
		if err != io.EOF || got != want || s.Info().Frames != uint64(len(want)) || Infos(s)[0].Frames != uint64(len(want)) {
			t.Errorf("%q: frames %q and %v; wanted %q", filter, got, err, want)
		}
		s.Close()
	}
	b[20] = 105 // the link type
	src, err := NewReader(bytes.NewReader(b), "mem")
	if err != nil {
		t.Fatal(err)
	}
	var f wire.Frame
	if err := Filtered(src, mustParse(t, "tcp")).Next(&f); err == nil || !strings.Contains(err.Error(), "frame 1 of mem") {
		t.Errorf("of a link type that is not looked into: %v", err)
	}
}

// udp returns a frame of size octets from port 1 to the given port.
func udp(port uint16, size int) []byte {
	b := make([]byte, size)
	copy(b, []byte{2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0, 0x45})
	binary.BigEndian.PutUint16(b[16:], uint16(size-14))
	copy(b[22:], []byte{64, 17, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2})
	binary.BigEndian.PutUint16(b[34:], 1)
	binary.BigEndian.PutUint16(b[36:], port)
	binary.BigEndian.PutUint16(b[38:], uint16(size-34))
	for i := 42; i < size; i++ {
		b[i] = byte(i)
	}
	return b
}

// tagged returns a frame with a VLAN tag put into it.
func tagged(frame []byte, tpid, tci uint16) []byte {
	b := append([]byte(nil), frame[:12]...)
	b = binary.BigEndian.AppendUint16(b, tpid)
	b = binary.BigEndian.AppendUint16(b, tci)
	return append(b, frame[12:]...)
}
