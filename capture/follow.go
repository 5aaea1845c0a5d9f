package capture

import (
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"github.com/tcplife/tcplife/wire"
)

// followPause is how often a file that has no more is looked at again: nobody notices
// the delay, and twenty looks a second cost nothing.
const followPause = 50 * time.Millisecond

// Follow reads a capture file, compressed or not, that somebody is still writing: at its
// end it waits for more, until it is closed. A file that does not exist yet, or has no
// header yet, is waited for. One that becomes shorter than what was read of it has been
// written anew: that is a Gap, and the end.
//
// Of a folder the captures are read one after the other, as a program that rotates its
// files wrote them (tcpdump -C and -G, with -W too), and then those that come: by their
// first frame, and a file is over when the next one is there. They are one input, whose
// frames are counted through. A pipe or a device is read as it comes.
//
// The errors are those of Open; of what was waited for NextWithin returns them.
func Follow(name string) (Live, error) {
	st, err := os.Stat(name)
	if err == nil && st.Mode()&os.ModeNamedPipe != 0 {
		// It opens when its writer comes, and who waits for that must be able to end it.
		return Patiently(Lazily(name, func() (Source, error) { return Open(name) })), nil
	}
	if err == nil && !st.IsDir() && !st.Mode().IsRegular() || name == "-" {
		src, err := Open(name)
		if err != nil {
			return nil, err
		}
		return Patiently(src), nil
	}
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, openError(name, err)
	}
	f := &following{info: Info{Name: name, Passed: map[uint32]uint64{}}, stop: make(chan struct{})}
	if err == nil && st.IsDir() {
		if _, err := os.ReadDir(name); err != nil {
			return nil, openError(name, err)
		}
		f.files = newRotation(name, f)
	} else {
		file, err := os.Open(name)
		if err == nil {
			file.Close()
		} else if !errors.Is(err, os.ErrNotExist) {
			return nil, openError(name, err)
		}
		f.files = &single{name: name}
	}
	return Patiently(f), nil
}

// files says what is read after what.
type files interface {
	// next waits for the file to read next; ok is false when there will be none.
	next(f *following) (name string, ok bool)
	// over reports whether the file that is being read will not grow any more: it is
	// asked at its end.
	over() bool
	// moved reports whether what a file held, which is not there any more, is in another
	// one that will be next.
	moved(name string) bool
	// done is told that it was read, and the time of its first frame.
	done(name string, first wire.Time, any bool)
}

// single is one file, which never ends.
type single struct {
	name string
	had  bool
}

func (s *single) next(*following) (string, bool) {
	had := s.had
	s.had = true
	return s.name, !had
}

func (s *single) over() bool                   { return false }
func (s *single) moved(string) bool            { return false }
func (s *single) done(string, wire.Time, bool) {}

// following reads files as they grow. Next is called on one goroutine, Close may be on
// another.
type following struct {
	files files
	stop  chan struct{}
	once  sync.Once
	mu    sync.Mutex
	in    *input // of the present file; Close closes it
	// present is what is read, and src the capture in it; nil between two.
	present *growing
	src     Source
	first   wire.Time
	any     bool // of its frames one was read
	frames  uint64
	gap     *Gap // to be returned next
	info    Info // of those that are done
}

// Next returns the next frame, when there is one.
func (f *following) Next(frame *wire.Frame) error {
	for {
		if f.gap != nil {
			gap := f.gap
			f.gap = nil
			return gap
		}
		if f.src == nil {
			if err := f.open(); err != nil {
				return err
			}
		}
		switch err := f.src.Next(frame); {
		case err == nil:
			if !f.any {
				f.first, f.any = frame.At, true
			}
			f.frames++
			frame.ID = wire.NewFrameID(0, f.frames)
			return nil
		case err == io.EOF:
			f.leave()
		case f.stopped():
			// Reading failed because Close closed the file under it: that is no damage.
			return os.ErrClosed
		default:
			return err
		}
		if f.stopped() {
			return os.ErrClosed
		}
	}
}

// open opens the next file, once it is there and has a header.
func (f *following) open() error {
	name, ok := f.files.next(f)
	switch {
	case f.stopped():
		return os.ErrClosed
	case !ok:
		return io.EOF
	}
	f.first, f.any = 0, false
	g := &growing{f: f, name: name}
	for g.file == nil {
		file, err := os.Open(name)
		switch {
		case err == nil:
			g.file = file
		case !errors.Is(err, os.ErrNotExist):
			return openError(name, err)
		case f.files.moved(name):
			return f.open()
		case f.files.over():
			f.files.done(name, 0, false)
			return f.lost(name, err)
		case !f.pause():
			return os.ErrClosed
		}
	}
	in := newInput(g, g.file, name)
	in.waits = true
	f.keep(in)
	src, err := newSource(in)
	if err != nil {
		f.files.done(name, 0, false)
		if f.stopped() {
			return os.ErrClosed
		}
		var damage *DamageError
		if errors.As(err, &damage) {
			f.damaged(damage)
		}
		return err
	}
	f.present, f.src = g, src
	return nil
}

// lost says that a file went before it was read.
func (f *following) lost(name string, err error) error {
	d := &DamageError{Name: name, Frame: 1, What: fmt.Sprintf("it was there, and then: %v", err), Err: err, Remedy: "keep more files (tcpdump -W), or larger ones (-C, -G)"}
	f.damaged(d)
	return d
}

func (f *following) damaged(d *DamageError) {
	f.info.Damaged++
	if len(f.info.Damage) < maxDamage {
		f.info.Damage = append(f.info.Damage, d)
	}
}

// leave closes the file that has ended, and keeps what it said of itself.
func (f *following) leave() {
	f.info = f.Info()
	f.gap = f.present.gap
	f.files.done(f.present.name, f.first, f.any)
	f.src.Close()
	f.keep(nil)
	f.src, f.present = nil, nil
}

// keep has Close close the input of a file, too.
func (f *following) keep(in *input) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.in = in
	if in != nil && f.stopped() {
		in.Close()
	}
}

// Info sums up what was read so far.
func (f *following) Info() Info {
	sum := f.info
	sum.Frames = f.frames
	if f.src == nil {
		return sum
	}
	i := f.src.Info()
	sum.Format, sum.Packing, sum.Interfaces = i.Format, i.Packing, i.Interfaces
	sum.Bytes += i.Bytes
	sum.Untimed += i.Untimed
	sum.Stray += i.Stray
	sum.Damaged += i.Damaged
	sum.Damage = append(sum.Damage[:len(sum.Damage):len(sum.Damage)], i.Damage[:min(len(i.Damage), maxDamage-min(len(sum.Damage), maxDamage))]...)
	sum.Passed = map[uint32]uint64{}
	for _, passed := range [2]map[uint32]uint64{f.info.Passed, i.Passed} {
		for t, n := range passed {
			if _, known := sum.Passed[t]; !known && len(sum.Passed) >= maxPassedTypes {
				t = 0
			}
			sum.Passed[t] += n
		}
	}
	return sum
}

// Close ends a Next that waits.
func (f *following) Close() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	// First what is read, which from then on takes a Read that fails for its own end and
	// not for damage; then the reader may notice.
	defer f.once.Do(func() { close(f.stop) })
	if f.in != nil {
		return f.in.Close()
	}
	return nil
}

func (f *following) stopped() bool {
	select {
	case <-f.stop:
		return true
	default:
		return false
	}
}

// pause waits a while, and reports whether to go on.
func (f *following) pause() bool {
	timer := time.NewTimer(followPause)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-f.stop:
		return false
	}
}

// growing is a file whose end is not the end.
type growing struct {
	f    *following
	name string
	file *os.File
	at   int64
	gap  *Gap
}

// Read waits at the end of the file.
func (g *growing) Read(b []byte) (int, error) {
	for last := false; ; {
		n, err := g.file.Read(b)
		g.at += int64(n)
		if n > 0 || err != nil && err != io.EOF || last {
			return n, err
		}
		if st, err := g.file.Stat(); err == nil && st.Size() < g.at {
			g.gap = &Gap{Name: g.name, What: fmt.Sprintf("the file was written anew before it was read to its end (it had %d octets, and now has %d)", g.at, st.Size())}
			return 0, io.EOF
		}
		if g.f.files.over() {
			last = true // what was written before the next one began is there by now
			continue
		}
		if !g.f.pause() {
			return 0, os.ErrClosed
		}
	}
}
