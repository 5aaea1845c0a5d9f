package reassembly

import "github.com/tcplife/tcplife/wire"

// FarewellMax is how much data at the end of a connection may be no more than a word of
// goodbye: a close_notify of TLS (24 or 31 octets), a GOAWAY of HTTP/2 in it (46), the
// last line of FTP or SMTP, a Terminate of PostgreSQL.
const FarewellMax = 64

// Farewell reports whether what the RST with index i cost was only words of goodbye: on
// neither side more was lost than those are long, and either
//
//   - they were the last that both sides said, of one length, when the last question had
//     been answered; or
//   - both sides ended of their own accord behind them, when the last question had been
//     answered; or
//   - the client resets, and had closed after its last words were answered: it wanted
//     nothing more; or
//   - it had closed after it had answered, and what met the RST came at once upon its
//     FIN: what an end of file triggers, not a user.
func (c *Conn) Farewell(i int) bool {
	me := c.Events[i].From
	lost := c.unreceived(i)
	if max(lost[Client], lost[Server]) > FarewellMax {
		return false
	}
	if c.Notified(i) {
		return true
	}
	if c.unprompted() {
		return c.lastWords(Client, i+1) >= 0 && c.answered(Client, i)
	}
	fin := c.firstFIN(me)
	if fin < 0 || fin > i {
		return false
	}
	return me == Client && lost[me] == 0 && c.answered(me, fin) || c.answered(me.Peer(), fin) && c.promptly(fin, i)
}

// firstFIN returns a side's first FIN, or -1.
func (c *Conn) firstFIN(s Side) int {
	return c.next(0, func(e *Event) bool { return e.From == s && e.Kind == KindFIN && genuine(e) })
}

// end returns the segment by which a side ended for itself: its FIN, which no socket
// sends that has got a RST, or a RST that is not made from another segment. -1: none.
func (c *Conn) end(s Side) int {
	if fin := c.firstFIN(s); fin >= 0 {
		return fin
	}
	return c.next(0, func(e *Event) bool { return e.From == s && e.Kind == KindRST && e.Flags&wire.ACK != 0 && genuine(e) })
}

// Notified reports whether the last that both sides said before event i was a goodbye
// that both say alike, and what they said before it was answered: TLS's close_notify is
// as long on both sides of a connection, whatever the cipher. That needs no measure of
// time: a busy program says it late, and one that keeps connections when it puts them away.
func (c *Conn) Notified(i int) bool {
	mine, asked := c.lastTwo(Client, i)
	yours, answer := c.lastTwo(Server, i)
	if asked < 0 || answer < 0 {
		return false
	}
	m, y, a := &c.Events[mine], &c.Events[yours], &c.Events[answer]
	return m.Count == 1 && y.Count == 1 && m.Len == y.Len && m.Len <= FarewellMax && a.Flags&wire.ACK != 0 && !a.Ack.Before(c.Events[asked].End)
}

// unprompted reports whether both sides ended for themselves, one at least by a FIN, and
// the later one without having received what the other said to say goodbye.
func (c *Conn) unprompted() bool {
	first, second := c.end(Client), c.end(Server)
	if first < 0 || second < 0 || c.firstFIN(Client) < 0 && c.firstFIN(Server) < 0 {
		return false
	}
	if first > second {
		first, second = second, first
	}
	early, late := &c.Events[first], &c.Events[second]
	return early.Kind == KindFIN || late.Flags&wire.ACK != 0 && late.Ack.Before(early.Seq)
}

// promptly reports whether the peer's first data after a FIN came as soon as it had
// received that, before event i.
func (c *Conn) promptly(fin, i int) bool {
	e := &c.Events[fin]
	j := c.next(fin+1, func(d *Event) bool { return d.From != e.From && genuine(d) && d.Kind == KindData })
	return j >= 0 && j < i && !c.Events[j].Ack.Before(e.End) && c.Events[j].At.Sub(e.At) <= max(c.Ends[e.From.Peer()].Response, justNow)
}

// answered reports whether the peer, up to event i, had answered the last words of a
// side: it sent data that acknowledges them. (Runs of segments overlap in the log, so
// that neither their places nor their times say what came first.)
func (c *Conn) answered(s Side, i int) bool {
	asked, answer := c.lastWords(s, i+1), c.lastWords(s.Peer(), i+1)
	return asked < 0 || answer >= 0 && c.Events[answer].Flags&wire.ACK != 0 && !c.Events[answer].Ack.Before(c.Events[asked].End)
}

// lastWords returns the last data that a side sent before event i, its FIN's too, but for
// what it said to say goodbye: a segment as short as one, that was not all that it said,
// and behind which it ended before an answer could come. -1: there is none.
func (c *Conn) lastWords(s Side, i int) int {
	words, before := c.lastTwo(s, i)
	if before < 0 {
		return words
	}
	prompt := max(justNow, c.Ends[s.Peer()].Response)
	if e, end := &c.Events[words], c.end(s); end >= words && e.Count == 1 && e.Len <= FarewellMax && c.Events[end].At.Sub(e.At) <= prompt {
		return before
	}
	return words
}

// lastTwo returns the last data that a side sent before event i, its FIN's too, and what
// it sent before that; -1 for none.
func (c *Conn) lastTwo(s Side, i int) (words, before int) {
	words, before = -1, -1
	for j := range c.Events[:i] {
		if e := &c.Events[j]; e.From == s && genuine(e) && e.Len > 0 && (e.Kind == KindData || e.Kind == KindFIN) && e.Marks&MarkRepeat == 0 {
			words, before = j, words
		}
	}
	return words, before
}

// tookLeave reports whether the RST that ended the connection cost nobody any data: one
// side at least had closed, and all that was sent had been received, but for a farewell.
func (c *Conn) tookLeave() bool {
	i := c.Close.Reset - 1
	if i < 0 || c.firstFIN(Client) < 0 && c.firstFIN(Server) < 0 {
		return false
	}
	return c.unreceived(i) == [2]uint32{} || c.Farewell(i)
}

// unreceived returns how many octets of each side's nobody had acknowledged by the RST with
// index i, that one included; the most there is where the capture does not show.
func (c *Conn) unreceived(i int) (n [2]uint32) {
	var sent, acked [2]wire.Seq
	var sending, known [2]bool
	for j := range c.Events[:i+1] {
		e := &c.Events[j]
		if !genuine(e) {
			continue
		}
		me, you := e.From&1, (e.From^1)&1
		if e.Kind != KindRST && (!sending[me] || e.End.After(sent[me])) {
			sent[me], sending[me] = e.End, true
		}
		if e.Flags&wire.ACK != 0 && (!known[you] || e.Ack.After(acked[you])) {
			acked[you], known[you] = e.Ack, true
		}
	}
	for s := range n {
		switch {
		case !sending[s]:
		case !known[s]:
			n[s] = 1 << 31
		case sent[s].After(acked[s]):
			n[s] = uint32(sent[s].Sub(acked[s]))
			if c.closedBy(Side(s), i) {
				n[s]-- // its FIN
			}
		}
	}
	return n
}
