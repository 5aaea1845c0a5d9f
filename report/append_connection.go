package report

import (
	"strconv"

	"github.com/tcplife/tcplife/finding"
	"github.com/tcplife/tcplife/reassembly"
	"github.com/tcplife/tcplife/wire"
)

const connectionHead = `{"type":"connection","schema":1,"id":`

// connection appends the object of one connection to b, with the place of its
// number marked. Fields stand in the order of design section 5.
func (a *appender) connection(buf *Buffer, c *Connection) {
	a.texts.moments = [momentCount]stamped{} // they lie in another buffer
	buf.B = append(buf.B, connectionHead...)
	buf.ID()
	b := buf.B
	cl, sv := &c.Ends[reassembly.Client], &c.Ends[reassembly.Server]

	b = append(b, `,"uid":`...)
	b = appendString(b, c.UID)
	if c.CommunityID != "" {
		b = append(b, `,"community_id":`...)
		b = appendString(b, c.CommunityID)
	}
	if c.PreviousUID != "" {
		b = append(b, `,"previous":`...)
		b = appendString(b, c.PreviousUID)
	}
	if c.NextUID != "" {
		b = append(b, `,"next":`...)
		b = appendString(b, c.NextUID)
	}
	b = append(b, `,"capture":`...)
	b = appendString(b, c.Capture)
	b = append(b, `,"first_frame":`...)
	b = a.frame(b, c.First)
	b = append(b, `,"last_frame":`...)
	b = a.frame(b, c.Last)
	b = appendEnds(b, &c.Tuple)
	b = append(b, `,"role_by":"`...)
	b = append(b, c.RoleBy.String()...)
	b = append(b, `","encap":`...)
	b = appendStrings(b, c.Encap)
	b = append(b, `,"outcome":"`...)
	b = append(b, c.Outcome.String()...)
	b = append(b, `","start":`...)
	b = a.time(b, c.Start)
	b = append(b, `,"end":`...)
	b = a.time(b, c.End)
	b = append(b, `,"duration":`...)
	b = appendSeconds(b, c.End.Sub(c.Start))
	b = append(b, `,"until":`...)
	b = a.time(b, c.Until)
	if open, evicted := open(c.Conn), c.Ended == reassembly.EndedEvicted; open || evicted || c.Provisional {
		b = append(b, `,"open":`...)
		b = strconv.AppendBool(b, open)
		b = append(b, `,"settled":`...)
		b = strconv.AppendBool(b, !c.Provisional)
		b = append(b, `,"evicted":`...)
		b = strconv.AppendBool(b, evicted)
	} else {
		b = append(b, `,"open":false,"settled":true,"evicted":false`...)
	}

	b = append(b, `,"packets":`...)
	b = appendSides(b, cl.Packets, sv.Packets)
	b = append(b, `,"bytes":`...)
	b = appendSides(b, cl.Bytes, sv.Bytes)
	b = append(b, `,"unique_bytes":`...)
	b = appendSides(b, cl.UniqueBytes, sv.UniqueBytes)
	b = append(b, `,"retransmits":`...)
	b = appendSides(b, cl.Retransmits, sv.Retransmits)
	b = append(b, `,"duplicates":`...)
	b = appendSides(b, cl.Duplicates, sv.Duplicates)
	b = append(b, `,"missing_bytes":`...)
	b = appendSides(b, cl.MissingBytes, sv.MissingBytes)

	var base [2]wire.Seq
	var based [2]bool
	base[0], based[0] = seqBase(c.Conn, reassembly.Client)
	base[1], based[1] = seqBase(c.Conn, reassembly.Server)
	if len(cl.Missing)+len(sv.Missing) > 0 {
		b = append(b, `,"missing":`...)
		b = appendSideRanges(b, cl.Missing, sv.Missing, base)
	}
	if len(cl.Repeated)+len(sv.Repeated) > 0 {
		b = append(b, `,"repeated":`...)
		b = appendSideRanges(b, cl.Repeated, sv.Repeated, base)
	}
	b = appendKnown(b, `,"isn":{`, [2]bool{cl.HasISN, sv.HasISN}, [2]uint64{uint64(cl.ISN), uint64(sv.ISN)})
	b = appendKnown(b, `,"seq_base":{`, [2]bool{based[0] && !cl.HasISN, based[1] && !sv.HasISN},
		[2]uint64{uint64(base[0]), uint64(base[1])})
	if cl.Response > 0 || sv.Response > 0 {
		b = append(b, `,"response":{`...)
		for i := range c.Ends {
			if d := c.Ends[i].Response; d > 0 {
				b = appendSideKey(b, i)
				b = appendSeconds(b, d)
			}
		}
		b = append(b, '}')
	}
	b = appendKnown(b, `,"ttl":{`, [2]bool{cl.Packets > 0, sv.Packets > 0}, [2]uint64{uint64(cl.TTL), uint64(sv.TTL)})

	b = a.handshake(b, c.Conn)
	b = a.close(b, c.Conn)

	b = append(b, `,"states":{"client":[`...)
	b = a.timeline(b, cl.Timeline, c.Start)
	b = append(b, `],"server":[`...)
	b = a.timeline(b, sv.Timeline, c.Start)
	b = append(b, `]},"final":{`...)
	for i := range c.Ends {
		if len(c.Ends[i].Timeline) > 0 {
			b = appendSideKey(b, i)
			b = append(b, '"')
			b = append(b, c.Ends[i].Final().String()...)
			b = append(b, '"')
		}
	}
	b = append(b, `},"events":[`...)
	errors := c.ICMP
	for i := range c.Events {
		for ; len(errors) > 0 && errors[0].Frame < c.Events[i].Frame; errors = errors[1:] {
			b = append(a.icmp(b, &errors[0], c.Conn, &base, &based), ',')
		}
		b = append(a.event(b, &c.Events[i], c.Start, &base, &based), ',')
	}
	for ; len(errors) > 0; errors = errors[1:] {
		b = append(a.icmp(b, &errors[0], c.Conn, &base, &based), ',')
	}
	if b[len(b)-1] == ',' {
		b = b[:len(b)-1]
	}
	b = append(b, `],"dropped_events":`...)
	b = appendUint(b, uint64(c.Dropped))
	b = append(b, `,"findings":[`...)
	for i := range c.Findings {
		if i > 0 {
			b = append(b, ',')
		}
		b = a.finding(b, &c.Findings[i])
	}
	b = append(b, ']')
	b = appendPeers(buf, b, c, a.peers)
	buf.B = append(b, '}')
}

// open reports whether the connection was still alive when watching it ended: what
// it says is then "as of" Until.
func open(c *reassembly.Conn) bool {
	if !c.Ended.Early() {
		return false
	}
	for i := range c.Ends {
		switch c.Ends[i].Final() {
		case reassembly.Closed, reassembly.TimeWait:
		default:
			return true
		}
	}
	return false
}

// appendSideKey appends the key of a side, with a comma unless it comes first in
// its object.
func appendSideKey(b []byte, side int) []byte {
	if b[len(b)-1] != '{' {
		b = append(b, ',')
	}
	if side == int(reassembly.Client) {
		return append(b, `"client":`...)
	}
	return append(b, `"server":`...)
}

// appendKnown appends an object with the numbers of the sides for which one is
// known, or nothing.
func appendKnown(b []byte, key string, known [2]bool, v [2]uint64) []byte {
	if !known[0] && !known[1] {
		return b
	}
	b = append(b, key...)
	for i := range v {
		if known[i] {
			b = appendSideKey(b, i)
			b = appendUint(b, v[i])
		}
	}
	return append(b, '}')
}

func appendSideRanges(b []byte, client, server []reassembly.Range, base [2]wire.Seq) []byte {
	b = append(b, '{')
	for i, rs := range [2][]reassembly.Range{client, server} {
		if len(rs) > 0 {
			b = appendSideKey(b, i)
			b = appendRanges(b, rs, base[i])
		}
	}
	return append(b, '}')
}

func (a *appender) handshake(b []byte, c *reassembly.Conn) []byte {
	h := &c.Handshake
	b = append(b, `,"handshake":{"outcome":"`...)
	b = append(b, h.Outcome.String()...)
	b = append(b, '"')
	if h.RTT > 0 {
		b = append(b, `,"rtt":`...)
		b = appendSeconds(b, h.RTT)
	}
	if h.ClientSide > 0 {
		b = append(b, `,"rtt_client_side":`...)
		b = appendSeconds(b, h.ClientSide)
	}
	if h.ServerSide > 0 {
		b = append(b, `,"rtt_server_side":`...)
		b = appendSeconds(b, h.ServerSide)
	}
	if h.SYNs > 0 {
		b = append(b, `,"syn_retransmits":`...)
		b = appendUint(b, uint64(h.SYNs-1))
	}
	if h.SYNACKs > 0 {
		b = append(b, `,"synack_retransmits":`...)
		b = appendUint(b, uint64(h.SYNACKs-1))
	}
	if h.Cookie || h.Deferred || h.AcceptQueue || h.FastOpen || h.Simultaneous {
		b = append(b, `,"cookie":`...)
		b = strconv.AppendBool(b, h.Cookie)
		b = append(b, `,"deferred":`...)
		b = strconv.AppendBool(b, h.Deferred)
		b = append(b, `,"accept_queue":`...)
		b = strconv.AppendBool(b, h.AcceptQueue)
		b = append(b, `,"fastopen":`...)
		b = strconv.AppendBool(b, h.FastOpen)
		b = append(b, `,"simultaneous":`...)
		b = strconv.AppendBool(b, h.Simultaneous)
	} else {
		b = append(b, `,"cookie":false,"deferred":false,"accept_queue":false,"fastopen":false,"simultaneous":false`...)
	}
	b = append(b, `,"options":{`...)
	for i := range c.Ends {
		if c.Ends[i].HasSYN {
			b = appendSideKey(b, i)
			b = a.options(b, i, &c.Ends[i].SYN)
		}
	}
	return append(b, '}', '}')
}

// options appends the options of a side's SYN: which there were, and the values of
// those that have one.
func (a *appender) options(b []byte, side int, o *wire.Options) []byte {
	b = a.usualOptions(b, side, o)
	number := func(b []byte, option wire.OptionSet, key string, v uint64) []byte {
		if o.Set&option == 0 {
			return b
		}
		b = append(b, key...)
		return appendUint(b, v)
	}
	if o.Set&wire.OptTimestamps != 0 {
		b = append(b, `,"tsval":`...)
		b = appendUint(b, uint64(o.TSVal))
		b = append(b, `,"tsecr":`...)
		b = appendUint(b, uint64(o.TSEcr))
	}
	if o.Set&(wire.OptUserTimeout|wire.OptFastOpen|wire.OptMPTCP) == 0 {
		return append(b, '}')
	}
	b = number(b, wire.OptUserTimeout, `,"user_timeout":`, userTimeout(o.UserTimeout))
	b = number(b, wire.OptFastOpen, `,"fast_open_cookie":`, uint64(o.FastOpenLen))
	b = number(b, wire.OptMPTCP, `,"mptcp_subtype":`, uint64(o.MPTCPSubtype))
	return append(b, '}')
}

func (a *appender) close(b []byte, c *reassembly.Conn) []byte {
	cl := &c.Close
	b = append(b, `,"close":{"reason":"`...)
	b = append(b, cl.Reason.String()...)
	b = append(b, '"')
	if cl.HasCloser {
		b = append(b, `,"closer":"`...)
		b = append(b, cl.Closer.String()...)
		b = append(b, '"')
		if cl.By != "" {
			b = append(b, `,"by":"`...)
			b = append(b, cl.By...)
			b = append(b, '"')
		}
		b = append(b, `,"at":`...)
		b = a.instant(b, cl.At, c.Start)
		b = append(b, `,"duration":`...)
		b = appendSeconds(b, cl.Duration)
		b = append(b, `,"idle_before":`...)
		b = appendSeconds(b, cl.IdleBefore)
	}
	if cl.Reset > 0 {
		b = append(b, `,"reset_by":"`...)
		b = append(b, cl.ResetBy.String()...)
		b = append(b, '"')
	}
	b = append(b, `,"unacked":{`...)
	for i := range c.Ends {
		if e := &c.Ends[i]; e.HasNext && e.HasAcked {
			b = appendSideKey(b, i)
			b = appendUint(b, uint64(e.Unacked()))
		}
	}
	return append(b, '}', '}')
}

func (a *appender) timeline(b []byte, ts []reassembly.Transition, start wire.Time) []byte {
	for i := range ts {
		t := &ts[i]
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, stateTexts[t.State]...)
		b = a.instant(b, t.At, start)
		if i+1 < len(ts) {
			b = append(b, `,"dwell":`...)
			b = appendSeconds(b, ts[i+1].At.Sub(t.At))
		}
		if t.Frame != 0 {
			b = append(b, `,"frame":`...)
			b = a.frame(b, t.Frame)
		}
		b = append(b, evidenceTexts[t.Evidence]...)
		if t.Proof != 0 {
			b = append(b, `,"proof":`...)
			b = a.frame(b, t.Proof)
		}
		if t.Rewritten {
			b = append(b, `,"rewritten":true`...)
		}
		b = append(b, '}')
	}
	return b
}

func (a *appender) event(b []byte, e *reassembly.Event, start wire.Time, base *[2]wire.Seq, based *[2]bool) []byte {
	b = append(b, `{"at":`...)
	b = a.instant(b, e.At, start)
	b = append(b, `,"frame":`...)
	b = a.frame(b, e.Frame)
	from := e.From & 1
	b = append(b, eventTexts[from][e.Kind]...)
	if e.Count > 1 {
		b = append(b, `,"count":`...)
		b = appendUint(b, uint64(e.Count))
		b = append(b, `,"last_frame":`...)
		b = a.frame(b, e.LastFrame)
		b = append(b, `,"last_t":`...)
		b = appendSeconds(b, e.LastAt.Sub(start))
	}
	if based[from] {
		b = append(b, `,"seq":`...)
		b = appendUint(b, uint64(uint32(e.Seq-base[from])))
		if e.Count > 1 {
			b = append(b, `,"end":`...)
			b = appendUint(b, uint64(uint32(e.End-base[from])))
		}
	}
	if e.Flags.Has(wire.ACK) && based[1-from] {
		b = append(b, `,"ack":`...)
		b = appendUint(b, uint64(uint32(e.Ack-base[1-from])))
	}
	b = a.shape(b, e.Len, e.Window, e.Flags)
	if e.Marks&namedMarks != 0 {
		b = append(b, `,"marks":[`...)
		for _, x := range markNames {
			if e.Marks&x.mark != 0 {
				b = appendName(b, x.name)
			}
		}
		b = append(b, ']')
	}
	return append(b, '}')
}

func (a *appender) finding(b []byte, f *finding.Finding) []byte {
	t := ruleTexts()[f.Rule]
	if t != nil {
		b = append(b, t.id...)
	} else { // the rule is not registered
		b = appendRuleID(b, f.Rule)
	}
	b = appendString(b, f.Catalogue)
	if t != nil {
		b = append(b, t.title...)
	} else {
		b = appendRuleTitle(b, f.Rule)
	}
	b = append(b, gradeTexts[f.Severity][f.Confidence][f.Endpoint]...)
	b = a.frames(b, f.Frames)
	b = append(b, `,"message":`...)
	b = appendString(b, f.Message)
	b = append(b, `,"falsify":`...)
	b = appendString(b, f.Falsify)
	if t != nil {
		return append(b, t.advice...)
	}
	return appendRuleAdvice(b, f.Rule)
}

// late appends the object of one late group.
func (a *appender) late(b []byte, l *Late) []byte {
	b = append(b, `{"type":"late","schema":1,"uid":`...)
	b = appendString(b, l.UID)
	b = append(b, `,"capture":`...)
	b = appendString(b, l.Capture)
	b = appendEnds(b, &l.Tuple)
	b = append(b, `,"encap":`...)
	b = appendStrings(b, l.Encap)
	b = append(b, `,"first_frame":`...)
	b = a.frame(b, l.First)
	b = append(b, `,"last_frame":`...)
	b = a.frame(b, l.Last)
	b = append(b, `,"start":`...)
	b = a.time(b, l.Start)
	b = append(b, `,"end":`...)
	b = a.time(b, l.End)
	b = append(b, `,"packets":`...)
	b = appendSides(b, l.Packets[0], l.Packets[1])
	b = append(b, `,"bytes":`...)
	b = appendSides(b, l.Bytes[0], l.Bytes[1])
	b = append(b, `,"syns":`...)
	b = appendUint(b, l.SYNs)
	b = append(b, `,"fins":`...)
	b = appendUint(b, l.FINs)
	b = append(b, `,"rsts":`...)
	b = appendUint(b, l.RSTs)
	return append(b, '}')
}
