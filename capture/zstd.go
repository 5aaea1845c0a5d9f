package capture

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/klauspost/compress/zstd"
)

var _ = registerPacking(packing{
	name: "zstd",
	// RFC 8878 section 3.1: the magic number of a frame, or of a skippable one,
	// with which pzstd and seekable files begin.
	match: func(head []byte) bool {
		if len(head) < 4 {
			return false
		}
		magic := binary.LittleEndian.Uint32(head)
		return magic == 0xfd2fb528 || magic&^0xf == 0x184d2a50
	},
	unpack: unzstd,
})

func unzstd(to *ahead, from *bufio.Reader) error {
	// One goroutine: with more of them the library is slower on captures, and reads
	// ahead of what a pipe holds.
	z, err := zstd.NewReader(from, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(maxWindow))
	if err != nil {
		return err
	}
	defer z.Close()
	err = to.readFrom(z)
	if errors.Is(err, zstd.ErrWindowSizeExceeded) {
		return fmt.Errorf("%w (zstd --long=27 at most; use: zstd -dc --long=31 FILE | tcplife analyze -)", errWindow)
	}
	return err
}
