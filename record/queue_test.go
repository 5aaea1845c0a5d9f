package record

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/tcplife/tcplife/capture"
	"github.com/tcplife/tcplife/wire"
)

// gate is a sink that stands still until it is opened, and may fail.
type gate struct {
	open    chan struct{}
	failAt  int
	got     []uint64 // numbers of frames
	data    []byte   // the first octet of each
	skipped map[int]uint64
	flushed chan struct{}
	ended   bool
}

func newGate() *gate {
	return &gate{open: make(chan struct{}), failAt: -1, skipped: map[int]uint64{}, flushed: make(chan struct{}, 1000)}
}

var errDisk = errors.New("the disk is gone")

func (g *gate) Write(f *wire.Frame) error {
	<-g.open
	if len(g.got) == g.failAt {
		return errDisk
	}
	g.got, g.data = append(g.got, f.ID.Number()), append(g.data, f.Data[0])
	return nil
}

func (g *gate) Skip(f *wire.Frame, n uint64) { g.skipped[f.ID.Input()] += n }
func (g *gate) Flush() error                 { g.flushed <- struct{}{}; return nil }
func (g *gate) End() error                   { g.ended = true; return nil }

func queued(n uint64) wire.Frame {
	return wire.Frame{ID: wire.NewFrameID(int(n%2), n), At: wire.Time(n), Link: wire.LinkEthernet, Length: 1000, Data: bytes.Repeat([]byte{byte(n)}, 1000)}
}

// TestQueue: while the disk stands still nobody waits for it, what there is no room for is
// counted by its interface and told once, and everything else is written in order.
func TestQueue(t *testing.T) {
	g := newGate()
	told := 0
	q := &Queue{To: g, Room: 4 << 20, Left: func() { told++ }, Failed: func(err error) { t.Error(err) }}
	q.Begin()
	const sent = 10_000 // 10 MB
	for n := range uint64(sent) {
		f := queued(n + 1)
		q.Write(&f)
		clear(f.Data) // the reader's memory is used again
	}
	if told != 1 {
		t.Errorf("that frames are left out was told %d times", told)
	}
	close(g.open)
	left, after, err := q.End()
	if err != nil || after != 0 || !g.ended {
		t.Fatal(left, after, err, g.ended)
	}
	if left == 0 || left+uint64(len(g.got)) != sent || g.skipped[0]+g.skipped[1] != left {
		t.Errorf("%d written, %d left out, %v told to the sink, of %d", len(g.got), left, g.skipped, sent)
	}
	if d := int64(g.skipped[0]) - int64(g.skipped[1]); d < -1 || d > 1 {
		t.Errorf("by interface: %v", g.skipped)
	}
	if room := uint64(len(g.got)) * 1000; room < 3<<20 || room > 6<<20 {
		t.Errorf("%d octets waited, with room for %d", room, q.Room)
	}
	for i, n := range g.got {
		if i > 0 && n <= g.got[i-1] || g.data[i] != byte(n) {
			t.Fatalf("frame %d behind %d, with %d in it", n, g.got[max(i-1, 0)], g.data[i])
		}
	}
}

// TestQueueWaits: what can wait loses nothing.
func TestQueueWaits(t *testing.T) {
	g := newGate()
	q := &Queue{To: g, Waits: true, Room: 2 << 20, Left: func() { t.Error("left out") }, Failed: func(err error) { t.Error(err) }}
	q.Begin()
	const sent = 8_000
	gave := make(chan bool)
	go func() {
		for n := range uint64(sent) {
			f := queued(n + 1)
			q.Write(&f)
		}
		close(gave)
	}()
	select {
	case <-gave:
		t.Error("nothing held up what there is no room for")
	case <-time.After(50 * time.Millisecond):
	}
	close(g.open)
	<-gave
	if left, after, err := q.End(); left != 0 || after != 0 || err != nil || len(g.got) != sent {
		t.Error(left, after, err, len(g.got))
	}
}

// TestQueueFails: an error is told at once, ends the writing and not the run, also of
// those who wait.
func TestQueueFails(t *testing.T) {
	for _, waits := range []bool{false, true} {
		g := newGate()
		g.failAt = 3
		close(g.open)
		failed := make(chan error, 2)
		q := &Queue{To: g, Waits: waits, Room: 2 << 20, Left: func() { t.Error("left out") }, Failed: func(err error) { failed <- err }}
		q.Begin()
		for n := range uint64(5) {
			f := queued(n + 1)
			q.Write(&f)
		}
		if err := <-failed; err != errDisk {
			t.Error(err)
		}
		for n := range uint64(5_000) {
			f := queued(n + 6)
			q.Write(&f)
		}
		left, after, err := q.End()
		if left != 0 || err != errDisk || len(g.got) != 3 || after != 5_001 {
			t.Errorf("%d left out, %d after the error (%v), %d written", left, after, err, len(g.got))
		}
	}
}

// TestQueueFlushes: what came last is written though nothing follows.
func TestQueueFlushes(t *testing.T) {
	g := newGate()
	close(g.open)
	q := &Queue{To: g, Failed: func(err error) { t.Error(err) }}
	q.Begin()
	f := queued(1)
	q.Write(&f)
	select {
	case <-g.flushed:
	case <-time.After(time.Minute):
		t.Error("it is held back")
	}
	q.End()
}

// TestQueueSaysInTheFile: a file says of its interface what is not in it, what the source
// lost itself included, so that whoever reads it does not take that for the network's.
func TestQueueSaysInTheFile(t *testing.T) {
	dir := t.TempDir()
	folder := must(os.OpenRoot(dir))
	defer folder.Close()
	r := &Rotation{Folder: folder, Name: "a.pcapng"}
	if err := r.Begin(); err != nil {
		t.Fatal(err)
	}
	f := rawFrame(1, 7, 100)
	q := &Queue{To: r, Losses: func() capture.Losses { return capture.Losses{Received: 8, Dropped: 5} }, Failed: func(err error) { t.Error(err) }}
	q.Begin()
	q.Write(&f)
	r2 := rawFrame(2, 7, 100)
	q.Write(&r2)
	if _, _, err := q.End(); err != nil {
		t.Fatal(err)
	}
	src := must(capture.Open(filepath.Join(dir, "a.pcapng")))
	defer src.Close()
	for src.Next(&f) == nil {
	}
	is := src.Info().Interfaces
	if src.Info().Frames != 2 || len(is) != 1 || !is[0].Counted || is[0].Received != 7 || is[0].Dropped != 5 {
		t.Errorf("%d frames, %+v", src.Info().Frames, is)
	}
}
