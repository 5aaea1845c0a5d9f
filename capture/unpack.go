package capture

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
)

// packing is a compression that captures are kept in, known by its first octets. A
// new one is one file that registers it.
type packing struct {
	// name is its entry in Info.Packing.
	name string
	// match is that of a container.
	match func(head []byte) bool
	// unpack writes what is packed in from to to, until from ends. It may panic:
	// what comes from hostile input inside a library is an error like any other.
	unpack func(to *ahead, from *bufio.Reader) error
}

var packings []packing

// registerPacking is called from package variables, and asks for the same as
// registerContainer.
func registerPacking(p packing) struct{} {
	packings = append(packings, p)
	return struct{}{}
}

// maxPackings is how often a capture may be compressed. People compress twice by
// accident; an input that unpacks to itself for ever is made by hand.
const maxPackings = 4

// errWindow is wrapped when an input asks for more memory than it may have.
var errWindow = errors.New("unpacking it takes more memory than tcplife gives to one input")

// maxWindow is how much of what is unpacked an input may make the unpacker keep:
// that of zstd --long=27, which zstd itself needs no flag to unpack, and twice that
// of xz -9.
const maxWindow = 128 << 20

// packError says why unpacking ended before the end.
type packError struct {
	packing string
	err     error
}

// Error returns "the gzip data is damaged: invalid checksum".
func (e *packError) Error() string {
	if errors.Is(e.err, io.ErrUnexpectedEOF) {
		return fmt.Sprintf("the %s data is cut off", e.packing)
	}
	if errors.Is(e.err, errWindow) {
		return fmt.Sprintf("the %s data cannot be unpacked: %v", e.packing, e.err)
	}
	return fmt.Sprintf("the %s data is damaged: %s", e.packing, strings.TrimPrefix(e.err.Error(), e.packing+": "))
}

// Unwrap returns the cause.
func (e *packError) Unwrap() error { return e.err }

// packedIn says in words what the octets at a place of damage were unpacked from.
func packedIn(packing []string) string {
	return strings.Join(packing, " and ")
}

// openPacked opens the capture that is packed in in. Unpacking runs beside the
// analysis, each packing in its own goroutine: on two cores the slower of both sets
// the pace, which is nearly always the unpacking.
func openPacked(p *packing, in *input) (Source, error) {
	if len(in.packing) == maxPackings {
		in.Close()
		return nil, fmt.Errorf("open %s: compressed more than %d times over (%s ...): unpack it first", in.name, maxPackings, packedIn(in.packing))
	}
	a := newAhead(in)
	go a.run(p, in)
	inside := newInput(a, a, in.name)
	inside.waits, inside.file = in.waits, in.file
	inside.packing = append(in.packing[:len(in.packing):len(in.packing)], p.name)
	return newSource(inside)
}

const (
	// aheadMax is how far unpacking may run ahead: as much as one read asks for.
	// It begins with little, for the sake of many small files.
	aheadMax   = bufferSize
	aheadStart = 32 << 10
	// packedBuffer is what an unpacker reads at once.
	packedBuffer = 32 << 10
)

// ahead is a ring of octets between an unpacker, which fills it in a goroutine of
// its own, and the source that reads it. What is in the ring can be read at once:
// neither side waits for more than one octet, or for the room of one.
type ahead struct {
	mu         sync.Mutex
	more, room sync.Cond
	// buf holds n octets, from place r on, around its end.
	buf    []byte
	r, n   int
	closed bool
	// err is why nothing follows; io.EOF at the end.
	err    error
	packed io.Closer
}

func newAhead(packed io.Closer) *ahead {
	a := &ahead{buf: make([]byte, aheadStart), packed: packed}
	a.more.L, a.room.L = &a.mu, &a.mu
	return a
}

// run unpacks until the end, damage or Close.
func (a *ahead) run(p *packing, in *input) {
	err := a.unpack(p, in)
	switch {
	case err == nil:
		err = io.EOF
	case in.err != nil && in.err != io.EOF:
		// Not what was read is wrong, but the reading; or a packing around this one.
		err = in.err
	case err == io.EOF:
		err = &packError{p.name, io.ErrUnexpectedEOF}
	default:
		err = &packError{p.name, err}
	}
	a.mu.Lock()
	a.err = err
	a.mu.Unlock()
	a.more.Signal()
}

func (a *ahead) unpack(p *packing, in *input) (err error) {
	// The libraries are fuzzed, but a panic here would take a whole analysis, and
	// in a goroutine nobody else can catch it.
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("the unpacker failed: %v", v)
		}
	}()
	return p.unpack(a, bufio.NewReaderSize(in, packedBuffer))
}

// fill returns a place for octets to be unpacked to. It waits for room.
func (a *ahead) fill() ([]byte, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for a.n == len(a.buf) && !a.closed {
		if len(a.buf) < aheadMax {
			a.grow()
		} else {
			a.room.Wait()
		}
	}
	if a.closed {
		return nil, os.ErrClosed
	}
	if w := a.r + a.n; w < len(a.buf) {
		return a.buf[w:], nil
	} else {
		return a.buf[w-len(a.buf) : a.r], nil
	}
}

// grow makes the full ring as large as it gets.
func (a *ahead) grow() {
	to := make([]byte, aheadMax)
	copy(to[copy(to, a.buf[a.r:]):], a.buf[:a.r])
	a.buf, a.r = to, 0
}

// filled hands over n octets at the place that fill returned.
func (a *ahead) filled(n int) {
	a.mu.Lock()
	a.n += n
	a.mu.Unlock()
	a.more.Signal()
}

// readFrom fills the ring from r, and returns nil at its end.
func (a *ahead) readFrom(r io.Reader) error {
	for idle := 0; ; {
		b, err := a.fill()
		if err != nil {
			return err
		}
		n, err := r.Read(b)
		a.filled(n)
		switch {
		case err == io.EOF:
			return nil
		case err != nil:
			return err
		case n > 0:
			idle = 0
		default:
			if idle++; idle == 100 {
				return io.ErrNoProgress
			}
		}
	}
}

// Write fills the ring with b.
func (a *ahead) Write(b []byte) (int, error) {
	for done := 0; done < len(b); {
		to, err := a.fill()
		if err != nil {
			return done, err
		}
		n := copy(to, b[done:])
		a.filled(n)
		done += n
	}
	return len(b), nil
}

// Read returns what there is, and waits when there is nothing.
func (a *ahead) Read(b []byte) (int, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for a.n == 0 && a.err == nil && !a.closed {
		a.more.Wait()
	}
	if a.closed {
		return 0, os.ErrClosed
	}
	if a.n == 0 {
		return 0, a.err
	}
	n := copy(b, a.buf[a.r:min(a.r+a.n, len(a.buf))])
	if a.r += n; a.r == len(a.buf) {
		a.r = 0
	}
	a.n -= n
	a.room.Signal()
	return n, nil
}

// Close ends both sides, and closes what is unpacked. The unpacker ends with its
// next octet; it waits for nothing that Close does not set free.
func (a *ahead) Close() error {
	a.mu.Lock()
	a.closed = true
	a.mu.Unlock()
	a.more.Broadcast()
	a.room.Broadcast()
	return a.packed.Close()
}
