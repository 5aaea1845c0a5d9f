package scenario

import (
	"cmp"
	"errors"
	"fmt"
	"slices"

	"github.com/tcplife/tcplife/wire"
)

// plan is what a script means: its hosts, when each packet was sent in which life
// of which pair, and the frames of the capture in order.
type plan struct {
	hosts  []host
	frames []frame
	// shots are the packets in the order of the script.
	shots []shot
}

// host is one name with its defaults.
type host struct {
	name      string
	port, ttl int
}

// pair is an unordered pair of endpoints, the lower name first.
type pair struct{ a, b Endpoint }

func makePair(x, y Endpoint) pair {
	if x.Host > y.Host {
		x, y = y, x
	}
	return pair{x, y}
}

// life is one incarnation of a pair; isn counts from the first life's ISNs, in the
// order of the pair's names.
type life struct {
	isn [2]int64
	// sent holds per side what a redundancy check needs.
	sent [2]span
}

// span is what one side has sent in one life.
type span struct {
	any bool
	max int64
	// holes are ranges that died on the way and were not sent again.
	holes [][2]int64
}

// shot is one packet with its place in time and among the lives.
type shot struct {
	packet *Packet
	line   int
	at     int64 // nanoseconds since the start
	// isn of sender and receiver, counted from their first life.
	isn, peerISN int64
	// frames are the numbers of its frames, none when it was not captured.
	frames []int
}

// frame is one frame of the capture; copy is 1 for the second one of {dup}.
type frame struct {
	shot int
	at   int64
	copy int
}

// dupAfter is how much later the second copy of a frame was captured: within the
// microseconds that mark a mirror port's copies (field guide K05).
const dupAfter = 3_000

// check lays the script out in time and reports where its redundancy does not
// agree.
func (s *Script) check() error {
	var errs []error
	fail := func(line int, format string, args ...any) {
		if len(errs) < maxErrors {
			errs = append(errs, &Error{s.File, line, fmt.Sprintf(format, args...)})
		}
	}
	s.plan = s.layOut(fail)
	s.checkStates(fail)
	s.checkFindings(fail)
	s.checkConns(fail)
	return errors.Join(errs...)
}

type failFunc func(line int, format string, args ...any)

// layOut goes through the packets section.
func (s *Script) layOut(fail failFunc) *plan {
	p := &plan{}
	lives := map[pair][]*life{}
	now := int64(0)
	for _, l := range s.Packets {
		switch {
		case l.Host != nil:
			p.declare(l.Host, l.Number, fail)
		case l.New != nil:
			pr := makePair(l.New.Ends[0], l.New.Ends[1])
			isn := l.New.ISN
			if pr.a != l.New.Ends[0] {
				isn[0], isn[1] = isn[1], isn[0]
			}
			if len(lives[pr]) == 0 {
				fail(l.Number, "new before the first segment between %s and %s: the first life has ISN 0 by definition", pr.a, pr.b)
				continue
			}
			lives[pr] = append(lives[pr], &life{isn: isn})
		case l.Packet != nil:
			pk := l.Packet
			p.host(pk.Src.Host, true)
			p.host(pk.Dst.Host, false)
			if pk.Delta {
				now += pk.Time
			} else if pk.Time < now {
				fail(l.Number, "time goes back from %s to %s", formatTime(now), formatTime(pk.Time))
			} else {
				now = pk.Time
			}
			src, dst := pk.Src, pk.Dst
			if pk.Quote != nil {
				src, dst = pk.Quote.Src, pk.Quote.Dst
				p.host(src.Host, true)
				p.host(dst.Host, false)
			}
			pr := makePair(src, dst)
			if len(lives[pr]) == 0 {
				lives[pr] = []*life{{}}
			}
			which := len(lives[pr])
			if pk.Tap.Life != 0 {
				if which = int(pk.Tap.Life); which > len(lives[pr]) {
					fail(l.Number, "{life %d} of a pair that has had %d", which, len(lives[pr]))
					continue
				}
			}
			lf, side := lives[pr][which-1], 0
			if pr.a != src {
				side = 1
			}
			lf.check(pk, side, func(format string, args ...any) { fail(l.Number, format, args...) })
			p.shots = append(p.shots, shot{packet: pk, line: l.Number, at: now, isn: lf.isn[side], peerISN: lf.isn[1-side]})
		}
	}
	p.number()
	if len(p.shots) == 0 {
		fail(0, "no packets")
	}
	return p
}

// host returns a host by name, adding it if it is new. A host that begins by
// sending gets the ports of a client, another those of a server.
func (p *plan) host(name string, sends bool) *host {
	for i := range p.hosts {
		if p.hosts[i].name == name {
			return &p.hosts[i]
		}
	}
	h := host{name: name, port: 443, ttl: 64}
	if sends {
		h.port = 40000
	}
	p.hosts = append(p.hosts, h)
	return &p.hosts[len(p.hosts)-1]
}

func (p *plan) declare(d *HostDecl, line int, fail failFunc) {
	for _, sh := range p.shots {
		if sh.packet.Src.Host == d.Name || sh.packet.Dst.Host == d.Name {
			fail(line, "host %s after its first segment", d.Name)
			return
		}
	}
	h := p.host(d.Name, false)
	if d.Port != 0 {
		h.port = d.Port
	}
	if d.TTL != 0 {
		h.ttl = d.TTL
	}
}

// number puts the captured frames into the order of the capture.
func (p *plan) number() {
	for i, sh := range p.shots {
		if !sh.packet.captured() {
			continue
		}
		at := sh.at + sh.packet.Tap.Late
		p.frames = append(p.frames, frame{shot: i, at: at})
		if sh.packet.Tap.Dup {
			p.frames = append(p.frames, frame{shot: i, at: at + dupAfter, copy: 1})
		}
	}
	slices.SortStableFunc(p.frames, func(a, b frame) int { return cmp.Compare(a.at, b.at) })
	for i, f := range p.frames {
		sh := &p.shots[f.shot]
		sh.frames = append(sh.frames, i+1)
	}
}

// check compares a packet with what its life has seen so far, and notes it.
func (lf *life) check(pk *Packet, side int, fail func(format string, args ...any)) {
	t := pk.Tap
	if pk.Quote != nil && (t.Snap != 0 || t.Forged || t.Abs) {
		fail("an ICMP error has no {snap}, {forged} or {abs}")
	}
	if t.Bogus || pk.Quote != nil {
		return
	}
	if pk.End != pk.Start+pk.Len {
		fail("end is %d: want start + len = %d", pk.End, pk.Start+pk.Len)
		return
	}
	if pk.HasAck != pk.Flags.Has(wire.ACK) {
		fail("ack N and the flag \".\" go together")
	}
	if pk.HasUrg && !pk.Flags.Has(wire.URG) {
		fail("urg N needs the flag U")
	}
	if pk.Flags.Has(wire.SYN) && pk.Start != 0 {
		fail("a SYN starts at 0, not at %d", pk.Start)
	}
	if t.Unseen && (t.LostBefore || t.LostAfter) || t.LostBefore && t.LostAfter {
		fail("a packet is one of {unseen}, {lost before} and {lost after}")
	}
	if !pk.captured() && (t.Dup || t.Snap != 0 || t.Late != 0) {
		fail("a packet that the tap did not see has no {dup}, {snap} or {late}")
	}
	peer := &lf.sent[1-side]
	if pk.HasAck && !t.Forged && peer.any {
		if pk.Ack > peer.max {
			fail("ack is %d: %s has sent up to %d", pk.Ack, pk.Dst, peer.max)
		}
		for _, h := range peer.holes {
			if h[0] < pk.Ack {
				fail("ack is %d: %d:%d of %s was lost and not sent again", pk.Ack, h[0], h[1], pk.Dst)
				break
			}
		}
	}
	if t.Forged || t.Abs {
		return
	}
	lf.sent[side].note(pk)
}

// note adds what a packet carries to what its sender has sent.
func (sp *span) note(pk *Packet) {
	from, to := pk.Start, pk.Start+pk.span()
	sp.any = true
	sp.max = max(sp.max, to)
	if from == to {
		return
	}
	if pk.Tap.LostBefore || pk.Tap.LostAfter {
		sp.holes = append(sp.holes, [2]int64{from, to})
		return
	}
	var left [][2]int64
	for _, h := range sp.holes {
		if h[0] < from {
			left = append(left, [2]int64{h[0], min(h[1], from)})
		}
		if h[1] > to {
			left = append(left, [2]int64{max(h[0], to), h[1]})
		}
	}
	sp.holes = left
}

func (s *Script) hasHost(name string) bool {
	return slices.ContainsFunc(s.plan.hosts, func(h host) bool { return h.name == name })
}

// sender returns who sent the frame, numbered from 1.
func (s *Script) sender(frame int) *Packet {
	return s.plan.shots[s.plan.frames[frame-1].shot].packet
}

func (s *Script) checkStates(fail failFunc) {
	type key struct {
		conn int
		host string
	}
	seen := map[key]bool{}
	for _, l := range s.States {
		if l.Host == "" {
			continue
		}
		if !s.hasHost(l.Host) {
			fail(l.Number, "no host %s in the packets", l.Host)
			continue
		}
		if seen[key{l.Conn, l.Host}] {
			fail(l.Number, "states of connection %d, host %s stand twice", l.Conn, l.Host)
		}
		seen[key{l.Conn, l.Host}] = true
		for _, st := range l.Steps {
			switch {
			case st.Frame > len(s.plan.frames):
				fail(l.Number, "%s: the capture has %d frames", st, len(s.plan.frames))
			case st.Frame > 0 && st.Evidence == "sent" && s.sender(st.Frame).Src.Host != l.Host:
				fail(l.Number, "%s: frame %d was not sent by %s", st, st.Frame, l.Host)
			}
		}
	}
}

func (s *Script) checkFindings(fail failFunc) {
	empty, listed := 0, false
	for _, l := range s.Findings {
		switch l.Kind {
		case FindingNone:
			empty = l.Number
		case FindingWant:
			listed = true
			if l.Endpoint != "both" && l.Endpoint != "any" && !s.hasHost(l.Endpoint) {
				fail(l.Number, "no host %s in the packets", l.Endpoint)
			}
			for _, f := range l.Frames {
				if f > len(s.plan.frames) {
					fail(l.Number, "frame %d: the capture has %d", f, len(s.plan.frames))
				}
			}
		}
	}
	if empty != 0 && listed {
		fail(empty, "none stands beside findings")
	}
}

func (s *Script) checkConns(fail failFunc) {
	for _, l := range s.Conns {
		if l.Conn == 0 && !l.Late {
			continue
		}
		for _, e := range []Endpoint{l.Client, l.Server} {
			if !s.hasHost(e.Host) {
				fail(l.Number, "no host %s in the packets", e.Host)
			}
		}
		if l.Last > len(s.plan.frames) {
			fail(l.Number, "frame %d: the capture has %d", l.Last, len(s.plan.frames))
		}
	}
}
