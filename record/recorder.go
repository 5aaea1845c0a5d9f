package record

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"sync"

	"github.com/tcplife/tcplife/capture"
	"github.com/tcplife/tcplife/finding"
	"github.com/tcplife/tcplife/incident"
	"github.com/tcplife/tcplife/pipeline"
	"github.com/tcplife/tcplife/reassembly"
	"github.com/tcplife/tcplife/report"
	"github.com/tcplife/tcplife/wire"
)

// Recorder writes a capture of its own for each connection on which a finding comes up
// that is asked for: what a Ring still has of the connection and of those before it with
// the same addresses and ports, with comments as in an extract. It reads a small capture
// for that, so it is done apart from the run that it watches.
type Recorder struct {
	// Ring is where the packets are.
	Ring *Ring
	// Folder is where captures are written. Being open, it can be written to after the
	// process has given up the right to open others.
	Folder *os.Root
	// Wanted says which findings are recorded.
	Wanted func(f *finding.Finding) bool
	// Max bounds how many captures are written; 0 is DefaultRecords.
	Max int
	// Profile and Networks are the hosts' timers, as of the run.
	Profile  reassembly.Profile
	Networks []reassembly.Network
	// Infos, if set, describes the inputs that frames name. It is called by Begin.
	Infos []capture.Info
	// Failed is called with errors of writing, on another goroutine.
	Failed func(error)

	queue    chan job
	done     chan struct{}
	recorded map[string]recorded // by uid
	order    []string            // uids, oldest first
	files    int

	mu                      sync.Mutex
	written, missed, beyond uint64
}

// DefaultRecords is how many captures a Recorder writes when nobody says it: a storm of
// findings must not fill the disk, and nobody looks at more.
const DefaultRecords = 1000

const (
	// maxWaiting is how many connections may wait to be written. Their packets are
	// copies.
	maxWaiting = 64
	// maxRemembered bounds for how many connections it is known where they were written.
	maxRemembered = 4096
)

// recorded is a connection that was written: where, and from which frame on.
type recorded struct {
	name  string
	first wire.FrameID
}

// job is one capture to write.
type job struct {
	name    string
	found   string
	shows   []remark // what the run said
	frames  []wire.Frame
	missing int
}

// Begin starts the goroutine that writes.
func (r *Recorder) Begin() {
	r.queue, r.done, r.recorded = make(chan job, maxWaiting), make(chan struct{}), map[string]recorded{}
	go func() {
		defer close(r.done)
		for j := range r.queue {
			if err := r.write(&j); err != nil {
				r.Failed(fmt.Errorf("recording %s: %w", j.name, err))
			} else {
				r.mu.Lock()
				r.written++
				r.mu.Unlock()
			}
		}
	}()
}

// End waits for what is still to be written. written counts captures (those written twice
// count twice), missed the connections that came faster than they could be written, and
// beyond those that there was no number left for.
func (r *Recorder) End() (written, missed, beyond uint64) {
	close(r.queue)
	<-r.done
	return r.written, r.missed, r.beyond
}

// Found is told of a finding on a connection that is still open, Settled of one that is
// complete: then what was written of it before is written anew, as far as the ring
// reaches. Both are called on one goroutine, and do not wait for the disk.
func (r *Recorder) Found(uid string, t wire.Tuple, start wire.Time, f *finding.Finding) {
	if r.Wanted(f) {
		r.record(uid, t, start, f) // what does not succeed is tried again when it settles
	}
}

// Settled looks for findings that are wanted; the gravest names the capture.
func (r *Recorder) Settled(d *report.Digest) {
	var worst *finding.Finding
	for i := range d.Findings {
		if f := &d.Findings[i]; r.Wanted(f) && (worst == nil || f.Severity > worst.Severity) {
			worst = f
		}
	}
	if worst == nil {
		return
	}
	switch r.record(d.UID, d.Tuple, d.Start, worst) {
	case recordMissed:
		r.missed++
	case recordBeyond:
		r.beyond++
	}
}

// outcome is what came of a wish to record.
type outcome uint8

const (
	recordDone outcome = iota
	recordMissed
	recordBeyond
)

func (r *Recorder) record(uid string, t wire.Tuple, start wire.Time, f *finding.Finding) outcome {
	before, again := r.recorded[uid]
	name := before.name
	if !again {
		limit := r.Max
		if limit == 0 {
			limit = DefaultRecords
		}
		if r.files >= limit {
			return recordBeyond
		}
		name = fmt.Sprintf("%s-%s-%s.pcapng", start.Std().Format("20060102T150405.000Z"), f.Rule.ID, uid)
	}
	frames, missing := r.Ring.Take(t)
	if len(frames) == 0 {
		return recordMissed
	}
	if again && frames[0].ID > before.first {
		return recordDone // the ring does not reach back any more: what is written has more
	}
	select {
	case r.queue <- job{name, f.Rule.ID, shows(f, false), frames, missing}:
	default:
		return recordMissed
	}
	if !again {
		r.files++
		if len(r.order) >= maxRemembered {
			delete(r.recorded, r.order[0])
			r.order = r.order[1:]
		}
		r.recorded[uid] = recorded{name, frames[0].ID}
		r.order = append(r.order, uid)
	}
	return recordDone
}

// write reads the packets as a capture, for what is to be said of them, and writes them.
func (r *Recorder) write(j *job) error {
	notes := &Notes{}
	cfg := &pipeline.Config{Source: &held{frames: j.frames, infos: r.Infos}, Name: j.name, Jobs: 1, Profile: r.Profile, Networks: r.Networks,
		Format: notes, Output: io.Discard, Incidents: []*incident.Rule{}}
	if _, err := pipeline.Run(context.Background(), cfg); err != nil {
		return err
	}
	// Under another name until it is whole: there may be an earlier one of the same
	// connection, and somebody may be reading the folder.
	part := "." + j.name + ".part"
	file, err := r.Folder.Create(part)
	if err != nil {
		return plain(err)
	}
	out := bufio.NewWriter(file)
	comment := fmt.Sprintf("Recorded by tcplife because of %s: packets of one connection, and of those before it with the same addresses and ports, cut behind their headers. Connections in comments are counted in this file.", j.found)
	if j.missing > 0 {
		comment += fmt.Sprintf(" The first %d packets are left out.", j.missing)
	}
	w := NewPcapng(out, PcapngOptions{Comment: comment, Interface: Interfaces(uncounted(r.Infos), false)})
	var comments []string
	for i := range j.frames {
		comments = j.also(j.frames[i].ID, notes.For(j.frames[i].ID, comments[:0]))
		if err = w.Write(&j.frames[i], comments...); err != nil {
			break
		}
	}
	for _, finish := range []func() error{w.End, out.Flush} {
		if err == nil {
			err = finish()
		}
	}
	if e := file.Close(); err == nil {
		err = e
	}
	if err == nil {
		err = r.Folder.Rename(part, j.name)
	}
	if err != nil {
		r.Folder.Remove(part)
	}
	return plain(err)
}

// also adds what the run said of a frame, where the packets alone do not show it: it may
// have seen more of the connection than the ring still has.
func (j *job) also(frame wire.FrameID, comments []string) []string {
	for _, x := range j.shows {
		if x.frame == frame && !slices.ContainsFunc(comments, func(c string) bool { return strings.Contains(c, ": "+j.found) }) {
			comments = append(comments, "while it was captured"+x.text)
		}
	}
	return comments
}

// plain takes the path out of an error: who says it names the file.
func plain(err error) error {
	var pe *os.PathError
	if errors.As(err, &pe) {
		return pe.Err
	}
	var le *os.LinkError
	if errors.As(err, &le) {
		return le.Err
	}
	return err
}

// uncounted are inputs without counters: those of the whole run say nothing of a part.
func uncounted(infos []capture.Info) []capture.Info {
	out := make([]capture.Info, len(infos))
	for i, in := range infos {
		out[i] = capture.Info{Name: in.Name}
		for _, is := range in.Interfaces {
			is.Counted, is.Received, is.Dropped = false, 0, 0
			out[i].Interfaces = append(out[i].Interfaces, is)
		}
	}
	return out
}

// held is a source of frames in memory.
type held struct {
	frames []wire.Frame
	infos  []capture.Info
	next   int
}

// Next returns the next frame; see capture.Source.
func (h *held) Next(f *wire.Frame) error {
	if h.next == len(h.frames) {
		return io.EOF
	}
	*f = h.frames[h.next]
	h.next++
	return nil
}

// Info describes what was held.
func (h *held) Info() capture.Info {
	return capture.Info{Name: "memory", Format: "memory", Frames: uint64(h.next)}
}

// Close does nothing: the frames are in memory.
func (h *held) Close() error { return nil }

// WantedBy returns what a Recorder's Wanted is for a list of severities and IDs: a
// severity stands for that one and above.
func WantedBy(words []string) func(f *finding.Finding) bool {
	ids, least := map[string]bool{}, finding.Error+1
	for _, w := range words {
		switch i := strings.Index("info warning error", w); {
		case w == "info" || w == "warning" || w == "error":
			least = min(least, finding.Severity(strings.Count("info warning error"[:i], " ")))
		default:
			ids[w] = true
		}
	}
	return func(f *finding.Finding) bool { return f.Severity >= least || ids[f.Rule.ID] }
}
