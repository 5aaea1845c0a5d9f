package pipeline

import (
	"context"
	"errors"
	"io"
	"math"
	"time"

	"github.com/tcplife/tcplife/capture"
	"github.com/tcplife/tcplife/reassembly"
	"github.com/tcplife/tcplife/report"
	"github.com/tcplife/tcplife/wire"
)

// reader reads, decodes and cuts into batches.
type reader struct {
	cfg  *Config
	seed reassembly.Seed
	dec  wire.Decoder
	// free yields empty batches in the order in which they were merged; send hands
	// a full one on; stop ends the reading without a flush.
	free <-chan *batch
	send func(*batch)
	stop <-chan struct{}

	// inputs are by the number that frames name them by. frames counts those of all
	// and clock is their latest time.
	inputs []report.Input
	frames uint64
	clock  wire.Time
	// contents is nil unless an inventory asks for it.
	contents *contents
	// interrupted: reading stopped before the input's end, with err from the source
	// if it was the source that stopped.
	interrupted bool
	err         error
	encaps      [][]string // by EncapID; grows, never changes
	segments    uint64     // up to the end of the batch that was submitted last
	batches     uint64     // that were sent
	sealed      wire.Time  // the clock of the batch that was sent last
	// pace is set for a live run; last is what it knows for the last snapshot.
	pace *pace
	last moment
	// idle are batches that came back and wait to be used, while limits are looked after;
	// known is what was held at the end of the latest of those that came back, told what the
	// merger said with it.
	idle  []*batch
	known known
	told  eviction
}

// run sends everything that there is to send.
func (r *reader) run(ctx context.Context) {
	read := r.read
	if r.pace != nil {
		read = r.follow
	}
	if b, whole := read(ctx, r.next()); whole {
		r.flush(r.submit(b, true))
	}
	r.complete()
	if r.pace != nil {
		r.last = r.moment(r.pace.clock.Now())
	}
}

// complete takes from the source what it says of its inputs.
func (r *reader) complete() {
	src := r.cfg.Source
	if r.pace != nil {
		src = r.pace.src
	}
	infos := capture.Infos(src)
	r.grow(len(infos))
	for i, info := range infos {
		if r.pace != nil {
			info.Frames = r.inputs[i].Frames // it may have read on meanwhile
		}
		r.inputs[i].Info = info
	}
	if len(r.inputs) == 1 {
		r.inputs[0].Name = r.cfg.Name
	}
}

// grow makes room for n inputs.
func (r *reader) grow(n int) {
	if more := n - len(r.inputs); more > 0 {
		r.inputs = append(r.inputs, make([]report.Input, more)...)
	}
}

// next waits for a free batch.
func (r *reader) next() *batch {
	var b *batch
	if n := len(r.idle); n > 0 {
		b, r.idle = r.idle[n-1], r.idle[:n-1]
	} else {
		b = <-r.free
		r.learned(b)
	}
	b.reset()
	return b
}

// runFrames is how many frames are asked for at once: enough that what a call costs no
// longer counts, few enough that their headers stay in the first-level cache until they
// are decoded. Between two runs it is seen whether reading is to stop.
const runFrames = 64

// read fills batches from b on and returns the last one, which is not full.
// whole is false when what was read is of no more use.
func (r *reader) read(ctx context.Context, b *batch) (_ *batch, whole bool) {
	done := ctx.Done()
	src, run := capture.InRuns(r.cfg.Source), make([]wire.Frame, runFrames)
	seen := 0 // frames since it was looked whether to stop
	for {
		n, err := src.NextRun(run)
		if err != nil {
			var damage *capture.DamageError
			switch {
			case errors.As(err, &damage):
				// It is noted in Info. The source goes on behind it or says io.EOF.
				continue
			case err != io.EOF:
				// Closed under our hands: by cancelling, or for another stage's sake.
				r.interrupted, r.err = true, err
			}
			return b, !r.stopped()
		}
		b = r.take(run[:n], b)
		// Sources that Close does not reach are stopped here.
		if seen += n; seen >= runFrames {
			seen = 0
			select {
			case <-done:
				r.interrupted = true
				return b, !r.stopped()
			case <-r.stop:
				return b, false
			default:
			}
		}
	}
}

// take enters the segments of frames that are all of one input into the batch, and returns
// the batch to go on with.
func (r *reader) take(run []wire.Frame, b *batch) *batch {
	in, latest := r.count(run)
	for len(run) > 0 {
		// Most frames hold one segment and nothing else.
		n, skip := r.dec.DecodeRun(run, b.segments[b.n:])
		if n == len(run) {
			r.clock = max(r.clock, latest)
		} else {
			for k := range run[:n] {
				r.clock = max(r.clock, run[k].At)
			}
		}
		r.enter(run[:n], b)
		in.Segments += uint64(n)
		run = run[n:]
		if b.n == batchSegments {
			r.submit(b, false)
			b = r.next()
		} else if len(run) > 0 {
			// A batch that is sent goes by the frames up to here.
			r.clock = max(r.clock, run[0].At)
			b = r.sort(&run[0], b, in, skip)
			run = run[1:]
		}
	}
	return b
}

// enter enters the segments of as many frames, which lie in the batch's next places.
func (r *reader) enter(run []wire.Frame, b *batch) {
	if len(run) == 0 {
		return
	}
	segments, hashes := b.segments[b.n:b.n+len(run)], b.hashes[b.n:b.n+len(run)]
	b.n += len(run)
	r.seed.HashEach(segments, hashes)
	r.learn()
	if r.contents != nil {
		r.contents.segments(&r.inputs[run[0].ID.Input()], run, segments)
	}
}

// sort enters what Decode made of a frame, and what else the frame holds, and returns the
// batch to go on with.
func (r *reader) sort(f *wire.Frame, b *batch, in *report.Input, skip wire.Skip) *batch {
	if skip != wire.SkipNone {
		in.Skipped[skip]++
	} else if r.contents != nil {
		in.TCPOctets += uint64(f.Length)
	}
	b = r.put(b, in, skip)
	// A frame counts as what Decode found first; what else it holds does not
	// make it another frame.
	for {
		skip, ok := r.dec.More(f, &b.segments[b.n])
		if !ok {
			return b
		}
		if skip == wire.SkipNone {
			in.Further++
		}
		b = r.put(b, in, skip)
	}
}

// put enters what the decoder has laid into the batch's next place, and returns the
// batch to go on with.
func (r *reader) put(b *batch, in *report.Input, skip wire.Skip) *batch {
	switch skip {
	case wire.SkipNone:
		in.Segments++
		s := &b.segments[b.n]
		if r.contents != nil {
			r.contents.segment(s)
		}
		b.hashes[b.n] = r.seed.Hash(&s.Tuple)
		r.learn()
		b.n++
	case wire.SkipICMP:
		e := r.dec.ICMP()
		b.errors = append(b.errors, quoted{b.n, r.seed.Hash(&e.Tuple), *e})
	}
	if b.n == batchSegments || len(b.errors) == batchSegments {
		r.submit(b, false)
		b = r.next()
	}
	return b
}

func (r *reader) stopped() bool {
	select {
	case <-r.stop:
		return true
	default:
		return false
	}
}

// count takes from frames what the report says of their input, and returns that, and their
// latest time.
func (r *reader) count(run []wire.Frame) (_ *report.Input, latest wire.Time) {
	first := &run[0]
	i := first.ID.Input()
	if i >= len(r.inputs) {
		r.grow(i + 1)
	}
	in := &r.inputs[i]
	if r.contents != nil {
		for k := range run {
			r.contents.count(in, &run[k])
		}
	}
	if r.frames == 0 {
		r.clock = first.At
	}
	if in.Frames == 0 {
		in.First, in.Last, in.Previous = first.At, first.At, first.At
	}
	r.frames += uint64(len(run))
	in.Frames += uint64(len(run))
	latest = first.At
	previous := in.Previous
	for k := range run {
		f := &run[k]
		if f.At < previous {
			if in.Backwards++; in.Backwards == 1 {
				in.BackwardsAt = f.ID
			}
			in.StepBack = max(in.StepBack, previous.Sub(f.At))
			in.First = min(in.First, f.At)
		}
		previous = f.At
		latest = max(latest, f.At)
		if uint64(f.Length) > uint64(len(f.Data)) {
			if in.Snapped++; in.Snapped == 1 {
				in.SnappedAt = f.ID
			}
		}
	}
	in.Last, in.Previous = max(in.Last, latest), previous
	return in, latest
}

// layers returns the layers of an encapsulation path.
func (r *reader) layers(id wire.EncapID) []string {
	if uint64(id) < uint64(len(r.encaps)) {
		return r.encaps[id]
	}
	return otherEncap
}

// learn keeps the layers of the encapsulation paths so far where the workers can
// read them: the decoder's table belongs to the reader alone. The path that all
// beyond wire.MaxEncaps share has no place here; the workers know its name.
func (r *reader) learn() {
	for len(r.encaps) <= r.dec.Encaps() {
		r.encaps = append(r.encaps, r.dec.Encap(wire.EncapID(len(r.encaps))))
	}
}

// submit sends a batch. If the time leaps while many connections are open, the leap
// is made in steps, an empty batch each: what settles in one epoch must be held in
// memory, encoded, to be put in order. It returns the batch that it sent last.
func (r *reader) submit(b *batch, last bool) *batch {
	r.segments += uint64(b.n)
	now := r.clock
	for step := 0; step < stepsMax && b.openAtMost(r.segments) > manyOpen && now.Sub(r.sealed) > stepSpan; step++ {
		r.post(b, r.sealed.Add(stepSpan))
		b = r.next()
	}
	b.last = last
	r.post(b, now)
	if !last {
		r.keep()
	}
	return b
}

const (
	// stepSpan is what the trackers' own wheels are divided in: finer steps would
	// settle nothing in between.
	stepSpan = time.Second
	// stepsMax steps reach beyond the longest time that a tracker waits for, so
	// there is nothing left for later ones to settle.
	stepsMax = 256
	// manyOpen is the number of connections that may settle in one epoch without
	// further thought: their encoding takes some 50 MB at the very most.
	manyOpen = 16 * batchSegments
)

// post sends a batch with the time up to which it brings the trackers.
func (r *reader) post(b *batch, now wire.Time) {
	b.clock, b.started, b.encaps = now, r.frames > 0, r.encaps
	b.number, b.until = r.batches, r.segments
	r.batches++
	r.sealed, b.sent = now, true
	b.deal()
	r.send(b)
}

// flush lets the trackers hand out what is left, in the portions that the merger
// has laid into the last batch when it had seen all of the segments.
func (r *reader) flush(last *batch) {
	var idle []*batch
	for len(idle) == 0 || idle[len(idle)-1] != last {
		idle = append(idle, r.next())
	}
	portions := last.portions
	last.portions = nil
	for _, limit := range portions {
		if r.stopped() {
			return
		}
		if len(idle) == 0 {
			idle = append(idle, r.next())
		}
		b := idle[0]
		idle = idle[1:]
		b.flush = limit
		r.post(b, r.clock)
	}
}

// everything is the limit below which all stamps lie.
const everything = math.MaxUint64
