package capture

import (
	"errors"
	"fmt"
	"io"
)

// container is a format that frames are kept in, known by its first octets. A new
// one is one file that registers it.
type container struct {
	// name is Info.Format.
	name string
	// match reports whether an input that begins with head is of this format. head
	// holds the first headLen octets, fewer when the input is shorter.
	match func(head []byte) bool
	// open reads the header and returns the source. It takes over in, and closes
	// it when it fails.
	open func(in *input) (Source, error)
}

// headLen is how many octets containers and packings are told apart by. Each of
// them has more, so waiting for them never holds back a frame.
const headLen = 8

var containers []container

// registerContainer is called from package variables. No two containers may match
// the same octets: files initialise in any order.
func registerContainer(c container) struct{} {
	containers = append(containers, c)
	return struct{}{}
}

// newSource looks at the first octets of in and opens the container they name,
// unpacking it if they name a packing.
func newSource(in *input) (Source, error) {
	if !in.need(headLen) && in.err != io.EOF {
		defer in.Close()
		return nil, unreadable(in)
	}
	head := in.rest()
	for _, c := range containers {
		if c.match(head) {
			return c.open(in)
		}
	}
	for i := range packings {
		if p := &packings[i]; p.match(head) {
			return openPacked(p, in)
		}
	}
	defer in.Close()
	if len(head) < shortest {
		e := &DamageError{
			Name: in.name, Frame: 1, Packing: packedIn(in.packing), What: "the input is empty", Err: io.ErrUnexpectedEOF,
			Remedy: "see whether the capturing program wrote anything: it may lack rights or traffic",
		}
		if len(head) > 0 {
			e.What = fmt.Sprintf("the input ends after %d octets, inside the file header", len(head))
		}
		return nil, e
	}
	// A foreign format may need more octets to be named than one of ours. On a pipe
	// only a few are waited for: the user waits too.
	if in.waits {
		in.need(64)
	} else {
		in.need(foreignHead)
	}
	head = in.rest()
	what, remedy := nameForeign(head[:min(len(head), foreignHead)])
	if len(in.packing) > 0 {
		what = packedIn(in.packing) + " around " + what
	}
	return nil, &FormatError{in.name, what, remedy}
}

// FormatError says that an input is no capture of a format that can be read.
type FormatError struct {
	// Name is the input, What it is instead: "text".
	Name, What string
	// Remedy says what can be done.
	Remedy string
}

// Error returns "open a.txt: not a capture that tcplife reads, but text (...)".
func (e *FormatError) Error() string {
	return fmt.Sprintf("open %s: not a capture that tcplife reads, but %s (%s)", e.Name, e.What, e.Remedy)
}

// shortest is the number of octets below which an input is no file of any format,
// but what is left of one.
const shortest = 4

// unreadable returns why in yields no octets from the start.
func unreadable(in *input) error {
	var packed *packError
	if !errors.As(in.err, &packed) {
		return fmt.Errorf("read %s: %w", in.name, in.err)
	}
	if errors.Is(packed, errWindow) {
		return fmt.Errorf("open %s: %w", in.name, packed)
	}
	return &DamageError{Name: in.name, Frame: 1, Packing: packedIn(in.packing), What: packed.Error(), Remedy: copyAgain, Err: packed.err}
}
