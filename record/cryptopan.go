package record

import (
	"crypto/aes"
	"crypto/cipher"
	"encoding/binary"
)

// KeySize is the length of a key for anonymising, in octets.
const KeySize = 32

// cryptopan maps addresses to others so that two with the first n bits in common have
// images with the first n bits in common, and no more (Xu, Fan, Ammar, Moon:
// "Prefix-Preserving IP Address Anonymization", ICNP 2002). IPv6 is the same with more
// bits. It is one to one: no two addresses become one.
type cryptopan struct {
	block cipher.Block
	pad   [aes.BlockSize]byte
}

// newCryptopan takes the key as the authors' own program does: half of it for AES, the
// other half for the padding.
func newCryptopan(key [KeySize]byte) *cryptopan {
	c := &cryptopan{}
	c.block, _ = aes.NewCipher(key[:aes.BlockSize]) // errors are about the length
	c.block.Encrypt(c.pad[:], key[aes.BlockSize:])
	return c
}

// apply replaces the address in b, of 4 or 16 octets, by its image.
func (c *cryptopan) apply(b []byte) {
	var in, out, image [aes.BlockSize]byte
	in = c.pad
	for bit := range 8 * len(b) {
		// The first bits are the address's, all others the padding's.
		c.block.Encrypt(out[:], in[:])
		image[bit/8] |= out[0] >> 7 << (7 - bit%8)
		mask := byte(0x80) >> (bit % 8)
		in[bit/8] = in[bit/8]&^mask | b[bit/8]&mask
	}
	for i := range b {
		b[i] ^= image[i]
	}
}

// hardware maps the addresses of network cards. Group addresses stay such, so that a
// broadcast is one, and all others are marked as locally administered: no maker of cards
// can be taken for theirs.
type hardware struct{ block cipher.Block }

func newHardware(key [KeySize]byte) hardware {
	// A key of its own, so that neither mapping tells anything of the other.
	c, _ := aes.NewCipher(key[:])
	var own [KeySize]byte
	for i := range 2 {
		own[i*aes.BlockSize] = byte(i + 1)
		c.Encrypt(own[i*aes.BlockSize:], own[i*aes.BlockSize:])
	}
	block, _ := aes.NewCipher(own[:])
	return hardware{block}
}

func (h hardware) apply(b []byte) {
	switch binary.BigEndian.Uint16(b) {
	case 0, 0xffff: // none, and everybody
		if w := binary.BigEndian.Uint32(b[2:]); w == 0 || w == 0xffffffff {
			return
		}
	}
	var x [aes.BlockSize]byte
	copy(x[:], b[:6])
	h.block.Encrypt(x[:], x[:])
	group := b[0] & 1
	copy(b[:6], x[:])
	b[0] = b[0]&^3 | 2 | group
}
