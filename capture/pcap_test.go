package capture

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tcplife/tcplife/wire"
)

func TestPcapVariants(t *testing.T) {
	for name, o := range orders {
		for magic, unit := range map[uint32]wire.Time{pcapMagicMicro: 1000, pcapMagicNano: 1} {
			t.Run(fmt.Sprintf("%s-%x", name, magic), func(t *testing.T) {
				b := pcapHead(o, magic, 2, 4, 96, 276)
				b = append(b, pcapRec(o, 1700000000, 999999, 60, 60, octets(60))...)
				b = append(b, pcapRec(o, 0xffffffff, 0xffffffff, 96, 1500, octets(96))...)
				b = append(b, pcapRec(o, 5, 0, 0, 0, nil)...)
				b = append(b, pcapRec(o, 6, 0, 300, 300, octets(300))...) // above the snapshot length
				frames, damage, info := read(t, b)
				want := []kept{
					{1700000000e9 + 999999*unit, 276, 60, string(octets(60))},
					{0xffffffff*1e9 + 0xffffffff*unit, 276, 1500, string(octets(96))},
					{5e9, 276, 0, ""},
					{6e9, 276, 300, string(octets(300))},
				}
				if d := cmp.Diff(want, frames); d != "" || damage != nil {
					t.Errorf("%v %s", damage, d)
				}
				wantInfo := Info{
					Name: "mem", Format: "pcap", Frames: 4, Bytes: int64(len(b)),
					Interfaces: []Interface{{Link: 276, SnapLen: 96, Resolution: uint64(1e9 / unit)}},
				}
				if d := cmp.Diff(wantInfo, info); d != "" {
					t.Error(d)
				}
			})
		}
	}
}

// The upper half of the link type field is about the frame check sequence.
func TestPcapLinkTypeField(t *testing.T) {
	for _, field := range []uint32{0x30000001, 0x40000001, 0xf4000001, 0x03ff0001} {
		b := append(pcapHead(binary.LittleEndian, pcapMagicMicro, 2, 4, 0, field), pcapRec(binary.LittleEndian, 1, 0, 1, 1, []byte{1})...)
		if frames, _, info := read(t, b); frames[0].Link != 1 || info.Interfaces[0].Link != 1 {
			t.Errorf("field %#x read as link type %d", field, frames[0].Link)
		}
	}
}

// libpcap and Wireshark hand out a frame of which more was captured than there was.
func TestCapturedMoreThanLength(t *testing.T) {
	o := binary.LittleEndian
	b := append(pcapHead(o, pcapMagicMicro, 2, 4, 0, 1), pcapRec(o, 1, 0, 60, 50, octets(60))...)
	g := newNG(o).idb(1, 0)
	g.block(blockEnhanced, g.epbBody(0, 1e6, 60, 50, octets(60)))
	for _, b := range [][]byte{b, g.Bytes()} {
		frames, damage, _ := read(t, b)
		if want := []kept{{1e9, 1, 60, string(octets(60))}}; cmp.Diff(want, frames) != "" || damage != nil {
			t.Errorf("got %v and damage %v", frames, damage)
		}
	}
}

func TestPcapDamage(t *testing.T) {
	o := binary.LittleEndian
	good := pcapRec(o, 1, 0, 60, 60, octets(60))
	head := pcapHead(o, pcapMagicMicro, 2, 4, 0, 1)
	for _, c := range []struct {
		name, want string
		tail       []byte
	}{
		{"cut in a header", "mem: frame 2 at byte 100: record header of 16 octets cut off after 15", good[:15]},
		{"cut before the frame", "mem: frame 2 at byte 100: record of 76 octets cut off after 16", good[:16]},
		{"cut in the frame", "mem: frame 2 at byte 100: record of 76 octets cut off after 75", good[:75]},
		{"length above the file", "mem: frame 2 at byte 100: record of 262160 octets cut off after 76", pcapRec(o, 1, 0, maxFrame, maxFrame, octets(60))},
		{"length above the bound", "mem: frame 2 at byte 100: record claims 262145 captured octets, and frames have at most 262144", pcapRec(o, 1, 0, maxFrame+1, maxFrame+1, octets(60))},
		{"length of all ones", "mem: frame 2 at byte 100: record claims 4294967295 captured octets", pcapRec(o, 1, 0, 1<<32-1, 60, octets(60))},
	} {
		t.Run(c.name, func(t *testing.T) {
			frames, damage, _ := read(t, bytes.Join([][]byte{head, good, c.tail}, nil))
			if len(frames) != 1 || len(damage) != 1 || !strings.HasPrefix(damage[0].Error(), c.want) {
				t.Errorf("%d frames, damage %v\nwant 1 and %s", len(frames), damage, c.want)
			}
			if strings.Contains(c.want, "cut off") != errors.Is(damage[0], io.ErrUnexpectedEOF) {
				t.Errorf("cause is %v", damage[0].Err)
			}
		})
	}
}

// A frame of the largest size is read, and one above the buffer on the link types
// that have them.
func TestLargeFrames(t *testing.T) {
	o := binary.LittleEndian
	for link, n := range map[uint32]int{1: maxFrame, uint32(linkDBus): 3*bufferSize + 1, uint32(linkUSBPcap): bufferSize} {
		rec := pcapRec(o, 1, 0, uint32(n), uint32(n), octets(n))
		b := bytes.Join([][]byte{pcapHead(o, pcapMagicMicro, 2, 4, 0, link), rec, rec, pcapRec(o, 1, 0, 9, 9, octets(9))}, nil)
		g := newNG(o).idb(uint16(link), 0).epb(0, 1, octets(n)).epb(0, 2, octets(n)).epb(0, 3, octets(9))
		for _, b := range [][]byte{b, g.Bytes()} {
			frames, damage, _ := read(t, b)
			if len(frames) != 3 || damage != nil || frames[0].Data != string(octets(n)) || frames[1].Data != string(octets(n)) || frames[2].Data != string(octets(9)) {
				t.Errorf("link type %d, %d octets: %d frames, damage %v", link, n, len(frames), damage)
			}
		}
	}
}
