package reassembly

import "time"

// inside is the opening of a connection that the capture met half-way: both sides
// are taken for ESTABLISHED, unless one must have closed before or there is nothing
// but resets.
func (in *inference) inside(talk, yourTalk int) {
	if talk < 0 && yourTalk < 0 {
		return
	}
	by := midstream
	switch {
	case in.fins[in.me].before:
		by = midstreamClosed
	case in.fins[in.me.Peer()].before:
		by = midstreamPeer
	}
	in.list = append(in.list, happening{pos: -1, by: by, at: in.c.Start, frame: in.c.First, evidence: Assumed})
}

// closedBefore reports whether the least that explains a side of a connection met
// half-way is that its FIN came before the capture: it sends acknowledgments and
// nothing else, acknowledges the peer's FIN too, and then both are silent. A
// connection whose other half was still open would go on with data, a FIN or a RST,
// and a program that reads the end of the stream does not take long to close. It may
// forget to, which looks the same; so all that follows from this is Assumed.
func (in *inference) closedBefore(s Side) bool {
	c := in.c
	you := in.fins[s.Peer()]
	if c.RoleBy < RoleByPort || in.fins[s].shown >= 0 || you.first < 0 || you.forged || c.Dropped > 0 {
		return false
	}
	last := -1
	for i := range c.Events {
		e := &c.Events[i]
		if e.From != s || !genuine(e) {
			continue
		}
		if e.Kind != KindACK || e.Marks&MarkKeepalive != 0 {
			return false
		}
		if last < 0 && i > you.first && !e.Ack.Before(you.end) {
			last = i
		}
	}
	if last < 0 {
		return false
	}
	// A RST that answers that acknowledgment: the FIN was an old one, of a connection
	// that is over.
	if i := in.first(s.Peer(), last+1, isKind(KindRST)); i >= 0 && c.Trigger(i) >= last {
		return true
	}
	return c.Until.Sub(c.Events[last].At) >= in.closesWithin(s)
}

// closesWithin is how long a side that has read the peer's FIN may take to close
// before its silence says that it had closed already: a response time for the FIN to
// get there and back, and twice and more the 40 ms for which Linux holds an ACK back
// (TCP_DELACK_MIN) in the hope that the program has something to send with it.
func (in *inference) closesWithin(s Side) (d time.Duration) {
	return in.c.Ends[s].Response + 100*time.Millisecond
}
