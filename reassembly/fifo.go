package reassembly

// fifo is a slab whose places are freed in the order in which they were handed out: so it
// needs no list of the free ones, and who walks from the oldest on goes straight through
// memory. A chunk that nothing is left in is used again.
type fifo[T any] struct {
	chunks []*[slabChunk]T // by number; there is no chunk 0, so no place has number 0
	behind []uint32        // by chunk, the one in which the next places are
	spare  []uint32        // chunks that nothing is in
	// oldest is the place that is freed next, newest the one that was handed out last; both are
	// 0 if no chunk is in use.
	oldest, newest uint32
	count          int
}

// slabLast are the bits of a number that are all set in a chunk's last place.
const slabLast = slabChunk - 1

// push hands out a place, whose content is whatever its last holder left.
func (q *fifo[T]) push() uint32 {
	if q.newest == 0 || q.newest&slabLast == slabLast {
		q.enter()
	} else {
		q.newest++
	}
	q.count++
	return q.newest
}

// enter goes on in another chunk.
func (q *fifo[T]) enter() {
	var c uint32
	if n := len(q.spare); n > 0 {
		c, q.spare = q.spare[n-1], q.spare[:n-1]
	} else {
		if len(q.chunks) == 0 {
			q.chunks, q.behind = append(q.chunks, nil), append(q.behind, 0)
		}
		c = uint32(len(q.chunks))
		chunk := new([slabChunk]T)
		clear(chunk[:1]) // see slab.grow
		q.chunks, q.behind = append(q.chunks, chunk), append(q.behind, 0)
	}
	if q.newest == 0 {
		q.oldest = c << slabShift
	} else {
		q.behind[q.newest>>slabShift] = c
	}
	q.newest = c << slabShift
}

// pop frees the oldest place.
func (q *fifo[T]) pop() {
	q.count--
	if q.oldest&slabLast != slabLast {
		q.oldest++
		return
	}
	c := q.oldest >> slabShift
	q.spare = append(q.spare, c)
	if q.oldest == q.newest {
		q.oldest, q.newest = 0, 0
	} else {
		q.oldest = q.behind[c] << slabShift
	}
}

// at returns the place with a number.
func (q *fifo[T]) at(i uint32) *T { return &q.chunks[i>>slabShift][i&slabLast] }

// after returns the number of the place that was handed out after another one.
func (q *fifo[T]) after(i uint32) uint32 {
	if i&slabLast == slabLast {
		return q.behind[i>>slabShift] << slabShift
	}
	return i + 1
}
