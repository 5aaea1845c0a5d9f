package capture

import (
	"errors"
	"io"
	"os"
	"sync"
	"time"

	"github.com/tcplife/tcplife/wire"
)

// Patiently makes any source a live one: src itself if it is one, else one that reads it
// in a goroutine. That one runs ahead by some frames, which are copied; it ends when src
// does, or is closed.
func Patiently(src Source) Live {
	if l, ok := src.(Live); ok {
		return l
	}
	p := &patiently{Source: src, came: make(chan struct{}, 1), room: make(chan struct{}, 1), done: make(chan struct{})}
	p.infos = Infos(src)
	go p.run()
	return p
}

// mostAhead is how many octets of frames, and mostWaiting how many frames, a source is
// read ahead: what a flush takes at a rate that needs no other source.
const (
	mostAhead   = 1 << 20
	mostWaiting = 4096
)

// patiently is a source that is read in a goroutine. Frames go from one list to the
// other, when the reader has used up its own.
type patiently struct {
	Source
	// came has a token when there may be something in filled, room when there may be room
	// again; done is closed by Close.
	came, room chan struct{}
	done       chan struct{}
	closing    sync.Once

	mu     sync.Mutex
	filled waiting
	// infos is what the source said of itself last; asked: it is to be asked again.
	infos []Info
	asked bool

	// taken is the reader's own.
	taken waiting
	at    int
}

// waiting is a list of frames, and then what came in place of the next one.
type waiting struct {
	frames []wire.Frame
	from   []int // where each one's octets begin
	octets []byte
	err    error
}

func (w *waiting) full() bool { return len(w.frames) >= mostWaiting || len(w.octets) >= mostAhead }

func (p *patiently) run() {
	var f wire.Frame
	for {
		err := p.Source.Next(&f)
		p.mu.Lock()
		if err == nil {
			w := &p.filled
			w.from = append(w.from, len(w.octets))
			w.octets = append(w.octets, f.Data...)
			f.Data = nil
			w.frames = append(w.frames, f)
		} else {
			p.filled.err = err
		}
		if p.asked || err != nil {
			p.infos, p.asked = Infos(p.Source), false
		}
		wait := p.filled.full() || err != nil
		p.mu.Unlock()
		token(p.came)
		if err != nil && !goesOn(err) {
			return
		}
		for wait {
			select {
			case <-p.room:
			case <-p.done:
				return
			}
			p.mu.Lock()
			wait = p.filled.full() || p.filled.err != nil
			p.mu.Unlock()
		}
	}
}

// goesOn reports whether a source goes on behind an error.
func goesOn(err error) bool {
	var damage *DamageError
	var gap *Gap
	return errors.As(err, &damage) || errors.As(err, &gap)
}

func token(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// take exchanges the lists.
func (p *patiently) take() {
	p.mu.Lock()
	w := p.taken
	w.frames, w.from, w.octets, w.err = w.frames[:0], w.from[:0], w.octets[:0], nil
	end := p.taken.err
	p.taken, p.filled = p.filled, w
	if p.taken.err == nil && end != nil {
		if !goesOn(end) {
			p.taken.err = end // there is nothing behind it
		}
	}
	p.mu.Unlock()
	p.at = 0
	token(p.room)
}

// Next waits for a frame.
func (p *patiently) Next(f *wire.Frame) error {
	for {
		if err := p.NextWithin(f, time.Minute); err != ErrNoFrame {
			return err
		}
	}
}

// NextWithin waits for a frame no longer than it is told.
func (p *patiently) NextWithin(f *wire.Frame, d time.Duration) error {
	for round := 0; ; round++ {
		if p.at < len(p.taken.frames) {
			*f = p.taken.frames[p.at]
			from, to := p.taken.from[p.at], len(p.taken.octets)
			if p.at++; p.at < len(p.taken.frames) {
				to = p.taken.from[p.at]
			}
			f.Data = p.taken.octets[from:to:to]
			return nil
		}
		if err := p.taken.err; err != nil {
			if goesOn(err) {
				p.taken.err = nil
			}
			return err
		}
		p.take()
		if len(p.taken.frames) > 0 || p.taken.err != nil {
			continue
		}
		select {
		case <-p.done:
			return os.ErrClosed
		default:
		}
		if d <= 0 || round > 0 {
			return ErrNoFrame
		}
		timer := time.NewTimer(d)
		select {
		case <-p.came:
			round-- // the token may be of frames that were taken already
			timer.Stop()
		case <-p.done:
			timer.Stop()
		case <-timer.C:
		}
	}
}

// Infos returns what the source said of itself when it had its last frame, or the one
// before: it must not be asked while it waits.
func (p *patiently) Infos() []Info {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.asked = true
	return append([]Info(nil), p.infos...)
}

// Info is that of the source as Infos knows it.
func (p *patiently) Info() Info {
	infos := p.Infos()
	if len(infos) == 1 {
		return infos[0]
	}
	sum := Info{}
	for _, i := range infos {
		sum.Frames += i.Frames
		sum.Bytes += i.Bytes
	}
	return sum
}

// Close closes the source, which sets its reader free.
func (p *patiently) Close() error {
	p.closing.Do(func() { close(p.done) })
	return p.Source.Close()
}

// Lazily returns a source that is opened when it is read: opening may take as long as
// somebody else pleases, as that of a pipe does. What Open would have said, Next does.
func Lazily(name string, open func() (Source, error)) Source {
	return &lazily{name: name, open: open}
}

type lazily struct {
	name string
	open func() (Source, error)
	err  error

	mu     sync.Mutex
	src    Source // nil until it is open
	closed bool
	damage *DamageError
}

func (l *lazily) Next(f *wire.Frame) error {
	l.mu.Lock()
	src := l.src
	l.mu.Unlock()
	if src != nil {
		return src.Next(f)
	}
	if l.err != nil {
		return l.err
	}
	src, err := l.open()
	l.mu.Lock()
	if err == nil && l.closed {
		src.Close()
		err = os.ErrClosed
	}
	if err != nil {
		l.err = err
		var damage *DamageError
		if errors.As(err, &damage) {
			l.damage, l.err = damage, io.EOF // nothing is behind a damaged header
		}
		l.mu.Unlock()
		return err
	}
	l.src = src
	l.mu.Unlock()
	return src.Next(f)
}

// Info is that of the source, once there is one.
func (l *lazily) Info() Info { return l.Infos()[0] }

// Infos are those of the source, once there is one.
func (l *lazily) Infos() []Info {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.src == nil {
		info := Info{Name: l.name}
		if l.damage != nil {
			info.Damage, info.Damaged = []*DamageError{l.damage}, 1
		}
		return []Info{info}
	}
	return Infos(l.src)
}

func (l *lazily) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = true
	if l.src == nil {
		return nil
	}
	return l.src.Close()
}
