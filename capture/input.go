package capture

import (
	"io"
	"os"
	"sync/atomic"
)

// bufferSize is what one read asks for. From 128 KiB on the call itself no longer counts,
// and up to 256 KiB the octets are still in the second-level cache when the frames are
// decoded, and the buffer when the next ones come: with 1 MiB long transfers took a tenth
// longer. A larger record makes it grow. An input begins with less, until a read shows
// that there is more: a thousand small files must not cost half a gigabyte to clear.
const (
	bufferSize  = 256 << 10
	bufferStart = 32 << 10
)

// input is a bulk buffer over a reader. Frames are slices of the buffer: an octet
// is copied once, by the read itself, and no frame costs an allocation.
//
// It never waits for more octets than it is asked for, and grows only when it is
// full of octets that really came, whatever a header claims.
type input struct {
	name string
	// packing names what the octets were unpacked from, the outermost first.
	packing []string
	// waits is set when the octets come as they are made: nothing may be held back
	// for the sake of what has not come yet.
	waits bool
	// file is what the octets come from in the end, and how long it was when it was
	// opened; nil where the length says nothing.
	file *openedFile
	src  io.Reader
	// own is closed by Close; nil when the reader belongs to someone else.
	own io.Closer
	// buf[r:w] is read and not yet consumed; buf[0] stands at offset base.
	buf  []byte
	r, w int
	base int64
	// full is set when the last read filled the buffer; limit is then what it grows
	// to.
	full  bool
	limit int
	// err is why src yields no more; io.EOF at the end.
	err    error
	closed atomic.Bool
}

func newInput(src io.Reader, own io.Closer, name string) *input {
	return &input{name: name, src: src, own: own, buf: make([]byte, bufferStart), limit: bufferSize}
}

// rest returns the octets that are read and not consumed.
func (in *input) rest() []byte { return in.buf[in.r:in.w] }

// offset is the number of octets consumed.
func (in *input) offset() int64 { return in.base + int64(in.r) }

// end is the number of octets read.
func (in *input) end() int64 { return in.base + int64(in.w) }

// need makes at least n octets available in rest and reports whether it could.
// n must be bounded by the caller. Slices of the buffer from before are invalid
// afterwards.
func (in *input) need(n int) bool { return in.w-in.r >= n || in.fill(n) }

func (in *input) fill(n int) bool {
	if in.full && len(in.buf) < in.limit {
		in.move(in.limit)
	} else if in.r > 0 {
		// What is left is part of one record, and moves once at most while the
		// rest of that record trickles in.
		in.move(len(in.buf))
	}
	for idle := 0; in.w < n && in.err == nil; {
		if in.w == len(in.buf) {
			in.move(max(in.limit, min(2*len(in.buf), n)))
		}
		k, err := in.src.Read(in.buf[in.w:])
		in.w += k
		in.full = in.w == len(in.buf)
		in.err = err
		if k > 0 {
			idle = 0
		} else if idle++; idle == 100 && err == nil {
			in.err = io.ErrNoProgress
		}
	}
	return in.w >= n
}

// move brings what is not consumed to the front of a buffer of size octets.
func (in *input) move(size int) {
	to := in.buf
	if size != len(to) {
		to = make([]byte, size)
	}
	copy(to, in.buf[in.r:in.w])
	in.buf = to
	in.base += int64(in.r)
	in.w -= in.r
	in.r = 0
}

// skip consumes n octets without keeping them and reports whether they were there.
func (in *input) skip(n int64) bool {
	for n > int64(in.w-in.r) {
		n -= int64(in.w - in.r)
		in.r = in.w
		if !in.fill(1) {
			return false
		}
	}
	in.r += int(n)
	return true
}

// Read makes the input the source of an unpacker, which takes what was looked at
// and then reads past the buffer.
func (in *input) Read(b []byte) (int, error) {
	if in.r < in.w {
		n := copy(b, in.rest())
		in.r += n
		return n, nil
	}
	if in.err != nil {
		return 0, in.err
	}
	in.base += int64(in.r)
	in.buf, in.r, in.w = nil, 0, 0
	n, err := in.src.Read(b)
	in.base += int64(n)
	in.err = err
	return n, err
}

// Close may be called from any goroutine, any number of times.
func (in *input) Close() error {
	if in.closed.Swap(true) || in.own == nil {
		return nil
	}
	return in.own.Close()
}

// patient makes a Read that waits stop waiting on Close, whatever the reader
// beneath: standard input and a caller's io.Reader offer no way to do so. The
// Read itself runs in a goroutine, and is abandoned.
type patient struct {
	r    io.Reader
	ask  chan []byte
	got  chan readResult
	done chan struct{}
}

type readResult struct {
	n   int
	err error
}

func newPatient(r io.Reader) *patient {
	p := &patient{
		r:   r,
		ask: make(chan []byte),
		// One place, so that an abandoned Read that returns late can leave.
		got:  make(chan readResult, 1),
		done: make(chan struct{}),
	}
	go p.run()
	return p
}

func (p *patient) run() {
	for {
		select {
		case b := <-p.ask:
			n, err := p.r.Read(b)
			p.got <- readResult{n, err}
			if err != nil {
				return
			}
		case <-p.done:
			return
		}
	}
}

// Read must not be called again after an error, like the input that calls it.
func (p *patient) Read(b []byte) (int, error) {
	select {
	case p.ask <- b:
	case <-p.done:
		return 0, os.ErrClosed
	}
	select {
	case res := <-p.got:
		return res.n, res.err
	case <-p.done:
		return 0, os.ErrClosed
	}
}

// Close must be called once; input sees to that.
func (p *patient) Close() error {
	close(p.done)
	return nil
}
