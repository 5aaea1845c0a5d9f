package wire

import "encoding/binary"

// LinkLinuxSLL2 is version 2 of Linux's "cooked" capture, which also names the
// interface.
const LinkLinuxSLL2 LinkType = 276

const sll2Header = 20

var _ = register(LinkLinuxSLL2, "LINUX_SLL2", sll2Header, func(b []byte) (proto, int) {
	return cooked(binary.BigEndian.Uint16(b), binary.BigEndian.Uint16(b[8:])), sll2Header
})
