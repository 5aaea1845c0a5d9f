package reassembly

import (
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/tcplife/tcplife/wire"
)

// wheeled is a tracker whose records are filed by hand.
type wheeled struct {
	t       *Tracker
	now     wire.Time
	due     map[uint64]wire.Time // by stamp
	settled []uint64
	recs    map[uint64]uint32
	filed   uint64
}

func newWheeled(start wire.Time) *wheeled {
	w := &wheeled{now: start, due: map[uint64]wire.Time{}, recs: map[uint64]uint32{}}
	w.t = New(Config{Settled: func(c *Conn, opened uint64) { w.settled = append(w.settled, opened) }})
	w.t.Advance(start)
	return w
}

func (w *wheeled) file(deadline wire.Time) uint64 {
	s := newScript().client(syn, 0, 0).segs[0]
	n := w.filed
	w.filed++
	s.Tuple.SrcPort, s.Tuple.Src.Lo = uint16(n), s.Tuple.Src.Lo+n>>16
	key, swapped := keyOf(&s.Tuple)
	rec := w.t.open(&s, &key, w.t.cfg.Seed.hash(&key), swapped)
	w.recs[n], w.due[n] = rec, deadline
	w.move(n, deadline)
	return n
}

func (w *wheeled) move(n uint64, deadline wire.Time) {
	w.due[n] = deadline
	r := w.t.recs.at(w.recs[n])
	r.deadline = deadline
	w.t.wheel.file(w.recs[n], deadline, &r.turn)
}

func (w *wheeled) advance(to wire.Time) (settled []uint64) {
	w.settled = w.settled[:0]
	w.t.Advance(to)
	w.now = max(w.now, to)
	for _, n := range w.settled {
		delete(w.due, n)
		delete(w.recs, n)
	}
	return slices.Clone(w.settled)
}

// TestWheel: nothing leaves early, and everything has left a second after it was
// due, whether its deadline moved on or not; time may stand still or go back.
func TestWheel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := newWheeled(wire.Time(rapid.SampledFrom([]int64{0, 1, 255e9, 1_700_000_000_123_456_789}).Draw(t, "start")))
		span := rapid.Int64Range(0, int64(250*time.Second))
		t.Repeat(map[string]func(*rapid.T){
			"file": func(t *rapid.T) {
				if w.file(w.now + wire.Time(span.Draw(t, "deadline")) + 1); w.t.Open() != len(w.due) {
					t.Fatalf("%d records, want %d", w.t.Open(), len(w.due))
				}
			},
			"postpone": func(t *rapid.T) {
				for n := range w.filed {
					if d, ok := w.due[n]; ok && rapid.Bool().Draw(t, "this") {
						w.move(n, max(d, w.now+wire.Time(span.Draw(t, "deadline"))+1))
						return
					}
				}
			},
			"advance": func(t *rapid.T) {
				to := w.now + wire.Time(rapid.Int64Range(-1e11, int64(time.Minute)).Draw(t, "by"))
				due := map[uint64]wire.Time{}
				for n, d := range w.due {
					due[n] = d
				}
				for _, n := range w.advance(to) {
					if due[n] > w.now {
						t.Fatalf("%d left at %d, due at %d", n, w.now, due[n])
					}
				}
				for n, d := range w.due {
					if d+1e9 <= w.now {
						t.Fatalf("%d is still there at %d, was due at %d", n, w.now, d)
					}
				}
			},
		})
	})
}

// TestWheelEarlier: a deadline that moves forward counts, too. It does for every
// ordinary connection: its SYN is given minutes, its close only 2MSL.
func TestWheelEarlier(t *testing.T) {
	w := newWheeled(scriptStart)
	n := w.file(scriptStart.Add(191 * time.Second))
	w.move(n, scriptStart.Add(67*time.Second))
	if len(w.advance(scriptStart.Add(69*time.Second))) != 1 {
		t.Error("a record that is filed stays in its slot when its deadline moves forward")
	}
}

// TestWheelLeap: one step over more than the wheel's circumference leaves nothing
// behind that was due, and later deadlines keep their second.
func TestWheelLeap(t *testing.T) {
	w := newWheeled(0)
	near, far := w.file(wire.Time(10*time.Second)), w.file(wire.Time(1005*time.Second))
	if got := w.advance(wire.Time(1000 * time.Second)); !slices.Equal(got, []uint64{near}) {
		t.Fatalf("%v left, want %v", got, near)
	}
	if got := w.advance(wire.Time(1007 * time.Second)); !slices.Equal(got, []uint64{far}) {
		t.Error("what was filed again on the way sits in a slot whose turn comes late")
	}
}

// TestShortTurns: a short turn says as much as the long one, wherever the clock stands.
func TestShortTurns(t *testing.T) {
	for _, now := range []int64{-3, 0, 1<<14 - 2, 1<<14 + 1, 1700000000, 1<<30 - 2, 1<<32 - 1} {
		w := wheel{now: now}
		for ahead := int64(1); ahead < wheelSlots; ahead++ {
			for _, want := range []turn{turnOf(now + ahead), turnOf(now+ahead) | turnLater} {
				if got := w.long(want.short()); got != want {
					t.Fatalf("at %d, %d ahead: %#x, want %#x", now, ahead, got, want)
				}
			}
		}
	}
	if w := (wheel{}); w.long(turn(0).short()) != 0 {
		t.Error("none is one")
	}
}
