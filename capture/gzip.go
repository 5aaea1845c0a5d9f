package capture

import (
	"bufio"
	"errors"
	"io"

	"github.com/klauspost/compress/gzip"
)

var _ = registerPacking(packing{
	name: "gzip",
	// RFC 1952 section 2.3.1: two octets of magic, and the one method there is.
	match:  func(head []byte) bool { return len(head) >= 3 && string(head[:3]) == "\x1f\x8b\x08" },
	unpack: gunzip,
})

// gunzip unpacks one member after the other (RFC 1952 section 2.2). Behind the last
// one zeros may follow, as gzip itself allows: tapes and some devices fill up their
// blocks.
func gunzip(to *ahead, from *bufio.Reader) error {
	z, err := gzip.NewReader(from)
	for {
		if err != nil {
			return err
		}
		z.Multistream(false)
		if err := to.readFrom(z); err != nil {
			return err
		}
		if err := skipZeros(from); err == io.EOF {
			return nil
		} else if err != nil {
			return err
		}
		if b, _ := from.Peek(2); string(b) != "\x1f\x8b" {
			return errors.New("what follows its end is not gzip")
		}
		err = z.Reset(from)
	}
}

// skipZeros reads up to the next octet that is not zero, or the end.
func skipZeros(r *bufio.Reader) error {
	for {
		b, err := r.Peek(1)
		if err != nil {
			return err
		}
		if b[0] != 0 {
			return nil
		}
		r.Discard(1)
	}
}
