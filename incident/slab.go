package incident

// slab is a list of records in chunks that never move: a list that is moved to grow leaves as
// much behind, time and again, as it has in the end, and all of that was written to.
type slab[R any] struct {
	chunks [][]R
	n      int
}

// A chunk of the larger records is no less than 32 KiB, beyond which Go's allocator gives whole
// pages: each pair begins where a line of the cache does. What was never written is not in memory.
const (
	slabShift = 7
	slabChunk = 1 << slabShift
)

// at returns the record at a place that there is.
func (s *slab[R]) at(i int32) *R { return &s.chunks[uint32(i)>>slabShift][i&(slabChunk-1)] }

// add returns a further record, which is empty. It is written to all the same: counting begins
// with a look at what there is, and memory that is read before it is written is asked for twice.
func (s *slab[R]) add() *R {
	if s.n>>slabShift == len(s.chunks) {
		s.chunks = append(s.chunks, make([]R, slabChunk))
	}
	s.n++
	r := s.at(int32(s.n - 1))
	*r = *new(R)
	return r
}

// cut empties all but the first n, and keeps their room: where some had to go more will come.
func (s *slab[R]) cut(n int) {
	for i := n; i < s.n; i = (i | (slabChunk - 1)) + 1 {
		clear(s.chunks[i>>slabShift][i&(slabChunk-1):])
	}
	s.n = n
}
