package capture

import (
	"bufio"
	"encoding/binary"

	"github.com/pierrec/lz4/v4"
)

var _ = registerPacking(packing{
	name: "lz4",
	// The magic numbers of the frame format and of its legacy form.
	match: func(head []byte) bool {
		if len(head) < 4 {
			return false
		}
		magic := binary.LittleEndian.Uint32(head)
		return magic == 0x184d2204 || magic == 0x184c2102
	},
	unpack: func(to *ahead, from *bufio.Reader) error {
		// Its Read fills what it is given whatever it takes, while WriteTo writes
		// each block when it is complete, as a pipe demands.
		_, err := lz4.NewReader(from).WriteTo(to)
		return err
	},
})
