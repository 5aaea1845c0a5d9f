package rosetta

import (
	"time"

	"github.com/tcplife/tcplife/reassembly"
	"github.com/tcplife/tcplife/wire"
)

// longHistory holds a history that does not fit in zeek.letters: one of a connection
// that sends SYNs, FINs and RSTs with ever new numbers. Zeek has no bound; what is
// beyond this one is left out.
type longHistory [256]byte

// letter enters a segment's letter.
func (z *zeek) letter(s *segment, o int, rel uint32, pool *pools) {
	e := &z.ends[o]
	again := func(number uint32, last *uint32, bit uint16, c byte) {
		if z.once(o, bit, c, pool) && number != *last {
			z.add(pool, side(o, c))
		}
		*last = number
	}
	const control = wire.SYN | wire.FIN | wire.RST
	switch flags := s.flags & control; {
	case flags == wire.SYN && s.flags&wire.ACK != 0:
		again(rel, &e.syn, seenSYN, 'H')
	case flags == wire.SYN:
		again(rel, &e.syn, seenSYN, 'S')
	case flags == wire.FIN:
		again(rel+s.len, &e.fin, seenFIN, 'F')
	case flags == wire.RST:
		again(rel, &e.rst, seenRST, 'R')
	case flags.Has(wire.FIN | wire.RST):
		z.once(o, seenFINRST, 'I', pool)
	case flags != 0:
		z.once(o, seenFlags, 'Q', pool)
	case s.len > 0:
		z.once(o, seenData, 'D', pool)
	case s.flags&wire.ACK != 0:
		z.once(o, seenACK, 'A', pool)
	}
}

// zeekMoves is Tunnel::max_changes_per_connection: a connection that changes between
// tunnels more often is marked. One with different ends for each direction (GTP) does.
const zeekMoves = 5

// moved says that the next segment comes through another tunnel than the last.
func (z *zeek) moved(pool *pools) {
	if z.moves > zeekMoves {
		return
	}
	if z.moves++; z.moves > zeekMoves {
		z.add(pool, 'X')
	}
}

// once enters a letter unless one of its kind stands there, and reports whether one
// did.
func (z *zeek) once(o int, bit uint16, c byte, pool *pools) (there bool) {
	bit <<= 8 * o
	if z.seen&bit != 0 {
		return true
	}
	z.seen |= bit
	z.add(pool, side(o, c))
	return false
}

// scaled enters a letter for the first, tenth, hundredth, ... time.
func (z *zeek) scaled(o int, c byte, count uint32, pool *pools) {
	if isPower(count) {
		z.add(pool, side(o, c))
	}
}

// isPower reports whether n is a power of ten.
func isPower(n uint32) bool {
	for n%10 == 0 && n > 0 {
		n /= 10
	}
	return n == 1
}

// side returns a letter as the endpoint writes it.
func side(o int, c byte) byte {
	if o == 1 {
		c |= 'a' - 'A'
	}
	return c
}

// add appends to the history of the first row. pool may be nil as long as the history
// is short.
func (z *zeek) add(pool *pools, c byte) {
	if z.rows > 1 {
		return
	}
	switch n := int(z.length); {
	case n < len(z.letters):
		z.letters[n] = c
	case n >= len(longHistory{}) || pool == nil:
		return
	default:
		if z.more == 0 {
			z.more = pool.histories.get()
			copy(pool.histories.at(z.more)[:], z.letters[:])
		}
		pool.histories.at(z.more)[n] = c
	}
	z.length++
}

func (z *zeek) history(pool *pools) []byte {
	if z.more != 0 {
		return pool.histories.at(z.more)[:z.length]
	}
	return z.letters[:z.length]
}

// view returns the first row, and text with the history appended.
func (z *zeek) view(start wire.Time, pool *pools, text []byte) (Zeek, []byte) {
	v := Zeek{Rows: z.rows}
	row, last := z.state, z.closedLast
	if z.rows <= 1 {
		row, last = z.row(pool), z.last
	}
	v.State = row.String()
	v.Duration = max(last.Sub(start), time.Duration(0))
	if z.shown {
		v.Originator = reassembly.Server
	}
	text = append(text, z.history(pool)...)
	v.History = text
	return v, text
}

// release gives back what the connection holds of the pools.
func (z *zeek) release(pool *pools) {
	for i := range z.ends {
		z.ends[i].order.release(pool)
	}
	if z.more != 0 {
		pool.histories.put(z.more)
		z.more = 0
	}
}
