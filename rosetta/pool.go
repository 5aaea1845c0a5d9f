package rosetta

// pool hands out numbered places for values without pointers, and takes them back.
// Memory comes in chunks that never move. Number 0 is none.
type pool[T any] struct {
	chunks [][]T
	free   []uint32
	used   uint32
}

// A chunk is large enough that the list of chunks stays in the first-level cache; what was
// never written of one is not in memory.
const (
	poolShift = 9
	poolChunk = 1 << poolShift
)

// get returns a place whose content is whatever its last holder left.
func (p *pool[T]) get() uint32 {
	if n := len(p.free); n > 0 {
		i := p.free[n-1]
		p.free = p.free[:n-1]
		return i
	}
	p.used++
	if int(p.used>>poolShift) >= len(p.chunks) {
		p.chunks = append(p.chunks, make([]T, poolChunk))
	}
	return p.used
}

func (p *pool[T]) put(i uint32) { p.free = append(p.free, i) }

func (p *pool[T]) at(i uint32) *T { return &p.chunks[i>>poolShift][i&(poolChunk-1)] }
