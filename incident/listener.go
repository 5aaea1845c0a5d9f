package incident

import (
	"time"

	"github.com/tcplife/tcplife/finding"
	"github.com/tcplife/tcplife/reassembly"
	"github.com/tcplife/tcplife/wire"
)

// listener is what is counted of an address and port that answers SYNs, or that
// connections from before the capture go to. What every connection changes stands together,
// in front.
type listener struct {
	// complete and joined count established connections: opened in the capture, and
	// before it. half and ignored count openings that did not come about (see opening).
	complete, joined, half, ignored uint32
	// syns and synacks count the copies of all of them.
	syns, synacks uint32
	// mute counts established connections that got an ACK for their data and no octet in
	// return, unclosed those that nobody ended.
	mute, unclosed uint32
	// firstOK and lastOK are the starts of the first and the last that was completed,
	// heard when the server was last heard on any, spoke when its program was.
	firstOK, lastOK, heard, spoke wire.Time
	// packets counts segments.
	packets uint64
	// some and held are examples of all and of those that the server ended.
	some, held *examples
	// closed counts ends by kind.
	closed [kinds]uint32
	// closing are the server's endpoints.
	closing standing

	// repeats counts segments that repeat others, resyns those of them that are SYNs and
	// SYN-ACKs.
	repeats, resyns uint64
	// aborted counts openings whose ACK the server answered by RST.
	aborted uint32
	// untouched counts completed handshakes of which the server took nothing more, since
	// firstUntouched.
	untouched      uint32
	firstUntouched wire.Time
	// unheeded counts connections whose handshake's ACK the server ignored, at least at
	// first, rejected those where it answered it by RST; each in any of the ways that it
	// can be seen.
	unheeded, rejected uint32
	// given counts those of half that the client reset itself.
	given uint32
	// steps counts connections by how long connecting took: about one, three, seven
	// and more seconds, if SYN or SYN-ACK was repeated.
	steps [4]uint32
	// resent counts those whose SYN was sent again before anything answered.
	resent uint32
	// classes counts connections that ended by RST, by its sender and what it was.
	classes [2][resetClasses]uint32
	// wasted counts those of them with octets that nobody acknowledged.
	wasted [2]uint32
	// cut counts connections whose closer reset what the other side was sending, by closer
	// and whether it had closed by FIN (0) or RST; unheard those whose server's own last
	// octets were not acknowledged.
	cut     [2][2]uint32
	unheard uint32
	// resets counts RST segments by sender, resetters the connections that had one.
	resets    [2]uint64
	resetters [2]uint32
	// stalls counts connections whose first data the server took only when it was
	// repeated, restarts these repetitions.
	stalls   uint32
	restarts uint64
	// lossy and oneWay count connections of which the capture lacks something.
	lossy, oneWay uint32
	// stuck counts endpoints whose FIN nobody acknowledged, by side.
	stuck [2]stuckCounts
	// idle are the silences before a side closed by FIN (see reassembly.Idle).
	idle [2]*spread
	// races are the silences before a close that a request crossed, by closer; stales
	// those before a close that the other side had not noticed when it sent a request.
	races, stales [2]*spread
	// late is how long after the close those requests came.
	late *spread
	// gaveUp is how long clients had waited for an answer when they closed, tooLate how
	// long after the request it came.
	gaveUp, tooLate *spread
	// zero counts connections whose receiver closed its window for long, dead those that
	// ended so, by the receiver.
	zero, dead [2]uint32
	// lost counts those of dead whose receiver did not answer the sender's probes any more.
	lost [2]uint32
	// halves are when the openings of half began.
	halves *pulse
	// checks are connections that only looked whether it answers.
	checks *checks
	told   *told

	// Examples of what is counted.
	halfs, queued, slow, reset, raced, stalled, hasty, cuts *examples
}

// stuckCounts counts endpoints stuck in FIN_WAIT_1, LAST_ACK and CLOSING, those whose
// FIN_WAIT_2 was over when the peer spoke, and those that reset its late data then,
// whether it was over or not. acked counts those of the first three whose FIN was
// acknowledged as far as the tap.
type stuckCounts struct{ finWait1, lastACK, closing, orphaned, late, acked uint32 }

func (n *stuckCounts) count(catalogue string) {
	switch catalogue {
	case "C06":
		n.finWait1++
	case "C09":
		n.lastACK++
	case "C10":
		n.closing++
	}
}

func (n *stuckCounts) total() uint64 {
	return uint64(n.finWait1) + uint64(n.lastACK) + uint64(n.closing) + uint64(n.orphaned) + uint64(n.late)
}

// The classes of RST that end connections.
const (
	resetAbort = iota
	resetUnread
	resetLate
	resetNoSocket
	resetDevice

	resetClasses
)

var resetNames = [resetClasses]string{"socket aborted", "closed with unread data", "data after the close", "host without that socket", "a device"}

func resetClass(r reassembly.CloseReason) int {
	switch r {
	case reassembly.CloseAbort:
		return resetAbort
	case reassembly.CloseAbortUnread:
		return resetUnread
	case reassembly.CloseLateDataReset:
		return resetLate
	case reassembly.CloseNoSocketReset:
		return resetNoSocket
	case reassembly.CloseDeviceReset:
		return resetDevice
	}
	return -1
}

// show takes an example, and makes the room for it where there is none yet.
func show(x **examples, frame wire.FrameID, f *facts) {
	if *x == nil {
		*x = new(examples)
	}
	(*x).add(frame, f)
}

func mergeExamples(x **examples, o *examples) {
	if o == nil {
		return
	}
	if *x == nil {
		*x = new(examples)
	}
	(*x).merge(o)
}

func addSpread(s **spread, d time.Duration) {
	if *s == nil {
		*s = new(spread)
	}
	(*s).add(d)
}

func mergeSpread(s **spread, o *spread) {
	if o == nil {
		return
	}
	if *s == nil {
		*s = new(spread)
	}
	(*s).merge(o)
}

// earliest returns the earlier of two times, of which 0 is none.
func earliest(a, b wire.Time) wire.Time {
	if a == 0 || b != 0 && b < a {
		return b
	}
	return a
}

func (l *listener) add(f *facts) {
	c := f.c
	l.heard = max(l.heard, f.heard)
	l.syns += c.Handshake.SYNs
	l.synacks += c.Handshake.SYNACKs
	l.resyns += uint64(max(c.Handshake.SYNs, 1)-1) + uint64(max(c.Handshake.SYNACKs, 1)-1)
	switch f.opening {
	case half:
		l.half++
		if c.Seen&reassembly.SeenRSTClient != 0 {
			l.given++
		}
		if l.halves == nil {
			l.halves = new(pulse)
		}
		l.halves.add(c.Start)
		show(&l.halfs, c.First, f)
	case ignored:
		if c.Seen&reassembly.SeenRSTServer != 0 {
			l.aborted++
		} else {
			l.ignored++
		}
		show(&l.queued, c.First, f)
	case untouched:
		l.untouched++
		l.firstUntouched = earliest(l.firstUntouched, c.Start)
		show(&l.queued, c.First, f)
	case open:
		l.established(f)
	}
	aborted := f.opening == ignored && c.Seen&reassembly.SeenRSTServer != 0
	switch {
	case aborted, has(f.signs, "H07") != nil:
		l.rejected++
	case f.opening == ignored, f.opening == untouched, f.unheeded():
		l.unheeded++
	}
	if f.isCheck() {
		if l.checks == nil {
			l.checks = new(checks)
		}
		l.checks.add(f)
	}
	tell(&l.told, f.places)
	for i := range c.Ends {
		l.packets += c.Ends[i].Packets - c.Ends[i].Duplicates
		l.repeats += c.Ends[i].Retransmits
	}
	if len(f.signs) > 0 {
		l.noted(f)
	}
}

func (l *listener) established(f *facts) {
	c := f.c
	if c.Handshake.Outcome == reassembly.HandshakeComplete {
		l.complete++
		l.firstOK = earliest(l.firstOK, c.Start)
		l.lastOK = max(l.lastOK, c.Start)
		if c.Handshake.SYNs > 1 || c.Handshake.SYNACKs > 1 {
			l.retried(f)
		}
	} else {
		l.joined++
	}
	show(&l.some, c.First, f)
	if f.waited[reassembly.Server] {
		client := clientKey(&c.Tuple)
		l.closing.add(&f.waits[reassembly.Server], &client, f)
	}
	if c.Ends[reassembly.Server].Bytes == 0 && c.Ends[reassembly.Client].Bytes > 0 && !c.Ends[reassembly.Server].HasFIN && c.Seen&reassembly.SeenRSTServer == 0 {
		l.mute++
	}
	if f.stalled > 0 {
		if !f.unheeded() {
			l.stalls++
		}
		l.restarts += f.stalled
		show(&l.queued, c.First, f)
	}
	l.spoke = max(l.spoke, f.spoke)
	if c.Ends[0].MissingBytes > 0 || c.Ends[1].MissingBytes > 0 || c.Seen&reassembly.SeenAckUnseen != 0 {
		l.lossy++
	}
	if c.Ends[0].Packets == 0 || c.Ends[1].Packets == 0 {
		l.oneWay++
	}
	if !f.isOver {
		l.unclosed++
		return
	}
	l.closed[f.end]++
	if f.end == softServer || f.end == hardServer || f.end == device {
		show(&l.held, c.First, f)
	}
	switch cl := &c.Close; {
	case f.crossed:
		addSpread(&l.races[cl.Closer], f.idle)
		show(&l.raced, c.First, f)
	case f.stale > 0:
		addSpread(&l.stales[cl.Closer], f.idle)
		addSpread(&l.late, f.stale)
		show(&l.raced, c.First, f)
	case f.gaveUp > 0:
		addSpread(&l.gaveUp, f.gaveUp)
		addSpread(&l.tooLate, f.tooLate)
		show(&l.hasty, c.First, f)
	}
	if cl := &c.Close; cl.By == "fin" && c.Idle.Closed > 0 {
		addSpread(&l.idle[cl.Closer], c.Idle.Closed)
	}
	if f.cut {
		hard := 0
		if c.Close.By == "rst" {
			hard = 1
		}
		l.cut[c.Close.Closer][hard]++
		if f.unheard && c.Close.Closer == reassembly.Server {
			l.unheard++
		}
		show(&l.cuts, c.First, f)
	}
	if c.Seen&reassembly.SeenRST != 0 {
		l.wasReset(f)
	}
}

// wasReset counts the RSTs of a connection that is over.
func (l *listener) wasReset(f *facts) {
	c := f.c
	for side, n := range f.resets {
		if l.resets[side] += n; n > 0 {
			l.resetters[side]++
		}
	}
	class := resetClass(c.Close.Reason)
	if class < 0 {
		return
	}
	by := c.Close.Closer
	l.classes[by][class]++
	show(&l.reset, c.First, f)
	for i := range c.Ends {
		// A FIN of its own takes a number too.
		if c.Ends[i].Unacked() > 1 {
			l.wasted[by]++
			break
		}
	}
}

// retried counts a connection that needed more than one SYN or SYN-ACK.
func (l *listener) retried(f *facts) {
	c := f.c
	if f.answered == 0 {
		return
	}
	if c.Handshake.SYNs > 1 && c.Handshake.SYNACKs == 1 {
		l.resent++
	}
	// The steps lie where the timers put them, at 1, 3 and 7 s and a round trip;
	// between them nothing happens.
	switch took := f.answered.Sub(c.Start); {
	case took < 800*time.Millisecond:
		return
	case took < 2*time.Second:
		l.steps[0]++
	case took < 5*time.Second:
		l.steps[1]++
	case took < 11*time.Second:
		l.steps[2]++
	default:
		l.steps[3]++
	}
	show(&l.slow, c.First, f)
}

// noted counts what the findings on a connection say.
func (l *listener) noted(f *facts) {
	for i := range f.signs {
		x := &f.signs[i]
		side := x.endpoint
		switch x.number {
		case "H06", "H07":
			show(&l.queued, x.frame, f)
		case "D02", "D03":
			if side == finding.Both || x.severity == finding.Info {
				continue
			}
			if x.number == "D03" {
				l.dead[side]++
				if f.deaf[side] {
					l.lost[side]++
				}
			} else {
				l.zero[side]++
			}
			show(&l.stalled, x.frame, f)
		}
		if side == finding.Both {
			continue
		}
		switch x.number {
		case "C06", "C09", "C10":
			l.stuck[side].count(x.number)
			if f.c.Ends[side].Unacked() == 0 {
				l.stuck[side].acked++
			}
		case "C07":
			// Data meets a RST also where the closed socket is still there.
			if x.confidence > finding.Possible {
				l.stuck[side].orphaned++
			} else {
				l.stuck[side].late++
			}
		}
	}
}

func (l *listener) merge(o *listener) {
	l.complete, l.joined, l.half, l.ignored, l.given = l.complete+o.complete, l.joined+o.joined, l.half+o.half, l.ignored+o.ignored, l.given+o.given
	l.syns, l.synacks, l.resent = l.syns+o.syns, l.synacks+o.synacks, l.resent+o.resent
	for i, n := range o.steps {
		l.steps[i] += n
	}
	l.aborted, l.unheeded, l.rejected = l.aborted+o.aborted, l.unheeded+o.unheeded, l.rejected+o.rejected
	l.untouched, l.mute, l.firstUntouched = l.untouched+o.untouched, l.mute+o.mute, earliest(l.firstUntouched, o.firstUntouched)
	l.firstOK, l.lastOK, l.heard, l.spoke = earliest(l.firstOK, o.firstOK), max(l.lastOK, o.lastOK), max(l.heard, o.heard), max(l.spoke, o.spoke)
	for i, n := range o.closed {
		l.closed[i] += n
	}
	l.unclosed += o.unclosed
	l.unheard += o.unheard
	for side := range l.classes {
		for hard, n := range o.cut[side] {
			l.cut[side][hard] += n
		}
		for i, n := range o.classes[side] {
			l.classes[side][i] += n
		}
		l.wasted[side] += o.wasted[side]
		l.resets[side] += o.resets[side]
		l.resetters[side] += o.resetters[side]
		a, b := &l.stuck[side], &o.stuck[side]
		*a = stuckCounts{a.finWait1 + b.finWait1, a.lastACK + b.lastACK, a.closing + b.closing, a.orphaned + b.orphaned, a.late + b.late, a.acked + b.acked}
		mergeSpread(&l.idle[side], o.idle[side])
		mergeSpread(&l.races[side], o.races[side])
		mergeSpread(&l.stales[side], o.stales[side])
		l.zero[side] += o.zero[side]
		l.dead[side] += o.dead[side]
		l.lost[side] += o.lost[side]
	}
	l.stalls, l.restarts = l.stalls+o.stalls, l.restarts+o.restarts
	l.packets, l.repeats, l.resyns, l.lossy, l.oneWay = l.packets+o.packets, l.repeats+o.repeats, l.resyns+o.resyns, l.lossy+o.lossy, l.oneWay+o.oneWay
	mergeSpread(&l.late, o.late)
	mergeSpread(&l.gaveUp, o.gaveUp)
	mergeSpread(&l.tooLate, o.tooLate)
	l.closing.merge(&o.closing)
	if o.halves != nil {
		if l.halves == nil {
			l.halves = new(pulse)
		}
		l.halves.merge(o.halves)
	}
	if o.checks != nil {
		if l.checks == nil {
			l.checks = new(checks)
		}
		l.checks.merge(o.checks)
	}
	mergeTold(&l.told, o.told)
	for _, x := range []struct {
		to   **examples
		from *examples
	}{{&l.some, o.some}, {&l.halfs, o.halfs}, {&l.queued, o.queued}, {&l.slow, o.slow}, {&l.reset, o.reset}, {&l.raced, o.raced},
		{&l.stalled, o.stalled}, {&l.held, o.held}, {&l.hasty, o.hasty}, {&l.cuts, o.cuts}} {
		mergeExamples(x.to, x.from)
	}
}

// opened is how many connections were established.
func (l *listener) opened() uint64 { return uint64(l.complete) + uint64(l.joined) }
