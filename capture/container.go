package capture

import (
	"fmt"
	"io"
)

// container is a format that frames are packed in, known by its first octets. A
// new one (compression is one too: its source reads the container inside) is one
// file that registers it.
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

// headLen is how many octets containers are told apart by. Every container known
// is longer, so waiting for them never holds back a frame.
const headLen = 4

var containers []container

// registerContainer is called from package variables. No two containers may match
// the same octets: files initialise in any order.
func registerContainer(c container) struct{} {
	containers = append(containers, c)
	return struct{}{}
}

// newSource looks at the first octets of in and opens the container they name.
func newSource(in *input) (Source, error) {
	if !in.need(headLen) && in.err != io.EOF {
		err := fmt.Errorf("read %s: %w", in.name, in.err)
		in.Close()
		return nil, err
	}
	head := in.rest()
	for _, c := range containers {
		if c.match(head) {
			return c.open(in)
		}
	}
	defer in.Close()
	if len(head) < headLen {
		e := &DamageError{
			Name: in.name, Frame: 1, What: "the input is empty", Err: io.ErrUnexpectedEOF,
			Remedy: "see whether the capturing program wrote anything: it may lack rights or traffic",
		}
		if len(head) > 0 {
			e.What = fmt.Sprintf("the input ends after %d octets, inside the file header", len(head))
		}
		return nil, e
	}
	// A foreign format may need more octets to be named than one of ours; the
	// input cannot be followed anyhow, so waiting for them costs nothing.
	in.need(foreignHead)
	head = in.rest()
	what, remedy := nameForeign(head[:min(len(head), foreignHead)])
	return nil, fmt.Errorf("open %s: neither pcap nor pcapng, but %s (%s)", in.name, what, remedy)
}
