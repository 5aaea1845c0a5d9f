package reassembly

// slab hands out numbered places for values without pointers (but extents, which are rare
// and have some only if they are large). Places are freed
// one by one and used again; memory comes in chunks that never move, so a place's
// address stays valid while it is held. Number 0 is never handed out and means
// none.
type slab[T any] struct {
	chunks []*[slabChunk]T
	free   []uint32
	used   uint32 // highest number handed out so far
}

// A chunk is large enough that the list of chunks stays in the first-level cache (of a
// hundred thousand records it has 200 places), and small enough that one which is hardly
// used is no loss: what was never written is not in memory.
const (
	slabShift = 9
	slabChunk = 1 << slabShift
)

// grow makes one more chunk. It is written to at once: the first look at a chunk's address
// reads there, and memory that is read before it is written is asked for twice.
func (s *slab[T]) grow() {
	chunk := new([slabChunk]T)
	clear(chunk[:1])
	s.chunks = append(s.chunks, chunk)
}

// get returns a place whose content is whatever its last holder left.
func (s *slab[T]) get() uint32 {
	if n := len(s.free); n > 0 {
		i := s.free[n-1]
		s.free = s.free[:n-1]
		return i
	}
	s.used++
	if int(s.used>>slabShift) >= len(s.chunks) {
		s.grow()
	}
	return s.used
}

// put gives a place back.
func (s *slab[T]) put(i uint32) { s.free = append(s.free, i) }

// reserve makes memory for so many places before they are wanted.
func (s *slab[T]) reserve(n int) {
	for len(s.chunks)<<slabShift < n {
		s.grow()
	}
}

// at returns the place with a number.
func (s *slab[T]) at(i uint32) *T { return &s.chunks[i>>slabShift][i&(slabChunk-1)] }

// live returns how many places are held.
func (s *slab[T]) live() int { return int(s.used) - len(s.free) }
