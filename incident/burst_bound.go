package incident

import "math"

// halfSecond is what happened in some half a second: how many connections ended in some ways, and hard ones
// among these; how many were opened, and how many were over in any way.
type halfSecond struct{ ended, hard, opened, over uint64 }

// serverBurst and clientBurst report whether a second may be one that is told, in which at least
// least and at most most ended, at most so many of them hard.
func serverBurst(_, most, hard uint64) bool {
	return most >= onceLeast || most >= onceLeastHard && hard*2 >= onceLeastHard
}

func clientBurst(least, most, hard uint64) bool {
	return most >= onceClients && hard*onceHarm >= max(least, onceClients)
}

// mayBurst reports whether chronicles may show what is told: a second in which the most
// connections ended in some ways, and nearly all that were open did. It neither joins them nor
// looks at each second: it counts in half seconds. The best second holds at least as many ends as
// the best of them, and lies in three. Most hosts show by far too few. That all of them
// together do not show it says nothing of each alone.
func (j *joiner) mayBurst(all []*chronicle, of, hard kindSet, told func(least, most, hard uint64) bool) bool {
	// A bit more than half a second, so that one knows without a division in which of them an
	// instant lies; a second still lies in three.
	const halfShift = 29
	low, high, points := int64(math.MaxInt64), int64(math.MinInt64), 0
	for _, c := range all {
		if c.shift >= halfShift {
			return true // its intervals lie in more than one, or may not fit into a second
		}
		if n := len(c.points); n > 0 {
			low, high = min(low, int64(c.from(c.points[0]))), max(high, int64(c.from(c.points[n-1])))
			points += n
		}
	}
	if points == 0 {
		return false
	}
	// Where little happens in a long time, it is cheaper to look at that.
	if j.exact || low < 0 || high>>halfShift-low>>halfShift > 1<<10+int64(points)*4 {
		return true
	}
	from, n := low>>halfShift, int(high>>halfShift-low>>halfShift)+1
	if cap(j.halves) < n+2 {
		j.halves = make([]halfSecond, n+2+n/2)
	}
	halves := j.halves[:n+2] // two behind the last: a second lies in three
	clear(halves)
	const isEnded, isHard, isOver, isOpened, isMet = 1, 2, 4, 8, 16
	var classes [kinds]uint8
	for _, k := range ends {
		classes[k] |= isOver
	}
	classes[opened], classes[met] = isOpened, isMet
	for k := range kinds {
		if of.has(k) {
			classes[k] |= isEnded
		}
		if hard.has(k) {
			classes[k] |= isHard
		}
	}
	before := uint64(0) // open before the capture
	for _, c := range all {
		for i := range c.points {
			p := &c.points[i]
			class, n := classes[p.what()], uint64(p.n())
			if class == 0 {
				continue
			}
			x := &halves[p.at()>>(halfShift-c.shift)-from]
			switch {
			case class == isOpened:
				x.opened += n
				continue
			case class == isMet:
				before += n
				continue
			}
			if class&isOver != 0 {
				x.over += n
			}
			if class&isEnded != 0 {
				x.ended += n
			}
			if class&isHard != 0 {
				x.hard += n
			}
		}
	}
	best := uint64(0)
	for i := range halves {
		best = max(best, halves[i].ended)
	}
	// open is how many were open at the start of a half second, at least; what was over in the
	// half second in which the second begins may have been so before.
	open := int64(before)
	for i := range halves[2:] {
		a, b, c := &halves[i], &halves[i+1], &halves[i+2]
		open -= int64(a.over)
		if most := a.ended + b.ended + c.ended; most >= max(best, 1) && int64(most)*onceShareOf >= open*onceShare && told(best, most, a.hard+b.hard+c.hard) {
			return true
		}
		open += int64(a.opened)
	}
	return false
}
