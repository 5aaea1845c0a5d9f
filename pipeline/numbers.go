package pipeline

import "slices"

// numbers gives connections their numbers, from 1, and remembers those of the open
// ones. A tracker names a connection by its place in the shard's own order of
// opening, so the numbers stand in that order, in pages; a page goes when all of
// its connections have left. So memory follows the open connections, however many
// there were.
type numbers struct {
	given  uint64
	shards [shardCount]window[idPage]
	spare  []*idPage
	// ages has the open connections counted, in the order of their numbers.
	ages window[agePage]
	left uint64 // connections that have left
	// streams counts Wireshark's streams: one for each connection, and one for each
	// other that it begins in the middle of one.
	streams uint64
}

const (
	idPageSize = 256
	// agePageSize is also the number of connections that make a portion of the
	// flush: enough to keep all workers busy for much longer than it takes to hand
	// a batch around, little enough to hold several encoded.
	agePageSize = 256
)

// idPage holds the numbers of connections that opened in a shard one after the
// other, and how many of them are still to leave.
type idPage struct {
	left    int
	ids     [idPageSize]uint64
	streams [idPageSize]uint64 // the number of the first stream, from 0
}

// agePage counts the open connections among agePageSize with successive numbers.
type agePage struct {
	left  int
	first uint64 // stamp of the first of them
}

func newNumbers() numbers { return numbers{} }

// open returns how many connections are open.
func (n *numbers) open() uint64 { return n.given - n.left }

// add gives the next number to the connection that opened in a shard.
func (n *numbers) add(o *opening, stamp uint64) {
	s := &n.shards[o.shard]
	page := s.end()
	if s.count%idPageSize == 0 {
		if k := len(n.spare); k > 0 {
			page, n.spare = n.spare[k-1], n.spare[:k-1]
		} else {
			page = new(idPage)
		}
		page.left = idPageSize
		s.push(page)
	}
	if n.given%agePageSize == 0 {
		n.ages.push(&agePage{left: agePageSize, first: stamp})
	}
	n.given++
	n.ages.count++
	page.ids[s.count%idPageSize] = n.given
	if o.joins {
		// The other one is still open, so its page is there.
		page.streams[s.count%idPageSize] = s.at(o.of / idPageSize).streams[o.of%idPageSize]
	} else {
		page.streams[s.count%idPageSize] = n.streams
		n.streams++
	}
	s.count++
}

// split takes the number of a stream that begins in the middle of a connection.
func (n *numbers) split() { n.streams++ }

// take returns the numbers of the connection that opened as the shard's nth (from 0)
// and has left now: its own, and that of its first stream. It can be asked for once.
func (n *numbers) take(shard uint8, nth uint64) (id, stream uint64) {
	s := &n.shards[shard]
	page := s.at(nth / idPageSize)
	id, stream = page.ids[nth%idPageSize], page.streams[nth%idPageSize]
	if page.left--; page.left == 0 {
		s.drop(nth / idPageSize)
		if len(n.spare) < shardCount {
			n.spare = append(n.spare, page)
		}
	}
	n.left++
	age := (id - 1) / agePageSize
	if a := n.ages.at(age); a.left == 1 {
		n.ages.drop(age)
	} else {
		a.left--
	}
	return id, stream
}

// portions cuts the open connections, in the order of their opening, into portions
// of at least agePageSize and less than twice as many, and returns the stamp at
// which each ends. The last is for everything that is left, if it be nothing.
func (n *numbers) portions() []uint64 {
	var limits []uint64
	have := 0
	for i, a := range n.ages.pages {
		if a == nil {
			continue
		}
		here := a.left
		if i == len(n.ages.pages)-1 {
			// The page is filled up with connections that never came.
			if rest := n.given % agePageSize; rest != 0 {
				here -= int(agePageSize - rest)
			}
		}
		if have >= agePageSize {
			limits = append(limits, a.first)
			have = 0
		}
		have += here
	}
	return append(limits, everything)
}

// window is a growing list of pages that is kept only from the first page that is
// still needed.
type window[P any] struct {
	count   uint64 // entries in all pages, dropped ones too
	dropped uint64 // pages that are gone from the front
	pages   []*P   // nil: dropped
	front   int    // nil pages at the front of pages
}

func (w *window[P]) push(p *P) { w.pages = append(w.pages, p) }

// end returns the last page, nil if there is none.
func (w *window[P]) end() *P {
	if len(w.pages) == 0 {
		return nil
	}
	return w.pages[len(w.pages)-1]
}

// at returns page i of all there ever were.
func (w *window[P]) at(i uint64) *P { return w.pages[i-w.dropped] }

// drop forgets page i.
func (w *window[P]) drop(i uint64) {
	w.pages[i-w.dropped] = nil
	for w.front < len(w.pages) && w.pages[w.front] == nil {
		w.front++
	}
	// What is left moves to the front when it is no more than what is gone: a
	// constant cost per page.
	if w.front >= 16 && w.front*2 >= len(w.pages) {
		w.pages = slices.Delete(w.pages, 0, w.front)
		w.dropped += uint64(w.front)
		w.front = 0
	}
}
