package record

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/tcplife/tcplife/capture"
	"github.com/tcplife/tcplife/wire"
)

// Rotation writes frames to a capture, and begins a new one when that is as large or as
// old as wanted: NAME_00001.pcapng, NAME_00002.pcapng and so on. Without bounds it is one
// file of the name given.
type Rotation struct {
	// Folder is where the files are, Name what they are called there.
	Folder *os.Root
	Name   string
	// Format is one of Formats; empty is the first.
	Format string
	// Size is how many octets a file has at most, and Every for how long it is written,
	// in the frames' time, at whole multiples of it; 0 is no bound.
	Size  int64
	Every time.Duration
	// Keep is how many files are kept, the newest; 0 is all.
	Keep int
	// Infos describes the inputs that frames name.
	Infos []capture.Info

	file    *os.File
	out     *bufio.Writer
	w       Writer
	written int64 // octets of the file, at most
	until   wire.Time
	number  int
	flushed wire.Time
	kept    []string
}

const (
	// blockSize is what a packet takes beside its octets: an enhanced packet block's
	// fields and padding. headSize is room for what stands before the packets.
	blockSize = 32 + 3
	headSize  = 1024
)

// flushEvery is how long frames are held back, in their own time: somebody may be
// following the file.
const flushEvery = time.Second

// Begin opens the first file, so that what is wrong with its place shows at once.
// Numbers go on behind those of files that are there already: a program that was started
// anew writes over nothing, and Keep counts them.
func (r *Rotation) Begin() error {
	if r.numbered() {
		if err := r.resume(); err != nil {
			return err
		}
	}
	return r.open()
}

// resume finds the files of earlier runs.
func (r *Rotation) resume() error {
	folder, err := r.Folder.Open(".")
	if err != nil {
		return fmt.Errorf("read the folder %s: %w", r.Folder.Name(), plain(err))
	}
	defer folder.Close()
	names, err := folder.Readdirnames(-1)
	if err != nil {
		return fmt.Errorf("read the folder %s: %w", r.Folder.Name(), plain(err))
	}
	var there []int
	for _, name := range names {
		if n, ok := r.numberOf(name); ok {
			there = append(there, n)
		}
	}
	slices.Sort(there)
	for _, n := range there {
		r.number = n
		r.kept = append(r.kept, r.nameOf(n))
	}
	return nil
}

// nameOf is what file n is called, and numberOf turns it round.
func (r *Rotation) nameOf(n int) string {
	ext := filepath.Ext(r.Name)
	return fmt.Sprintf("%s_%05d%s", strings.TrimSuffix(r.Name, ext), n, ext)
}

func (r *Rotation) numberOf(name string) (int, bool) {
	ext := filepath.Ext(r.Name)
	digits, ok := strings.CutPrefix(strings.TrimSuffix(name, ext), strings.TrimSuffix(r.Name, ext)+"_")
	n, err := strconv.Atoi(digits)
	return n, ok && err == nil && n > 0 && r.nameOf(n) == name
}

// Write writes a frame, into a new file if it is time for one. After an error nothing
// more can be written.
func (r *Rotation) Write(f *wire.Frame) error {
	if r.due(f) {
		if err := r.End(); err != nil {
			return err
		}
		if err := r.open(); err != nil {
			return err
		}
	}
	if r.Every > 0 && r.until == 0 {
		// Times before 1970 are rounded up; they do not matter here.
		r.until = f.At - f.At%wire.Time(r.Every) + wire.Time(r.Every)
	}
	if err := r.w.Write(f); err != nil {
		return r.failed(err)
	}
	r.written += int64(len(f.Data)) + blockSize
	if f.At.Sub(r.flushed) >= flushEvery || f.At < r.flushed {
		r.flushed = f.At
		return r.Flush()
	}
	return nil
}

// due reports whether the frame belongs into a new file.
func (r *Rotation) due(f *wire.Frame) bool {
	return r.Size > 0 && r.written > headSize && r.written+int64(len(f.Data))+blockSize > r.Size || r.until != 0 && f.At >= r.until
}

// path is what a file is called outside its folder.
func (r *Rotation) path(name string) string { return filepath.Join(r.Folder.Name(), name) }

// numbered reports whether files have numbers.
func (r *Rotation) numbered() bool { return r.Size > 0 || r.Every > 0 }

func (r *Rotation) open() error {
	name := r.Name
	r.number++
	if r.numbered() {
		name = r.nameOf(r.number)
	}
	file, err := r.Folder.Create(name)
	if err != nil {
		return fmt.Errorf("create %s: %w", r.path(name), plain(err))
	}
	r.file, r.written, r.until = file, headSize, 0
	r.out = bufio.NewWriterSize(file, 1<<16)
	if r.Format == "pcap" {
		r.w = NewPcap(r.out)
	} else {
		r.w = NewPcapng(r.out, PcapngOptions{Interface: Interfaces(uncounted(r.Infos), false)})
	}
	if r.Keep == 0 {
		r.kept = r.kept[:0] // only the present one's name is needed
	}
	r.kept = append(r.kept, name)
	for r.Keep > 0 && len(r.kept) > r.Keep {
		old := r.kept[0]
		r.kept = r.kept[1:]
		if err := r.Folder.Remove(old); err != nil && !os.IsNotExist(err) {
			return fmt.Errorf("remove %s: %w", r.path(old), plain(err))
		}
	}
	return nil
}

// Skip notes that n frames of the interface that f came by are left out: a pcapng file
// says of it that they were dropped.
func (r *Rotation) Skip(f *wire.Frame, n uint64) {
	if p, ok := r.w.(*Pcapng); ok && p.Skip(f, n) == nil {
		r.written += headSize // a description of the interface, and its counts
	}
}

// Flush writes what is held back.
func (r *Rotation) Flush() error {
	if err := r.w.Flush(); err != nil {
		return r.failed(err)
	}
	return r.failed(r.out.Flush())
}

func (r *Rotation) failed(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("write %s: %w", r.path(r.kept[len(r.kept)-1]), plain(err))
}

// End completes the file.
func (r *Rotation) End() error {
	if r.file == nil {
		return nil
	}
	err := r.w.(interface{ End() error }).End()
	if err == nil {
		err = r.out.Flush()
	}
	if e := r.file.Close(); err == nil {
		err = e
	}
	r.file = nil
	return r.failed(err)
}
