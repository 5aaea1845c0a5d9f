package incident

// counts counts by small numbers. Most see two or three of them, which take a line of the cache;
// who sees many has a list of all. Which of the two it is depends on what was counted alone.
type counts struct {
	// n and of are the numbers that were seen, plus 1, in their order, and how often each
	// was; 0 stands behind the last one. Once all is there it has what they had.
	n   [fewCounts]uint32
	of  [fewCounts]uint8
	all *[countsSize]uint32
}

const (
	// countsSize is how many numbers there are, from 0 on.
	countsSize = 128
	// fewCounts is how many are counted one by one. On 100,000 connections closed in every way
	// one in fifty of those that count needs more.
	fewCounts = 8
)

// add counts a number so many times.
func (c *counts) add(number int, times uint32) {
	if c.all != nil {
		c.all[number&(countsSize-1)] += times
		return
	}
	me, at := uint8(number+1), 0
	for ; at < fewCounts && c.of[at] != 0 && c.of[at] <= me; at++ {
		if c.of[at] == me {
			c.n[at] += times
			return
		}
	}
	if c.of[fewCounts-1] != 0 {
		all := c.list()
		c.n, c.of, c.all = [fewCounts]uint32{}, [fewCounts]uint8{}, &all
		c.all[number&(countsSize-1)] += times
		return
	}
	copy(c.n[at+1:], c.n[at:])
	copy(c.of[at+1:], c.of[at:])
	c.n[at], c.of[at] = times, me
}

// merge adds what o has counted.
func (c *counts) merge(o *counts) {
	if o.all == nil {
		for i := 0; i < fewCounts && o.of[i] != 0; i++ {
			c.add(int(o.of[i])-1, o.n[i])
		}
		return
	}
	for number, n := range o.all {
		if n > 0 {
			c.add(number, n)
		}
	}
}

// times returns how often a number was seen.
func (c *counts) times(number int) uint32 {
	if c.all != nil {
		return c.all[number&(countsSize-1)]
	}
	for i, of := range c.of {
		if int(of) == number+1 {
			return c.n[i]
		}
	}
	return 0
}

// list returns how often each number was seen.
func (c *counts) list() (all [countsSize]uint32) {
	if c.all != nil {
		return *c.all
	}
	for i := 0; i < fewCounts && c.of[i] != 0; i++ {
		all[c.of[i]-1] = c.n[i]
	}
	return all
}
