package capture

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"

	"github.com/ulikunitz/xz"
	"github.com/ulikunitz/xz/lzma"
)

var _ = registerPacking(packing{
	name:   "xz",
	match:  func(head []byte) bool { return len(head) >= 6 && string(head[:6]) == "\xfd7zXZ\x00" },
	unpack: unxz,
})

// xzChunk is what is unpacked at once: the library fills what it is given, however
// long the input takes to yield it.
const xzChunk = 16 << 10

func unxz(to *ahead, from *bufio.Reader) error {
	if n := xzDictionary(from); n > maxWindow {
		return fmt.Errorf("%w (a dictionary of %d MiB, and %d at most; use: xz -dc FILE | tcplife analyze -)", errWindow, n>>20, maxWindow>>20)
	}
	end := &lastOctets{r: from}
	// DictCap is the least that the library takes: a small file need not have 8 MiB.
	z, err := xz.ReaderConfig{DictCap: lzma.MinDictCap}.NewReader(bufio.NewReader(end))
	if err != nil {
		return err
	}
	if err := to.readFrom(inChunks{z, xzChunk}); err != nil {
		return err
	}
	// The library takes an input that is cut between two blocks for whole.
	if string(end.last[:]) != "YZ" {
		return io.ErrUnexpectedEOF
	}
	return nil
}

// lastOctets keeps the last two octets but for zeros, which may fill a file up: a
// stream's footer ends with "YZ" (The .xz File Format 1.1.0, section 2.1.2.4).
type lastOctets struct {
	r    io.Reader
	last [2]byte
}

func (l *lastOctets) Read(b []byte) (int, error) {
	n, err := l.r.Read(b)
	for i := n - 1; i >= 0; i-- {
		if b[i] == 0 {
			continue
		}
		if l.last[0] = l.last[1]; i > 0 {
			l.last[0] = b[i-1]
		}
		l.last[1] = b[i]
		break
	}
	return n, err
}

// inChunks reads at most n octets at once.
type inChunks struct {
	r io.Reader
	n int
}

func (c inChunks) Read(b []byte) (int, error) { return c.r.Read(b[:min(len(b), c.n)]) }

// xzDictionary returns the size of the first block's dictionary in octets: the
// library allocates what that block's header claims, up to 4 GiB. It returns 0
// where it cannot tell, which the library then reports. Later blocks are not
// looked at: an encoder writes all of them with one setting.
func xzDictionary(from *bufio.Reader) int64 {
	const streamHeader = 12 // The .xz File Format 1.1.0, section 2.1.1
	b, err := from.Peek(streamHeader + 1)
	if err != nil || b[streamHeader] == 0 {
		return 0
	}
	// Section 3.1: the size in words less one, the flags, sizes that the flags tell
	// of, then each filter with its properties.
	b, err = from.Peek(streamHeader + (int(b[streamHeader])+1)*4)
	if err != nil {
		return 0
	}
	flags, b := b[streamHeader+1], b[streamHeader+2:]
	number := func() uint64 {
		v, n := binary.Uvarint(b)
		if n <= 0 {
			b = nil
			return 0
		}
		b = b[n:]
		return v
	}
	for _, bit := range []byte{0x40, 0x80} {
		if flags&bit != 0 {
			number()
		}
	}
	for range flags&3 + 1 {
		id, size := number(), number()
		if size > uint64(len(b)) {
			return 0
		}
		if id == 0x21 && size == 1 {
			n, err := lzma.DecodeDictCap(b[0])
			if err != nil {
				return 0
			}
			return n
		}
		b = b[size:]
	}
	return 0
}
