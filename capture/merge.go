package capture

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"sync"
	"sync/atomic"

	"github.com/tcplife/tcplife/wire"
)

// fewOpen is how many inputs of a merge have full buffers at once. Rotated files
// overlap hardly at all; captures of many taps over one time may all be open, and a
// thousand full buffers would be a gigabyte.
const fewOpen = 32

// merged reads the inputs of a Set as one capture: of the next frames of all inputs
// it hands out the earliest, of equal ones that of the lower number. It never
// changes the order inside an input, whose time may go back. A frame is handed out
// where it lies in its input's buffer.
type merged struct {
	set *Set
	// next is the first member that was not opened yet.
	next int
	// heads is a heap of the open inputs, by their next frames. taken: some of the first
	// input's have been handed out, so that it may have to move, or be read on; their
	// octets must stay until the following call.
	heads []*head
	taken bool
	// entering was opened, and its first frame not yet read.
	entering *head
	infos    []Info // by member
	frames   uint64
	one      [1]wire.Frame // of Next

	closed atomic.Bool
	mu     sync.Mutex
	open   map[Source]struct{} // what Close closes
}

// headFrames is how many frames of an input are read at once: there may be thousands of
// inputs.
const headFrames = 32

// head is an open input and its next frames: those that were read and not handed out.
type head struct {
	number int
	src    Source
	runs   Runs // of src
	ahead  []wire.Frame
	room   [headFrames]wire.Frame
}

// read reads on, when all frames have been handed out.
func (h *head) read() error {
	n, err := h.runs.NextRun(h.room[:])
	h.ahead = h.room[:n]
	return err
}

// before orders heads.
func (h *head) before(g *head) bool { return h.earlier(h.ahead[0].At, g) }

// earlier reports whether a frame of h at that time comes before the next one of g.
func (h *head) earlier(at wire.Time, g *head) bool {
	return at < g.ahead[0].At || at == g.ahead[0].At && h.number < g.number
}

// Open returns a source of all inputs together. The identifiers of its frames name
// the inputs by their place in Names. A Set can be opened again only if all its
// inputs can; others are missing the second time.
func (s *Set) Open() Source {
	m := &merged{set: s, infos: make([]Info, len(s.members)), open: map[Source]struct{}{}}
	for i, x := range s.members {
		m.infos[i] = Info{Name: x.name}
		if x.info != nil {
			m.infos[i] = *x.info
		}
		if x.src != nil {
			m.open[x.src] = struct{}{}
		}
	}
	return m
}

// Next returns the earliest frame. Damage of an input is returned when it is met.
func (m *merged) Next(f *wire.Frame) error {
	if _, err := m.NextRun(m.one[:]); err != nil {
		return err
	}
	*f = m.one[0]
	return nil
}

// NextRun returns as many frames of one input as are the earliest, and were read.
func (m *merged) NextRun(run []wire.Frame) (int, error) {
	if m.closed.Load() {
		return 0, m.shut()
	}
	if m.taken {
		h := m.heads[0]
		var err error
		if len(h.ahead) == 0 {
			err = h.read()
		}
		switch err {
		case nil:
			m.down()
		case io.EOF:
			m.drop()
		default:
			return 0, err
		}
		m.taken = false
	}
	for m.entering != nil || m.enters(nil) {
		if err := m.enter(); err != nil {
			return 0, err
		}
	}
	if len(m.heads) == 0 {
		return 0, io.EOF
	}
	h := m.heads[0]
	n := min(len(h.ahead), len(run))
	for k := range n {
		f := &h.ahead[k]
		if k > 0 && !m.first(f) {
			n = k
			break
		}
		run[k] = *f
		run[k].ID += wire.NewFrameID(h.number, 0)
	}
	h.ahead = h.ahead[n:]
	m.taken = true
	m.infos[h.number].Frames += uint64(n)
	m.frames += uint64(n)
	return n, nil
}

// first reports whether a frame of the first input comes before those of all others.
func (m *merged) first(f *wire.Frame) bool {
	for _, g := range m.heads[1:min(len(m.heads), 3)] { // one of them is the next in the heap
		if !m.heads[0].earlier(f.At, g) {
			return false
		}
	}
	return !m.enters(f)
}

// enters reports whether the next member is to be opened before frame f of the first input
// is handed out; nil stands for its next one.
func (m *merged) enters(f *wire.Frame) bool {
	if m.next >= m.set.full {
		return false
	}
	if f == nil {
		if len(m.heads) == 0 {
			return true
		}
		f = &m.heads[0].ahead[0]
	}
	return m.set.members[m.next].first < f.At
}

// enter opens the next member, or goes on with the one that met damage before its
// first frame.
func (m *merged) enter() error {
	h := m.entering
	if h == nil {
		x := m.set.members[m.next]
		h = &head{number: m.next}
		m.next++
		if x.src != nil && !x.used {
			x.used = true
			h.src, h.runs, h.room[0] = x.src, InRuns(x.src), x.head
			h.ahead = h.room[:1]
			m.push(h)
			return nil
		}
		src, err := m.set.open(x.name)
		if err != nil {
			return m.gone(h.number, err)
		}
		if l, ok := src.(interface{ limitBuffer(int) }); ok && len(m.heads) >= fewOpen {
			l.limitBuffer(bufferStart)
		}
		h.src, h.runs = src, InRuns(src)
		if !m.keep(src) {
			return m.shut()
		}
		m.entering = h
	}
	switch err := h.read(); err {
	case nil:
		m.entering = nil
		m.push(h)
	case io.EOF:
		m.entering = nil
		m.leave(h)
	default:
		return err
	}
	return nil
}

// keep has Close close src too, and reports whether that is still to come; if not it
// closes src itself.
func (m *merged) keep(src Source) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed.Load() {
		src.Close()
		return false
	}
	m.open[src] = struct{}{}
	return true
}

// gone notes that an input that was there can no longer be opened.
func (m *merged) gone(number int, err error) error {
	e := &DamageError{Name: m.set.members[number].name, Frame: 1, What: fmt.Sprintf("it was there when the reading began, and then: %v", err), Err: err}
	if errors.Is(err, fs.ErrNotExist) {
		e.Remedy = "a capturing program may have made room: copy its files before they are read"
	}
	m.infos[number].Damage, m.infos[number].Damaged = []*DamageError{e}, 1
	return e
}

// leave closes an input that has ended, and keeps what it says of itself.
func (m *merged) leave(h *head) {
	m.infos[h.number] = m.info(h)
	m.mu.Lock()
	delete(m.open, h.src)
	m.mu.Unlock()
	h.src.Close()
}

// info is what an open input says of itself, but for a frame that was read and not
// handed out.
func (m *merged) info(h *head) Info {
	i := h.src.Info()
	i.Frames = m.infos[h.number].Frames
	return i
}

func (m *merged) push(h *head) {
	m.heads = append(m.heads, h)
	for i := len(m.heads) - 1; i > 0; {
		up := (i - 1) / 2
		if !m.heads[i].before(m.heads[up]) {
			return
		}
		m.heads[i], m.heads[up] = m.heads[up], m.heads[i]
		i = up
	}
}

// drop takes the first input, which has ended, out of the heap.
func (m *merged) drop() {
	m.leave(m.heads[0])
	last := len(m.heads) - 1
	m.heads[0], m.heads[last] = m.heads[last], nil
	m.heads = m.heads[:last]
	m.down()
}

// down moves the first input, which has a new frame, to its place in the heap.
func (m *merged) down() {
	for i := 0; ; {
		least := 2*i + 1
		if least >= len(m.heads) {
			return
		}
		if r := least + 1; r < len(m.heads) && m.heads[r].before(m.heads[least]) {
			least = r
		}
		if !m.heads[least].before(m.heads[i]) {
			return
		}
		m.heads[i], m.heads[least] = m.heads[least], m.heads[i]
		i = least
	}
}

// Infos returns what is known of each input, by number.
func (m *merged) Infos() []Info {
	infos := append([]Info(nil), m.infos...)
	for _, h := range m.heads {
		infos[h.number] = m.info(h)
	}
	if m.entering != nil {
		infos[m.entering.number] = m.info(m.entering)
	}
	return infos
}

// Info sums the inputs up. Name, Format and Interfaces, which are theirs alone, are
// empty.
func (m *merged) Info() Info {
	sum := Info{Frames: m.frames, Passed: map[uint32]uint64{}}
	for _, i := range m.Infos() {
		sum.Bytes += i.Bytes
		sum.Untimed += i.Untimed
		sum.Stray += i.Stray
		sum.Damaged += i.Damaged
		for _, d := range i.Damage {
			if len(sum.Damage) < maxDamage {
				sum.Damage = append(sum.Damage, d)
			}
		}
		for t, n := range i.Passed {
			if _, known := sum.Passed[t]; !known && len(sum.Passed) >= maxPassedTypes {
				t = 0
			}
			sum.Passed[t] += n
		}
	}
	return sum
}

func (m *merged) shut() error { return fmt.Errorf("read several inputs: %w", os.ErrClosed) }

// Close closes every input that is open.
func (m *merged) Close() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed.Swap(true) {
		return nil
	}
	var first error
	for src := range m.open {
		if err := src.Close(); err != nil && first == nil {
			first = err
		}
	}
	return first
}

// Infos returns what is known of each input of a source, by the number that frames
// name it by: one for most sources.
func Infos(s Source) []Info {
	if m, ok := s.(interface{ Infos() []Info }); ok {
		return m.Infos()
	}
	return []Info{s.Info()}
}
