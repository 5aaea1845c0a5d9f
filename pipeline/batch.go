package pipeline

import (
	"sync"

	"github.com/tcplife/tcplife/incident"
	"github.com/tcplife/tcplife/reassembly"
	"github.com/tcplife/tcplife/report"
	"github.com/tcplife/tcplife/wire"
)

const (
	// mostJobs is more workers than one reader can keep busy.
	mostJobs = 64
	// batchSegments is an epoch: small enough that a batch stays in a core's cache
	// on its way, large enough that handing it over costs little for each segment.
	// It must not depend on anything, or the output would.
	batchSegments = 1024
	// batchesInFlight lets the reader run ahead of the workers and these ahead of
	// the merger. The output depends on it, as the reader learns the number of open
	// connections by it.
	batchesInFlight = 8
)

// batch is one epoch on its way from the reader through the workers to the merger
// and back.
type batch struct {
	// The segments come first, so that none lies in more lines of the cache than it must.
	segments [batchSegments]wire.Segment
	n        int
	hashes   [batchSegments]uint64
	// errors are the ICMP errors among them; rare, so they take room of their own.
	errors []quoted
	// shares are the positions of segments by worker, for each of which it has room for all;
	// dealt is how many there are.
	shares []uint16
	dealt  [mostJobs]uint16
	// number counts batches in the order in which they are sent, from 0.
	number uint64
	// until is the number of segments up to the end of this batch.
	until uint64
	// clock is the largest time so far; valid if started.
	clock   wire.Time
	started bool
	encaps  [][]string
	// last: no segments come after this batch, and the merger is to lay into
	// portions below which stamps the flush is to be cut.
	last     bool
	portions []uint64
	// flush, if not 0, says that the input has ended: connections with a lower stamp
	// are to be handed out.
	flush uint64
	// open is the number of connections that were open when the merger had this
	// batch last, and seen the number of segments up to its end.
	open, seen uint64
	moment     // of a live run

	// eviction is the reader's question or order, and on the way back the merger's answer;
	// held is what was held at the end, if there are limits; sent: it has been under way.
	eviction eviction
	held     reassembly.Held
	sent     bool

	pending sync.WaitGroup
	results []result // by worker
}

// newBatch returns a batch for so many workers, who write into chunks of text.
func newBatch(jobs int, text *chunks) *batch {
	b := &batch{results: make([]result, jobs), shares: make([]uint16, jobs*batchSegments)}
	for i := range b.results {
		b.results[i].keep = max(keepSettled/jobs, 64)
		b.results[i].text.from = text
	}
	return b
}

func (b *batch) reset() {
	b.moment = moment{}
	b.n, b.flush, b.last, b.eviction = 0, 0, false, eviction{}
	b.errors = b.errors[:0]
	for i := range b.results {
		b.results[i].reset()
	}
}

// written says that what the workers encoded is written: others may have the room.
func (b *batch) written() {
	for i := range b.results {
		b.results[i].text.reset()
	}
}

// ownerOf returns which of so many workers has the connections whose tuples have a hash. It
// goes by the hash's upper bits; trackers file by the lower ones.
func ownerOf(hash uint64, jobs int) int {
	return int(hash >> 32 * uint64(jobs) >> 32)
}

// deal says whose the batch's segments are.
func (b *batch) deal() {
	shares, jobs := b.shares, len(b.results)
	if jobs == 0 {
		return
	}
	// An owner's next place, in that row of places which is the owner's.
	var next [mostJobs]uint32
	for owner := range next {
		next[owner] = uint32(owner) * batchSegments
	}
	for i, hash := range b.hashes[:b.n] {
		n := &next[ownerOf(hash, jobs)%mostJobs]
		shares[*n] = uint16(i)
		*n++
	}
	for owner := range b.dealt {
		b.dealt[owner] = uint16(next[owner] - uint32(owner)*batchSegments)
	}
}

// share returns the positions of a worker's segments, in ascending order.
func (b *batch) share(worker int) []uint16 {
	return b.shares[worker*batchSegments:][:b.dealt[worker]]
}

// openAtMost returns a bound of the connections open after the given number of
// segments, from what the merger knew when it had this batch last: each segment
// since then may have opened one.
func (b *batch) openAtMost(segments uint64) uint64 { return b.open + segments - b.seen }

// layers returns the layers of an encapsulation path. The batch holds all that the
// reader had met by its end, but for the one that paths beyond wire.MaxEncaps share.
func (b *batch) layers(id wire.EncapID) []string {
	if uint64(id) < uint64(len(b.encaps)) {
		return b.encaps[id]
	}
	return otherEncap
}

// otherEncap is the path that all paths beyond wire.MaxEncaps share.
var otherEncap = []string{"other"}

// quoted is an ICMP error that came before the segment at position before.
type quoted struct {
	before int
	hash   uint64 // of the quoted tuple
	icmp   wire.ICMP
}

// result is what one worker found in a batch. Its memory is used again.
type result struct {
	opened  positions // at which a connection opened
	joins   []joining
	splits  []uint16 // positions at which a stream of Wireshark begins within a connection
	left    []leaving
	settled []settled
	text    arena
	late    []report.Late
	keep    int // the length of settled to keep
	// Of a live run: what happened, and the worker's part of a snapshot.
	events []Event
	glance *glance
	// sums are what the worker's connections show together, if the merger asks for it.
	sums *incident.Sums
	// standings are the worker's answer about limits.
	standings standings
}

// An epoch in which a second's worth of a flood settles needs a thousand times the
// memory of an ordinary one. So much is kept of it: keepSettled places for all workers of a batch
// together, keepChunks for all batches.
const (
	keepSettled = 2 * batchSegments
	keepChunks  = 32 * batchesInFlight
)

// joining says that Wireshark has the connection that began at position at in the
// stream of the one with stamp of.
type joining struct {
	at uint16
	of uint64
}

// leaving counts connections that left, by the batch in which they opened.
type leaving struct {
	batch uint64
	count int
}

// settled is a connection that left, encoded but for its number. Those that nobody
// will look at again are not among them: they are only counted.
type settled struct {
	stamp   uint64
	printed bool // otherwise its findings may be examples
	digest  report.Digest
	buf     report.Buffer
	interim bool // it has not left (Live.MaxHold)
	// later decides whether it is reported, if it is set.
	later *later
}

func (r *result) reset() {
	r.opened = positions{}
	r.joins, r.splits, r.left, r.settled, r.late = r.joins[:0], r.splits[:0], r.left[:0], r.settled[:0], r.late[:0]
	clear(r.events)
	r.events, r.glance, r.sums = r.events[:0], nil, nil
	if cap(r.events) > r.keep {
		r.events = nil
	}
	r.standings = standings{lowest: r.standings.lowest[:0], graves: r.standings.graves[:0]}
	if cap(r.settled) > r.keep {
		r.settled = nil
	}
	if cap(r.late) > r.keep {
		r.late = nil
	}
}

// leave counts a connection that has left. Those that leave together often opened
// together.
func (r *result) leave(batch uint64) {
	if n := len(r.left); n > 0 && r.left[n-1].batch == batch {
		r.left[n-1].count++
		return
	}
	r.left = append(r.left, leaving{batch, 1})
}

// next returns a place for one more settled connection, valid until the following
// call. Its buffer is empty and writes into the arena.
func (r *result) next() *settled {
	if n := len(r.settled); n < cap(r.settled) {
		r.settled = r.settled[:n+1]
	} else {
		r.settled = append(r.settled, settled{})
	}
	s := &r.settled[len(r.settled)-1]
	s.buf.Reset()
	s.buf.B = r.text.room()
	return s
}

// done takes note of what was written into the buffer of the place returned last.
func (r *result) done() { r.text.take(r.settled[len(r.settled)-1].buf.B) }

// arena holds encoded connections one behind the other. A buffer for each would
// end up as large as the largest connection that ever fell into its place.
type arena struct {
	from   *chunks
	filled [][]byte // the last one is being filled
}

const (
	chunkSize = 64 << 10
	// chunkSpare is left over at the end of a chunk rather than given to a buffer:
	// an ordinary connection needs less, and a larger one gets memory of its own.
	chunkSpare = 6 << 10
)

// room returns an empty slice with room behind it.
func (a *arena) room() []byte {
	if n := len(a.filled); n > 0 {
		if c := a.filled[n-1]; cap(c)-len(c) >= chunkSpare {
			return c[len(c):]
		}
	}
	a.filled = append(a.filled, a.from.get())
	return a.filled[len(a.filled)-1]
}

// take says that b has grown out of what room returned last. If it has outgrown
// the chunk it lives elsewhere, and the room is still free.
func (a *arena) take(b []byte) {
	last := &a.filled[len(a.filled)-1]
	if c := *last; len(b) > 0 && len(b) <= cap(c)-len(c) && &b[0] == &c[len(c) : len(c)+1][0] {
		*last = c[:len(c)+len(b)]
	}
}

// reset gives the chunks back.
func (a *arena) reset() {
	a.from.put(a.filled)
	clear(a.filled)
	a.filled = a.filled[:0]
}

// chunks are what all arenas of a run fill. The one that came back last goes out first: it is in
// the cache still, and fewer of them are written to.
type chunks struct {
	keep int // at most so many wait to be used again
	mu   sync.Mutex
	free [][]byte
}

// get returns an empty chunk.
func (c *chunks) get() []byte {
	c.mu.Lock()
	defer c.mu.Unlock()
	if n := len(c.free); n > 0 {
		chunk := c.free[n-1]
		c.free = c.free[:n-1]
		return chunk
	}
	return make([]byte, 0, chunkSize)
}

// put takes back what nobody reads any more.
func (c *chunks) put(back [][]byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, chunk := range back[:min(len(back), c.keep-len(c.free))] {
		c.free = append(c.free, chunk[:0])
	}
}
