package incident

import (
	"bytes"
	"cmp"
	"slices"

	"github.com/tcplife/tcplife/reassembly"
	"github.com/tcplife/tcplife/wire"
)

// maxExamples is how many connections an incident names: enough to go and look.
const maxExamples = 10

// example is a connection that shows something: the frame that does, and the
// connection's uid, of which text is made when it is told.
type example struct {
	frame wire.FrameID
	uid   reassembly.UID
}

// compare orders examples by frame. Two connections share one where a frame holds several
// packets (IEEE 802.11 A-MSDU); then the uid decides, as it is printed.
func (e *example) compare(o *example) int {
	if e.frame != o.frame || e.uid == o.uid {
		return cmp.Compare(e.frame, o.frame)
	}
	a, b := e.uid.Text(), o.uid.Text()
	return bytes.Compare(a[:], b[:])
}

// examples are the earliest of those that show something, each once.
type examples struct {
	n uint8
	// last is the latest one's frame when there is no room for more: beside n, because
	// nearly always that is all there is to look at.
	last wire.FrameID
	all  [maxExamples]example
}

// add takes an example if it is one of the earliest.
func (x *examples) add(frame wire.FrameID, f *facts) {
	if x.takes(frame) {
		x.insert(example{frame, f.uid()})
	}
}

// takes reports whether a frame may be one of the earliest.
func (x *examples) takes(frame wire.FrameID) bool { return x.n < maxExamples || frame <= x.last }

func (x *examples) insert(e example) {
	at := int(x.n)
	for at > 0 && (x.all[at-1].frame > e.frame || x.all[at-1].frame == e.frame && x.all[at-1].compare(&e) > 0) {
		at--
	}
	if at == maxExamples || at > 0 && x.all[at-1] == e {
		return
	}
	x.n = min(x.n+1, maxExamples)
	copy(x.all[at+1:x.n], x.all[at:])
	x.all[at] = e
	x.last = x.all[x.n-1].frame
}

func (x *examples) merge(o *examples) {
	if x.n == 0 {
		*x = *o
		return
	}
	for _, e := range o.all[:o.n] {
		if !x.takes(e.frame) {
			return // those that follow come later still
		}
		x.insert(e)
	}
}

// uids returns their connections, the earliest first.
func (x *examples) uids() (all []string) {
	for _, e := range x.all[:x.n] {
		if s := e.uid.String(); !slices.Contains(all, s) {
			all = append(all, s)
		}
	}
	return all
}

// frames returns the frames that show it, in capture order.
func (x *examples) frames() (all []wire.FrameID) {
	for _, e := range x.all[:x.n] {
		all = append(all, e.frame)
	}
	return slices.Compact(all)
}
