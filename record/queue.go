package record

import (
	"sync"
	"time"

	"github.com/tcplife/tcplife/capture"
	"github.com/tcplife/tcplife/wire"
)

// Sink is what a Queue hands frames to; a Rotation is one.
type Sink interface {
	Write(f *wire.Frame) error
	// Skip is told of n frames that are not written, of the interface that f came by.
	Skip(f *wire.Frame, n uint64)
	// Flush writes what is held back.
	Flush() error
	End() error
}

// Queue has frames written on a goroutine of its own, so that a disk that stands still
// for a while costs none: copies wait for it, up to a bound. Beyond that frames are left
// out and counted, or, if Waits, the giver is held up.
type Queue struct {
	To Sink
	// Waits is for frames that wait themselves, as those of a file do: none is left out.
	Waits bool
	// Room is how many octets of frames may wait; 0 stands for DefaultRoom.
	Room int
	// Losses, if set, is what the source lost itself; it is called by Write and End, and
	// handed on to Skip.
	Losses func() capture.Losses
	// Left is called when the first frame was left out, Failed with the error after which
	// nothing more is written: once each at most, Failed on another goroutine than Write.
	Left   func()
	Failed func(error)

	came, room chan struct{}
	done       chan struct{}
	told       bool
	dropped    uint64 // by the source, as it said last
	first      wire.Frame

	mu     sync.Mutex
	full   []*block
	free   []*block
	at     *block
	left   uint64
	over   bool
	failed error
	after  uint64 // frames that came after the error
}

// DefaultRoom is what a disk may stand still for: a second at a rate that fills a link of
// 500 Mbit/s with headers, minutes at what most hosts have.
const DefaultRoom = 64 << 20

const (
	// blockRoom is how many octets are handed over at once; frameCost is what a frame takes
	// beside its own.
	blockRoom = 1 << 20
	frameCost = 80
	// queueLook is how often the goroutine looks whether a block has begun to fill: a
	// wake-up for each frame would cost more than the writing.
	queueLook = 100 * time.Millisecond
	// sparesKept is how many empty blocks are kept: what nothing waits in any more goes
	// back.
	sparesKept = 4
)

// block is frames that wait, and those left out before them.
type block struct {
	skipped []skipped
	frames  []wire.Frame
	from    []int // where each one's octets begin
	octets  []byte
}

// skipped counts frames of one interface that were left out.
type skipped struct {
	of wire.Frame // its ID and link type
	n  uint64
}

func (b *block) full() bool { return len(b.octets)+frameCost*len(b.frames) >= blockRoom }

func (b *block) add(f *wire.Frame) {
	b.from = append(b.from, len(b.octets))
	b.octets = append(b.octets, f.Data...)
	x := *f
	x.Data = nil
	b.frames = append(b.frames, x)
}

func (b *block) skip(f *wire.Frame, n uint64) {
	for i := range b.skipped {
		if o := &b.skipped[i]; o.of.ID.Input() == f.ID.Input() && o.of.Link == f.Link {
			o.n += n
			return
		}
	}
	b.skipped = append(b.skipped, skipped{wire.Frame{ID: f.ID, Link: f.Link, At: f.At}, n})
}

func (b *block) reset() {
	b.skipped, b.frames, b.from, b.octets = b.skipped[:0], b.frames[:0], b.from[:0], b.octets[:0]
}

// Begin starts the goroutine that writes.
func (q *Queue) Begin() {
	if q.Room == 0 {
		q.Room = DefaultRoom
	}
	q.came, q.room, q.done = make(chan struct{}, 1), make(chan struct{}, 1), make(chan struct{})
	q.at = &block{}
	go q.run()
}

// Write takes a frame. It is called on one goroutine, as End is.
func (q *Queue) Write(f *wire.Frame) {
	if q.dropped == 0 && q.first.ID == 0 {
		q.first = wire.Frame{ID: f.ID, Link: f.Link, At: f.At}
	}
	q.mu.Lock()
	for q.at.full() && q.failed == nil {
		if len(q.full) < max(q.Room/blockRoom-1, 1) {
			q.lost()
			q.full = append(q.full, q.at)
			q.at = q.spare()
			token(q.came)
			break
		}
		if !q.Waits {
			q.at.skip(f, 1)
			q.left++
			tell := !q.told
			q.told = true
			q.mu.Unlock()
			if tell {
				q.Left()
			}
			return
		}
		q.mu.Unlock()
		<-q.room
		q.mu.Lock()
	}
	if q.failed != nil {
		q.after++
	} else {
		q.at.add(f)
	}
	q.mu.Unlock()
}

// lost notes what the source has lost since it was asked last, with its first input: no
// source tells more. It is called with mu held.
func (q *Queue) lost() {
	if q.Losses == nil || q.first.ID == 0 {
		return
	}
	if l := q.Losses(); l.Dropped > q.dropped {
		q.at.skip(&q.first, l.Dropped-q.dropped)
		q.dropped = l.Dropped
	}
}

func (q *Queue) spare() *block {
	if n := len(q.free); n > 0 {
		b := q.free[n-1]
		q.free = q.free[:n-1]
		return b
	}
	return &block{}
}

// End waits until everything is written. left is how many frames were left out for want
// of room, after how many came when nothing could be written any more because of err.
func (q *Queue) End() (left, after uint64, err error) {
	q.mu.Lock()
	q.lost()
	q.over = true
	q.mu.Unlock()
	token(q.came)
	<-q.done
	return q.left, q.after, q.failed
}

func token(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

func (q *Queue) run() {
	defer close(q.done)
	look := time.NewTicker(queueLook)
	defer look.Stop()
	dirty := false
	for {
		b, over := q.take()
		if b == nil {
			if over {
				q.fail(q.To.End())
				return
			}
			if dirty {
				q.fail(q.To.Flush()) // somebody may be following the file
				dirty = false
			}
			select {
			case <-q.came:
			case <-look.C:
			}
			continue
		}
		if q.write(b) {
			dirty = true
		}
		b.reset()
		q.mu.Lock()
		if len(q.free) < sparesKept {
			q.free = append(q.free, b)
		}
		q.mu.Unlock()
		token(q.room)
	}
}

// take returns the next block, nil if nothing waits; over says that nothing will come.
func (q *Queue) take() (b *block, over bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	switch {
	case len(q.full) > 0:
		b = q.full[0]
		q.full = append(q.full[:0], q.full[1:]...)
	case len(q.at.frames) > 0 || len(q.at.skipped) > 0:
		b, q.at = q.at, q.spare()
	}
	return b, q.over
}

// write writes a block, and reports whether it could. What was left out is told behind
// the frames: there was no room once they were there.
func (q *Queue) write(b *block) bool {
	for i := range b.frames {
		if q.broken() {
			q.mu.Lock()
			q.after += uint64(len(b.frames) - i)
			q.mu.Unlock()
			return false
		}
		f := &b.frames[i]
		to := len(b.octets)
		if i+1 < len(b.from) {
			to = b.from[i+1]
		}
		f.Data = b.octets[b.from[i]:to:to]
		q.fail(q.To.Write(f))
	}
	if q.broken() {
		return false
	}
	for i := range b.skipped {
		q.To.Skip(&b.skipped[i].of, b.skipped[i].n)
	}
	return true
}

// broken reports whether writing has failed; only this goroutine changes that.
func (q *Queue) broken() bool { return q.failed != nil }

func (q *Queue) fail(err error) {
	if err == nil || q.failed != nil {
		return
	}
	q.mu.Lock()
	q.failed = err
	q.mu.Unlock()
	token(q.room)
	q.Failed(err)
}
