package capture

import (
	"bufio"
	"compress/bzip2"
)

var _ = registerPacking(packing{
	name: "bzip2",
	// The fourth octet is the block size in 100 kB; a block begins with pi.
	match: func(head []byte) bool {
		return len(head) >= 7 && string(head[:3]) == "BZh" && '1' <= head[3] && head[3] <= '9' && string(head[4:7]) == "1AY"
	},
	unpack: func(to *ahead, from *bufio.Reader) error { return to.readFrom(bzip2.NewReader(from)) },
})
