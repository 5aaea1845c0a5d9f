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

// add makes room for a further record, which is empty.
func (s *slab[R]) add() {
	if s.n>>slabShift == len(s.chunks) {
		s.chunks = append(s.chunks, make([]R, slabChunk))
	}
	s.n++
}

// cut lets all go but the first n.
func (s *slab[R]) cut(n int) {
	whole := (n + slabChunk - 1) >> slabShift
	if from := n & (slabChunk - 1); from > 0 {
		clear(s.chunks[whole-1][from:])
	}
	clear(s.chunks[whole:])
	s.chunks, s.n = s.chunks[:whole], n
}
