package reassembly

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/tcplife/tcplife/wire"
)

// told is all that a tracker told, put in an order that does not depend on how records
// lie in memory.
func (h *heard) told() *heard {
	slices.SortFunc(h.conns, func(a, b Conn) int { return int(a.First) - int(b.First) })
	slices.SortFunc(h.late, func(a, b Late) int { return int(a.First) - int(b.First) })
	for i := range h.conns {
		c := &h.conns[i]
		c.Events = slices.Clip(append([]Event{}, c.Events...))
		c.ICMP = append([]ICMP{}, c.ICMP...)
		for j := range c.Ends {
			e := &c.Ends[j]
			e.Missing, e.Repeated, e.Timeline = append([]Range{}, e.Missing...), append([]Range{}, e.Repeated...), append([]Transition{}, e.Timeline...)
		}
	}
	return h
}

// coursed is a course of segments, and when the clock is told.
type coursed struct {
	segs  []wire.Segment
	ticks []bool // after which segments the tracker hears the clock
	ahead []time.Duration
	end   time.Duration // how long the capture goes on after the last
	// watched: the tracker has a Watcher.
	watched bool
}

// follower is a Watcher that keeps what it is shown, by the first frame of the
// connection.
type follower struct {
	shown    map[wire.FrameID][]string
	views    []wire.FrameID
	carriers []uint32 // of the segment before, by view
}

// shows is what a follower keeps of segments, whether the watcher is shown them, or a log has
// them all.
func shows(tuple *wire.Tuple, events []Event) []string {
	list := []string{fmt.Sprint(*tuple)}
	for _, e := range events {
		e.Kind, e.Marks = 0, 0
		list = append(list, fmt.Sprint(e))
	}
	return list
}

func (f *follower) Begin(tuple *wire.Tuple, carrier uint32, events []Event) uint32 {
	frame := wire.FrameID(0) // until its first segment is shown
	if len(events) > 0 {
		frame = events[0].Frame
	}
	f.views = append(f.views, frame)
	f.carriers = append(f.carriers, carrier)
	f.shown[frame] = shows(tuple, events)
	return uint32(len(f.views))
}

func (f *follower) Watch(view uint32, s *wire.Segment, from Side) {
	frame := &f.views[view-1]
	if *frame == 0 {
		*frame = s.Frame
	}
	if carrier := &f.carriers[view-1]; *carrier != s.Carrier {
		f.shown[*frame] = append(f.shown[*frame], fmt.Sprint("through ", s.Carrier))
		*carrier = s.Carrier
	}
	f.shown[*frame] = append(f.shown[*frame], fmt.Sprint(eventOf(s, from, 0, 0)))
}

func (f *follower) Sibling(held, fresh Kin, s *wire.Segment) {
	frame := f.views[held.View-1]
	f.shown[frame] = append(f.shown[frame], fmt.Sprint(held.Stamp, held.From, f.views[fresh.View-1], fresh.Stamp, fresh.From, s.Frame))
}

// tell runs it through a tracker with or without brief records.
func (c *coursed) tell(full bool) (*heard, *follower) {
	return c.tellWith(full, nil)
}

// tellWith calls look, if it is set, after each segment and at the end.
func (c *coursed) tellWith(full bool, look func(t *Tracker)) (*heard, *follower) {
	h, f := &heard{}, &follower{shown: map[wire.FrameID][]string{}}
	t := listener(h)
	t.cfg.full, t.cfg.Follow = full, look != nil
	if c.watched {
		t.cfg.Watch = f
		t.cfg.Settled = func(c *Conn, _ uint64) {
			k := keep(c)
			k.View = min(k.View, 1) // they are not made in the same order
			if len(c.Whole) > 0 {   // as good as to be shown it
				f.shown[c.First] = shows(&c.Tuple, c.Whole)
				k.View, k.Whole = 1, nil
			}
			h.conns = append(h.conns, k)
		}
	}
	for i := range c.segs {
		s := c.segs[i]
		t.Feed(&s)
		if c.ticks[i] {
			t.Advance(s.At.Add(c.ahead[i]))
		}
		if look != nil {
			look(t)
		}
	}
	if n := len(c.segs); n > 0 {
		t.Advance(c.segs[n-1].At.Add(c.end))
	}
	if look != nil {
		look(t)
	}
	t.Flush()
	return h.told(), f
}

// same fails unless brief records make no difference.
func (c *coursed) same(t *testing.T) {
	t.Helper()
	got, gotShown := c.tell(false)
	want, wantShown := c.tell(true)
	if got.opened != want.opened || len(got.conns) != len(want.conns) || !reflect.DeepEqual(got.late, want.late) {
		t.Fatalf("%d opened, %d settled, late %v; with full records %d, %d, %v\n%s", got.opened, len(got.conns), got.late, want.opened, len(want.conns), want.late, c)
	}
	for i := range got.conns {
		if !reflect.DeepEqual(got.conns[i], want.conns[i]) {
			t.Fatalf("with brief records (-) and with full ones (+):\n%s\nof\n%s", cmp.Diff(got.conns[i], want.conns[i], cmpopts.EquateComparable(), cmp.AllowUnexported(Transition{}, Idle{}, word{})), c)
		}
	}
	if diff := cmp.Diff(gotShown.shown, wantShown.shown); diff != "" {
		t.Fatalf("a watcher is shown with brief records (-) and with full ones (+):\n%s\nof\n%s", diff, c)
	}
}

func (c *coursed) String() string {
	if len(c.segs) == 0 {
		return ""
	}
	s := ladder(c.segs, [2]wire.Seq{c.segs[0].Seq, 5000}, c.segs[0].Tuple)
	return fmt.Sprintf("%sahead %v %v, end %v", s, c.ticks, c.ahead, c.end)
}

// talker makes the segments of a connection that goes on as it should, mostly.
type talker struct {
	r      *rand.Rand
	s      []wire.Segment
	tuple  [2]wire.Tuple
	next   [2]wire.Seq
	ack    [2]wire.Seq // the last that the side sent
	ts     [2]uint32
	stamps bool
	at     wire.Time
	fin    [2]bool
	odd    int // one in so many segments is odd; 0: none
}

func (k *talker) gap() time.Duration {
	switch k.r.IntN(40) {
	case 0:
		return 0
	case 1:
		return time.Duration(k.r.Int64N(int64(3 * time.Second)))
	case 2:
		return time.Duration(k.r.Int64N(int64(200 * time.Second)))
	case 3:
		return time.Duration(k.r.Int64N(int64(4000 * time.Second)))
	}
	return time.Duration(k.r.Int64N(int64(20 * time.Millisecond)))
}

func (k *talker) send(from Side, f wire.Flags, n uint32) {
	k.at = k.at.Add(k.gap())
	s := wire.Segment{Frame: wire.NewFrameID(0, uint64(len(k.s)+1)), At: k.at, Tuple: k.tuple[from], Seq: k.next[from], Flags: f, Len: n, Window: 500, TTL: 64, Traits: wire.TraitDF, IPID: uint16(len(k.s))}
	if f&wire.ACK != 0 {
		s.Ack = k.next[from.Peer()]
	}
	if f&wire.SYN != 0 {
		s.Options.Set, s.Options.MSS, s.Options.WindowScale = wire.OptMSS|wire.OptWindowScale|wire.OptSACKPerm, 1460, 7
	}
	if k.stamps {
		k.ts[from] += uint32(k.r.IntN(3))
		s.Options.Set |= wire.OptTimestamps
		s.Options.TSVal = k.ts[from]
		if f&wire.ACK != 0 {
			s.Options.TSEcr = k.ts[from.Peer()]
		}
	}
	if k.odd != 0 && k.r.IntN(k.odd) == 0 {
		k.bend(&s, from)
	}
	k.next[from] = s.End()
	if s.Flags&wire.ACK != 0 {
		k.ack[from] = s.Ack
	}
	k.s = append(k.s, s)
	if k.odd != 0 && k.r.IntN(2*k.odd) == 0 {
		again := k.s[k.r.IntN(len(k.s))]
		k.at = k.at.Add(k.gap())
		again.At, again.Frame = k.at, wire.NewFrameID(0, uint64(len(k.s)+1))
		k.s = append(k.s, again)
	}
}

// again repeats one of the last segments, and perhaps that again, as timers have it.
func (k *talker) again(last int) {
	i := len(k.s) - 1 - k.r.IntN(min(last, len(k.s)))
	for range 1 + k.r.IntN(3)*k.r.IntN(6) {
		s := k.s[i]
		k.at = k.at.Add(time.Duration(k.r.Int64N(int64(3 * time.Second))))
		if k.r.IntN(20) == 0 {
			k.at = k.at.Add(time.Duration(k.r.Int64N(int64(120 * time.Second))))
		}
		s.At, s.Frame, s.IPID = k.at, wire.NewFrameID(0, uint64(len(k.s)+1)), uint16(len(k.s))
		if s.Options.Set.Has(wire.OptTimestamps) {
			s.Options.TSVal += uint32(k.r.IntN(1000))
		}
		switch k.r.IntN(12) {
		case 0:
			s.Flags ^= wire.ECE
		case 1:
			s.Window--
		case 2:
			s.TTL--
		case 3:
			s.Ack += wire.Seq(k.r.IntN(3)) - 1
		case 4:
			s.Seq += wire.Seq(k.r.IntN(3)) - 1
		}
		k.s = append(k.s, s)
		if k.r.IntN(4) == 0 {
			i = len(k.s) - 1 - k.r.IntN(min(last, len(k.s)))
		}
	}
}

// abort sends a RST, once in so many times, and something behind it once in a while.
func (k *talker) abort(once int) {
	r := k.r
	if r.IntN(once) > 0 {
		return
	}
	from := Side(r.IntN(2))
	k.send(from, wire.RST|wire.ACK*wire.Flags(r.IntN(2)), 0)
	s := &k.s[len(k.s)-1]
	if s.Flags&wire.RST == 0 {
		return // it was bent, or something came again
	}
	switch r.IntN(6) {
	case 0:
		s.Options = wire.Options{}
	case 1:
		s.Seq = k.ack[from.Peer()]
	case 2:
		s.Window, s.TTL = 0, s.TTL-uint8(r.IntN(3))
	case 3:
		s.Seq = 0
	}
	if r.IntN(4) == 0 {
		k.send(Side(r.IntN(2)), wire.ACK, uint32(r.IntN(2)*100))
	}
	if r.IntN(8) == 0 {
		k.send(from, wire.RST, 0)
	}
}

// bend makes a segment odd.
func (k *talker) bend(s *wire.Segment, from Side) {
	switch k.r.IntN(18) {
	case 0:
		s.Seq += wire.Seq(k.r.IntN(3)) - 1
	case 1:
		s.Ack += wire.Seq(k.r.IntN(3)) - 1
	case 2:
		s.Ack = k.ack[from]
	case 3:
		s.Window = uint16(k.r.IntN(3)) * 200
	case 4:
		s.TTL--
	case 5:
		s.Flags ^= 1 << k.r.IntN(9)
	case 6:
		s.Options.TSVal -= uint32(k.r.IntN(3))
	case 7:
		s.Options.Set ^= 1 << k.r.IntN(16)
	case 8:
		s.Traits ^= 1 << k.r.IntN(3)
	case 9:
		s.Len = uint32(k.r.IntN(70000))
	case 10:
		s.Flags = wire.RST | s.Flags&wire.ACK
	case 11:
		s.At = s.At.Add(-k.gap())
	case 12:
		if s.Flags&wire.SYN != 0 {
			s.Options.WindowScale = uint8(k.r.IntN(18))
		}
	case 13:
		s.Carrier = 7
	case 14:
		s.Tuple.Encap = 1
	case 15:
		s.Seq += wire.Seq(k.r.Uint32())
	case 16:
		s.Ack += wire.Seq(k.r.Uint32())
	case 17:
		if s.Flags&wire.SYN != 0 {
			s.Options.MSS = uint16(k.r.IntN(2000))
		}
	}
}

// talk makes a connection from its SYN to some end.
func (k *talker) talk() {
	r := k.r
	k.next, k.fin, k.stamps = [2]wire.Seq{wire.Seq(r.Uint32()), wire.Seq(r.Uint32())}, [2]bool{}, r.IntN(3) > 0
	k.ts = [2]uint32{r.Uint32(), r.Uint32()}
	if r.IntN(6) == 0 {
		k.next[r.IntN(2)] = 0xfffffffd
	}
	k.send(Client, wire.SYN, 0)
	if r.IntN(20) == 0 {
		k.again(1)
		if r.IntN(2) == 0 {
			return
		}
	}
	if r.IntN(8) == 0 {
		k.abort(3)
		return
	}
	k.send(Server, wire.SYN|wire.ACK, 0)
	if r.IntN(12) == 0 {
		k.abort(2)
		return
	}
	k.send(Client, wire.ACK, 0)
	n := r.IntN(14)
	if r.IntN(8) == 0 {
		n += r.IntN(150) // more than a brief record holds
	}
	for range n {
		if r.IntN(3) == 0 {
			k.send(Side(r.IntN(2)), wire.ACK, 0)
		} else {
			k.send(Side(r.IntN(2)), wire.ACK|wire.PSH, uint32(1+r.IntN(1500)))
		}
	}
	closer := Side(r.IntN(2))
	switch r.IntN(10) {
	case 0:
		return
	case 1:
		k.abort(1)
		return
	case 2: // the FINs cross, and a RST may
		known := k.next[closer]
		k.send(closer, wire.FIN|wire.ACK, uint32(r.IntN(2)*r.IntN(100)))
		k.send(closer.Peer(), wire.PSH|wire.FIN*wire.Flags(r.IntN(2))|wire.ACK, uint32(r.IntN(2)*r.IntN(100)))
		if k.s[len(k.s)-1].Tuple == k.tuple[closer.Peer()] {
			k.s[len(k.s)-1].Ack = known
		}
		k.abort(2)
		if r.IntN(2) == 0 {
			k.send(closer, wire.ACK, 0)
			k.send(closer.Peer(), wire.ACK, 0)
		}
	case 3: // data behind the FIN, which meets a RST
		k.send(closer, wire.FIN|wire.ACK, 0)
		for range 1 + r.IntN(3) {
			k.send(closer.Peer(), wire.ACK, uint32(r.IntN(1000)))
		}
		k.abort(1)
	case 4: // the second FIN brings the first's ACK
		k.send(closer, wire.FIN|wire.ACK, uint32(r.IntN(2)*r.IntN(100)))
		k.send(closer.Peer(), wire.FIN|wire.ACK, uint32(r.IntN(2)*r.IntN(100)))
		k.send(closer, wire.ACK, 0)
	default:
		k.send(closer, wire.FIN|wire.ACK, uint32(r.IntN(2)*r.IntN(100)))
		if r.IntN(9) == 0 {
			return
		}
		k.send(closer.Peer(), wire.ACK, uint32(r.IntN(2)*r.IntN(2)*r.IntN(100)))
		if r.IntN(9) == 0 {
			return
		}
		k.send(closer.Peer(), wire.FIN|wire.ACK, uint32(r.IntN(2)*r.IntN(100)))
		if r.IntN(9) == 0 {
			return
		}
		k.send(closer, wire.ACK, 0)
	}
	if r.IntN(8) == 0 {
		k.again(4)
	}
}

// TestBriefRecords holds connections in brief records and in full ones side by side:
// what they tell is the same to the octet.
func TestBriefRecords(t *testing.T) {
	n := 30000
	if testing.Short() || raced {
		n = 6000
	}
	for i := range n {
		talkedAbout(i).same(t)
	}
}

// TestRepeatsStayBrief has a SYN repeated, and a FIN behind the close: neither makes a full
// record, for as long as a brief one has room.
func TestRepeatsStayBrief(t *testing.T) {
	for _, opened := range []bool{false, true} {
		k := &talker{r: rand.New(rand.NewPCG(1, 1)), at: scriptStart, stamps: true}
		k.tuple = [2]wire.Tuple{newScript().tuple, newScript().tuple.Reverse()}
		k.send(Client, wire.SYN, 0)
		if opened {
			k.send(Server, wire.SYN|wire.ACK, 0)
			k.send(Client, wire.ACK, 0)
			k.send(Client, wire.FIN|wire.ACK, 0)
			k.send(Server, wire.FIN|wire.ACK, 0)
			k.send(Client, wire.ACK, 0)
		}
		again := k.s[max(0, len(k.s)-2)]
		fed := func() *Tracker {
			tr := listener(&heard{})
			for i := range k.s {
				tr.Feed(&k.s[i])
			}
			return tr
		}
		// A doubled frame does not keep the connection, which is for a full record to know.
		tr, double := fed(), k.s[len(k.s)-1]
		double.At = double.At.Add(sureWindow)
		if tr.Feed(&double); tr.recs.live() != 1 {
			t.Errorf("opened %v: a doubled frame makes %d full records", opened, tr.recs.live())
		}
		tr = fed()
		for n := 1; n <= briefMaxRepeats+1; n++ {
			k.at = k.at.Add(time.Second)
			s := again
			s.At, s.Frame = k.at, wire.NewFrameID(0, uint64(len(k.s)+n))
			tr.Feed(&s)
			if full, want := tr.recs.live() > 0, n > briefMaxRepeats; full != want {
				t.Errorf("opened %v: a full record with %d repeats: %v, want %v", opened, n, full, want)
			}
		}
	}
}

// talkedAbout is the course with a number: one tuple, with one life or some.
func talkedAbout(i int) *coursed {
	r := rand.New(rand.NewPCG(uint64(i), 1))
	k := &talker{r: r, at: scriptStart}
	tuple := newScript().tuple
	k.tuple = [2]wire.Tuple{tuple, tuple.Reverse()}
	if i%2 == 1 {
		k.tuple = [2]wire.Tuple{tuple.Reverse(), tuple}
	}
	k.odd = []int{0, 3, 10, 30}[i/2%4]
	for range 1 + r.IntN(2)*r.IntN(3) {
		k.talk()
		k.at = k.at.Add(k.gap() * 3)
	}
	c := &coursed{segs: k.s, watched: i%3 == 0, end: k.gap() * time.Duration(r.IntN(4))}
	for range k.s {
		c.ticks = append(c.ticks, r.IntN(3) > 0)
		c.ahead = append(c.ahead, time.Duration(r.IntN(8)/7)*k.gap())
	}
	return c
}

// TestRuns holds long connections beside each other, whose segments takeRun takes, with what
// it must leave to others between them: ACKs that were overtaken, doubled frames that look as
// if they went on, and two sides that answer each other.
func TestRuns(t *testing.T) {
	for i := range 500 {
		r := rand.New(rand.NewPCG(uint64(i), 2))
		tuple := newScript().tuple
		k := &talker{r: r, at: scriptStart, tuple: [2]wire.Tuple{tuple, tuple.Reverse()}, stamps: i%2 == 0, next: [2]wire.Seq{wire.Seq(r.Uint32()), wire.Seq(r.Uint32())}}
		soon := func(s wire.Segment) {
			k.at = k.at.Add(time.Millisecond)
			s.At, s.Frame = k.at, wire.NewFrameID(0, uint64(len(k.s)+1))
			k.s = append(k.s, s)
		}
		k.send(Client, wire.SYN, 0)
		k.send(Server, wire.SYN|wire.ACK, 0)
		k.send(Client, wire.ACK, 0)
		for range 20 {
			k.send(Client, wire.ACK|wire.PSH, 10)
			k.send(Server, wire.ACK, 100)
		}
		for range 1 + r.IntN(40) {
			switch from := Side(r.IntN(2)); r.IntN(5) {
			case 0: // a new ACK, one that it overtook, and the first one again
				k.send(from, wire.ACK, 0)
				old := k.s[len(k.s)-1]
				k.send(from.Peer(), wire.ACK, 50)
				k.send(from, wire.ACK, 0)
				double := k.s[len(k.s)-1]
				old.IPID = 9000 + uint16(len(k.s))
				soon(old)
				soon(double)
			case 1:
				for range 2 * r.IntN(9) {
					k.send(from, wire.ACK, 0)
					from = from.Peer()
				}
			default:
				k.send(from, wire.ACK, uint32(r.IntN(3)*100))
			}
		}
		c := &coursed{segs: k.s, ticks: make([]bool, len(k.s)), ahead: make([]time.Duration, len(k.s)), end: time.Hour}
		c.same(t)
	}
}
