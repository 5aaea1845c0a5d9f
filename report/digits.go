package report

import (
	"encoding/binary"
	"math/bits"
	"time"
)

// Most of what a report in JSON consists of is numbers. Their digits are made eight at a
// time in one word, the first in its lowest octet: a division, a branch and a copy for
// each digit would be half of an object's cost.

// zeros are eight digits 0.
const zeros = 0x3030303030303030

// eightDigits returns the digits of n, which is below 10^8, with leading zeros. It cuts
// the number into two of four digits, these into four of two, and these into digits; the
// factors are reciprocals, exact for numbers of that length.
func eightDigits(n uint32) uint64 {
	high := uint64(n / 10000)
	x := high | (uint64(n)-high*10000)<<32
	t := x * 10486 >> 20 & 0x7f_0000007f
	x = t | (x-t*100)<<16
	t = x * 103 >> 10 & 0x000f000f000f000f
	return (t | (x-t*10)<<8) + zeros
}

// twoDigits returns the digits of n, which is below 100.
func twoDigits(n uint32) uint16 {
	tens := n * 103 >> 10
	return uint16(tens|(n-tens*10)<<8) + 0x3030
}

// appendUint appends n in decimal.
func appendUint(b []byte, n uint64) []byte {
	if n < 10 { // half of all numbers: small enough to stand where it is called
		return append(b, '0'+byte(n))
	}
	return appendMore(b, n)
}

func appendMore(b []byte, n uint64) []byte {
	switch {
	case n < 100:
		return binary.LittleEndian.AppendUint16(b, twoDigits(uint32(n)))
	case n < 1e8:
		x := eightDigits(uint32(n))
		leading := bits.TrailingZeros64(x-zeros) / 8
		b = binary.LittleEndian.AppendUint64(b, x>>(leading*8))
		return b[:len(b)-leading]
	}
	b = appendUint(b, n/1e8)
	return binary.LittleEndian.AppendUint64(b, eightDigits(uint32(n%1e8)))
}

// appendSeconds appends d in seconds as an exact decimal: a float would lose the
// nanoseconds of long spans.
func appendSeconds(b []byte, d time.Duration) []byte {
	u := uint64(d)
	if d < 0 {
		b = append(b, '-')
		u = -u
	}
	whole := u / 1e9
	b = appendUint(b, whole)
	frac := uint32(u - whole*1e9)
	if frac == 0 {
		return b
	}
	first := frac / 1e8
	b = append(b, '.', '0'+byte(first))
	x := eightDigits(frac - first*1e8)
	b = binary.LittleEndian.AppendUint64(b, x)
	return b[:len(b)-bits.LeadingZeros64(x-zeros)/8]
}
