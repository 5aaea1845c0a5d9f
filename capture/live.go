package capture

import (
	"errors"
	"fmt"
	"time"

	"github.com/tcplife/tcplife/wire"
)

// Live is a source whose frames are made while it is read: an interface, a pipe, a file
// that grows. Whoever reads it has other things to do when none comes, so there is a
// Next that does not wait for ever.
type Live interface {
	Source
	// NextWithin is Next, but waits no longer than about d for a frame and returns
	// ErrNoFrame if none came; the source goes on. With 0 it does not wait at all.
	// Besides what Next returns it may return a *Gap, once for each, and goes on or says
	// io.EOF after it. It must not return ErrNoFrame while it holds a frame back.
	NextWithin(f *wire.Frame, d time.Duration) error
}

// ErrNoFrame says that no frame came in the time given.
var ErrNoFrame = errors.New("no frame came in time")

// Losses is what a live source says of the frames that it could not hand out, since it
// was opened.
type Losses struct {
	// Received are the frames that reached the capturing host's queue, those dropped
	// included; Dropped those for which the queue had no room. Freezes counts how often
	// the queue stood still because it was full.
	Received, Dropped, Freezes uint64
}

// LossCounter is a source that knows what it loses. Losses is called between calls of
// Next, on the same goroutine, some times a second; it also is what Info().Interfaces
// says of Received and Dropped.
type LossCounter interface {
	Losses() Losses
}

// Gap is a time in which a live source was blind, or lost frames: named, so that nobody
// takes the silence for the network's. As an error it is no failure of the source. A time
// that lasts may be told twice: when it begins, without To, and when it is over.
type Gap struct {
	// Name is the input, What what happened: "the interface went down".
	Name, What string
	// From and To are the times between which frames may be missing; 0 is not known, of
	// To also not over yet.
	From, To wire.Time
	// Frames is how many are missing, as far as is known.
	Frames uint64
}

// Error returns "eth0: the interface went down".
func (g *Gap) Error() string {
	if g.Frames > 0 {
		return fmt.Sprintf("%s: %s (%d frames are missing)", g.Name, g.What, g.Frames)
	}
	return g.Name + ": " + g.What
}
