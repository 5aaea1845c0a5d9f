package capture

import (
	"bytes"
	"math"
	"math/bits"
	"strings"

	"github.com/tcplife/tcplife/wire"
)

// clock turns the time stamps of a pcapng interface into instants: its options
// if_tsresol and if_tsoffset (draft-ietf-opsawg-pcapng section 4.2). Any value of
// either is a clock, and no stamp overflows: an instant outside of wire.Time's
// range is said to be impossible.
type clock struct {
	// Stamps below limit are stamp*mul+shift nanoseconds. That holds for the
	// resolutions in use; limit is 0 for all others.
	limit, mul uint64
	shift      int64
	// offset is in seconds.
	offset int64
	// resolution is the exponent of 1/10, or with its upper bit set of 1/2.
	resolution byte
}

// maxSeconds is the largest whole number of seconds in a wire.Time.
const maxSeconds = math.MaxInt64 / 1_000_000_000

func newClock(resolution byte, offset int64) clock {
	c := clock{resolution: resolution, offset: offset}
	if resolution <= 9 && offset >= -maxSeconds && offset <= maxSeconds {
		c.mul = pow10(9 - resolution)
		c.shift = offset * 1e9
		c.limit = uint64(math.MaxInt64-max(c.shift, 0)) / c.mul
	}
	return c
}

// time returns the instant of a stamp, and whether wire.Time can hold it. What is
// finer than a nanosecond is cut off.
func (c *clock) time(stamp uint64) (wire.Time, bool) {
	if stamp < c.limit {
		return c.usual(stamp), true
	}
	sec, nano := c.split(stamp)
	if t, ok := instant(sec, c.offset, nano); ok || stamp>>63 == 0 {
		return t, ok
	}
	// Stamps are unsigned, but some writers count down from 2^64 for instants
	// before the epoch, and nobody means so distant a future: such frames are worth
	// more with that time than lost.
	if c.offset == math.MinInt64 {
		return 0, false
	}
	sec, nano = c.split(-stamp)
	t, ok := instant(sec, -c.offset, nano)
	return -t, ok && t != math.MinInt64
}

// usual is the instant of a stamp below limit.
func (c *clock) usual(stamp uint64) wire.Time { return wire.Time(int64(stamp*c.mul) + c.shift) }

// split returns the whole seconds in stamp and the nanoseconds that remain.
func (c *clock) split(stamp uint64) (sec, nano uint64) {
	e := c.resolution & 0x7f
	if c.resolution&0x80 != 0 {
		if e < 64 {
			sec = stamp >> e
			stamp -= sec << e
		}
		hi, lo := bits.Mul64(stamp, 1e9)
		if e >= 64 {
			return 0, hi >> (e - 64)
		}
		return sec, hi<<(64-e) | lo>>e
	}
	switch {
	case e <= 9:
		unit := pow10(e)
		return stamp / unit, stamp % unit * pow10(9-e)
	case e <= 19:
		unit := pow10(e)
		return stamp / unit, stamp % unit / pow10(e-9)
	case e <= 28:
		return 0, stamp / pow10(e-9)
	}
	return 0, 0
}

// instant adds seconds, an offset in seconds and nanoseconds below one second.
func instant(sec uint64, offset int64, nano uint64) (wire.Time, bool) {
	var s int64
	if offset >= 0 {
		sum, carry := bits.Add64(sec, uint64(offset), 0)
		if carry != 0 || sum > maxSeconds {
			return 0, false
		}
		s = int64(sum)
	} else if behind := -uint64(offset); sec >= behind {
		if sec-behind > maxSeconds {
			return 0, false
		}
		s = int64(sec - behind)
	} else {
		if behind-sec > maxSeconds+1 {
			return 0, false
		}
		s = -int64(behind - sec)
	}
	n := int64(nano)
	if s < 0 && n > 0 {
		// Count from the second above, so that the earliest instants do not
		// overflow on the way.
		s, n = s+1, n-1e9
	}
	t := s * 1e9
	if s < -maxSeconds || t > 0 && n > math.MaxInt64-t || t < 0 && n < math.MinInt64-t {
		return 0, false
	}
	return wire.Time(t + n), true
}

// perSecond returns Interface.Resolution: the largest number when it does not fit.
func (c *clock) perSecond() uint64 {
	switch e := c.resolution & 0x7f; {
	case c.resolution&0x80 == 0 && e <= 19:
		return pow10(e)
	case c.resolution&0x80 != 0 && e < 64:
		return 1 << e
	}
	return math.MaxUint64
}

// pow10 returns 10 to the power of e, which is at most 19.
func pow10(e byte) uint64 {
	n := uint64(1)
	for range e {
		n *= 10
	}
	return n
}

// optionText makes a string of an option's value: bounded, valid and without the
// zero octets that some writers close it with.
func optionText(v []byte) string {
	v = bytes.TrimRight(v[:min(len(v), maxInterfaceTag)], "\x00")
	return strings.ToValidUTF8(string(v), "\uFFFD")
}
