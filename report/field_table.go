package report

import (
	"strconv"

	"github.com/tcplife/tcplife/reassembly"
	"github.com/tcplife/tcplife/rosetta"
	"github.com/tcplife/tcplife/wire"
)

// wordsOf lists the names of the constants of a closed list.
func wordsOf[T ~uint8](n int, name func(T) string) (all []string) {
	for i := range n {
		all = append(all, name(T(i)))
	}
	return all
}

var (
	stateList     = wordsOf(reassembly.StateCount, reassembly.State.String)
	handshakeList = wordsOf(handshakeCount, reassembly.HandshakeOutcome.String)
	outcomeList   = wordsOf(outcomeCount, reassembly.Outcome.String)
	roleList      = wordsOf(int(reassembly.RoleByGuess)+1, reassembly.RoleBy.String)
	sideList      = []string{"client", "server"}
	byList        = []string{"fin", "rst"}
)

// The builders of the table below.

func textField(name string, get func(c *Connection) string) *Field {
	return &Field{Name: name, Kind: KindText, get: func(c *Connection) Value { return textValue(get(c)) }}
}

// maybeText is a text that is unknown when it is empty.
func maybeText(name string, get func(c *Connection) string) *Field {
	return &Field{Name: name, Kind: KindText, Optional: true, get: func(c *Connection) Value {
		s := get(c)
		return textValue(s).known(s != "")
	}}
}

func (f *Field) from(words []string) *Field {
	f.Words = words
	return f
}

func countField(name, unit string, get func(c *Connection) uint64) *Field {
	return &Field{Name: name, Kind: KindInteger, Unit: unit, get: func(c *Connection) Value { return countValue(get(c)) }}
}

func maybeCount(name, unit string, get func(c *Connection) (uint64, bool)) *Field {
	return &Field{Name: name, Kind: KindInteger, Unit: unit, Optional: true, get: func(c *Connection) Value {
		n, known := get(c)
		return countValue(n).known(known)
	}}
}

func flagField(name string, get func(c *Connection) bool) *Field {
	return &Field{Name: name, Kind: KindFlag, get: func(c *Connection) Value { return flagValue(get(c)) }}
}

func newField(name string, kind ValueKind, get func(c *Connection) Value) *Field {
	return &Field{Name: name, Kind: kind, get: get}
}

func (f *Field) written(write func(b []byte, c *Connection) []byte) *Field {
	f.write = write
	return f
}

func (f *Field) optional() *Field {
	f.Optional = true
	return f
}

func (f *Field) of(what string) *Field {
	f.Of = what
	return f
}

func (f *Field) peer() *Field {
	f.watched = true
	return f
}

// eachSide makes a field for the client and one for the server.
func eachSide(make func(side reassembly.Side, name string) *Field) []*Field {
	return []*Field{make(reassembly.Client, "client"), make(reassembly.Server, "server")}
}

// sideFields are the two fields of a number that is known of each side.
func sideFields(name, unit string, get func(e *reassembly.Endpoint) uint64) []*Field {
	return eachSide(func(side reassembly.Side, s string) *Field {
		return countField(name+"."+s, unit, func(c *Connection) uint64 { return get(&c.Ends[side]) })
	})
}

func knownFields(name, unit string, get func(c *Connection, side reassembly.Side) (uint64, bool)) []*Field {
	return eachSide(func(side reassembly.Side, s string) *Field {
		return maybeCount(name+"."+s, unit, func(c *Connection) (uint64, bool) { return get(c, side) })
	})
}

// rangeFields are the ranges of both sides, as "1-100 200-300": the last number is
// the one after them.
func rangeFields(name string, get func(e *reassembly.Endpoint) []reassembly.Range) []*Field {
	return eachSide(func(side reassembly.Side, s string) *Field {
		return newField(name+"."+s, KindList, func(c *Connection) Value {
			rs := get(&c.Ends[side])
			if len(rs) == 0 {
				return Value{}
			}
			base, _ := seqBase(c.Conn, side)
			var list []string
			for _, r := range rs {
				list = append(list, strconv.FormatUint(uint64(uint32(r.From-base)), 10)+"-"+strconv.FormatUint(uint64(uint32(r.To-base)), 10))
			}
			return listValue(list)
		}).optional().of("ranges of sequence numbers")
	})
}

// optionFields are the options of both sides' SYN.
func optionFields() (all []*Field) {
	for _, side := range []reassembly.Side{reassembly.Client, reassembly.Server} {
		in := "handshake.options." + side.String() + "."
		value := func(name, unit string, option wire.OptionSet, get func(o *wire.Options) uint64) *Field {
			return maybeCount(in+name, unit, func(c *Connection) (uint64, bool) {
				e := &c.Ends[side]
				return get(&e.SYN), e.HasSYN && e.SYN.Set&option != 0
			})
		}
		all = append(all, newField(in+"present", KindList, func(c *Connection) Value {
			e := &c.Ends[side]
			var list []string
			for _, x := range optionNames {
				if e.SYN.Set&x.option != 0 {
					list = append(list, x.name)
				}
			}
			return listValue(list).known(e.HasSYN)
		}).optional().of("words"),
			value("mss", "octets of a segment", wire.OptMSS, func(o *wire.Options) uint64 { return uint64(o.MSS) }),
			value("window_scale", "shift count", wire.OptWindowScale, func(o *wire.Options) uint64 { return uint64(o.WindowScale) }),
			value("tsval", "ticks", wire.OptTimestamps, func(o *wire.Options) uint64 { return uint64(o.TSVal) }),
			value("tsecr", "ticks", wire.OptTimestamps, func(o *wire.Options) uint64 { return uint64(o.TSEcr) }),
			value("user_timeout", "whole seconds", wire.OptUserTimeout, func(o *wire.Options) uint64 { return userTimeout(o.UserTimeout) }),
			value("fast_open_cookie", "octets", wire.OptFastOpen, func(o *wire.Options) uint64 { return uint64(o.FastOpenLen) }),
			value("mptcp_subtype", "", wire.OptMPTCP, func(o *wire.Options) uint64 { return uint64(o.MPTCPSubtype) }))
	}
	return all
}

// closeField is a value that only a connection with a closer has.
func closeField(name string, kind ValueKind, get func(c *Connection) Value) *Field {
	return newField(name, kind, func(c *Connection) Value { return get(c).known(c.Close.HasCloser) }).optional()
}

// positiveField is a duration that is unknown when it is 0.
func positiveField(name string, get func(c *Connection) Value) *Field {
	return newField(name, KindSeconds, func(c *Connection) Value {
		v := get(c)
		return v.known(v.N > 0)
	}).optional()
}

// severalField is how many rows another tool makes of a connection; unknown for one.
func severalField(name, unit string, get func(c *Connection) uint16) *Field {
	return maybeCount(name, unit, func(c *Connection) (uint64, bool) {
		n := get(c)
		return uint64(n), n > 1
	})
}

// fieldTable joins the parts of the table.
func fieldTable(parts ...any) (all []*Field) {
	for _, p := range parts {
		switch p := p.(type) {
		case *Field:
			all = append(all, p)
		case []*Field:
			all = append(all, p...)
		}
	}
	return all
}

// fields is the table, in the order of the JSON.
var fields = fieldTable(
	&Field{Name: "id", Kind: KindInteger, ID: true},
	textField("uid", func(c *Connection) string { return c.UID }),
	maybeText("community_id", func(c *Connection) string { return c.CommunityID }),
	maybeText("previous", func(c *Connection) string { return c.PreviousUID }),
	maybeText("next", func(c *Connection) string { return c.NextUID }),
	textField("capture", func(c *Connection) string { return c.Capture }),
	newField("first_frame", KindFrame, func(c *Connection) Value { return frameValue(c.First) }),
	newField("last_frame", KindFrame, func(c *Connection) Value { return frameValue(c.Last) }),
	textField("client.ip", func(c *Connection) string { return c.Tuple.Src.Netip(c.Tuple.V6).String() }).
		written(func(b []byte, c *Connection) []byte { return appendAddr(b, c.Tuple.Src, c.Tuple.V6) }),
	countField("client.port", "", func(c *Connection) uint64 { return uint64(c.Tuple.SrcPort) }),
	textField("server.ip", func(c *Connection) string { return c.Tuple.Dst.Netip(c.Tuple.V6).String() }).
		written(func(b []byte, c *Connection) []byte { return appendAddr(b, c.Tuple.Dst, c.Tuple.V6) }),
	countField("server.port", "", func(c *Connection) uint64 { return uint64(c.Tuple.DstPort) }),
	textField("role_by", func(c *Connection) string { return c.RoleBy.String() }).from(roleList),
	newField("encap", KindList, func(c *Connection) Value { return listValue(c.Encap) }).of("words"),
	textField("outcome", func(c *Connection) string { return c.Outcome.String() }).from(outcomeList),
	newField("start", KindInstant, func(c *Connection) Value { return instantValue(c.Start) }),
	newField("end", KindInstant, func(c *Connection) Value { return instantValue(c.End) }),
	newField("duration", KindSeconds, func(c *Connection) Value { return secondsValue(c.End.Sub(c.Start)) }),
	newField("until", KindInstant, func(c *Connection) Value { return instantValue(c.Until) }),
	flagField("open", func(c *Connection) bool { return open(c.Conn) }),
	flagField("settled", func(c *Connection) bool { return !c.Provisional }),
	flagField("evicted", func(c *Connection) bool { return c.Ended == reassembly.EndedEvicted }),
	sideFields("packets", "segments", func(e *reassembly.Endpoint) uint64 { return e.Packets }),
	sideFields("bytes", "octets", func(e *reassembly.Endpoint) uint64 { return e.Bytes }),
	sideFields("unique_bytes", "octets", func(e *reassembly.Endpoint) uint64 { return e.UniqueBytes }),
	sideFields("retransmits", "segments", func(e *reassembly.Endpoint) uint64 { return e.Retransmits }),
	sideFields("duplicates", "frames", func(e *reassembly.Endpoint) uint64 { return e.Duplicates }),
	sideFields("missing_bytes", "octets", func(e *reassembly.Endpoint) uint64 { return e.MissingBytes }),
	rangeFields("missing", func(e *reassembly.Endpoint) []reassembly.Range { return e.Missing }),
	rangeFields("repeated", func(e *reassembly.Endpoint) []reassembly.Range { return e.Repeated }),
	knownFields("isn", "", func(c *Connection, side reassembly.Side) (uint64, bool) {
		return uint64(c.Ends[side].ISN), c.Ends[side].HasISN
	}),
	knownFields("seq_base", "", func(c *Connection, side reassembly.Side) (uint64, bool) {
		base, ok := seqBase(c.Conn, side)
		return uint64(base), ok && !c.Ends[side].HasISN
	}),
	eachSide(func(side reassembly.Side, s string) *Field {
		return positiveField("response."+s, func(c *Connection) Value { return secondsValue(c.Ends[side].Response) })
	}),
	knownFields("ttl", "hops", func(c *Connection, side reassembly.Side) (uint64, bool) {
		return uint64(c.Ends[side].TTL), c.Ends[side].Packets > 0
	}),

	textField("handshake.outcome", func(c *Connection) string { return c.Handshake.Outcome.String() }).from(handshakeList),
	positiveField("handshake.rtt", func(c *Connection) Value { return secondsValue(c.Handshake.RTT) }),
	positiveField("handshake.rtt_client_side", func(c *Connection) Value { return secondsValue(c.Handshake.ClientSide) }),
	positiveField("handshake.rtt_server_side", func(c *Connection) Value { return secondsValue(c.Handshake.ServerSide) }),
	maybeCount("handshake.syn_retransmits", "segments", func(c *Connection) (uint64, bool) {
		return uint64(c.Handshake.SYNs) - 1, c.Handshake.SYNs > 0
	}),
	maybeCount("handshake.synack_retransmits", "segments", func(c *Connection) (uint64, bool) {
		return uint64(c.Handshake.SYNACKs) - 1, c.Handshake.SYNACKs > 0
	}),
	flagField("handshake.cookie", func(c *Connection) bool { return c.Handshake.Cookie }),
	flagField("handshake.deferred", func(c *Connection) bool { return c.Handshake.Deferred }),
	flagField("handshake.accept_queue", func(c *Connection) bool { return c.Handshake.AcceptQueue }),
	flagField("handshake.fastopen", func(c *Connection) bool { return c.Handshake.FastOpen }),
	flagField("handshake.simultaneous", func(c *Connection) bool { return c.Handshake.Simultaneous }),
	optionFields(),

	textField("close.reason", func(c *Connection) string { return c.Close.Reason.String() }).from(reassembly.CloseReasons()),
	closeField("close.closer", KindText, func(c *Connection) Value { return textValue(c.Close.Closer.String()) }).from(sideList),
	closeField("close.by", KindText, func(c *Connection) Value { return textValue(c.Close.By) }).from(byList),
	closeField("close.at", KindInstant, func(c *Connection) Value { return instantValue(c.Close.At) }),
	closeField("close.t", KindSeconds, func(c *Connection) Value { return secondsValue(c.Close.At.Sub(c.Start)) }),
	closeField("close.duration", KindSeconds, func(c *Connection) Value { return secondsValue(c.Close.Duration) }),
	closeField("close.idle_before", KindSeconds, func(c *Connection) Value { return secondsValue(c.Close.IdleBefore) }),
	newField("close.reset_by", KindText, func(c *Connection) Value {
		return textValue(c.Close.ResetBy.String()).known(c.Close.Reset > 0)
	}).from(sideList).optional(),
	knownFields("close.unacked", "octets", func(c *Connection, side reassembly.Side) (uint64, bool) {
		e := &c.Ends[side]
		return uint64(e.Unacked()), e.HasNext && e.HasAcked
	}),

	eachSide(func(side reassembly.Side, s string) *Field {
		return newField("states."+s, KindList, func(c *Connection) Value {
			var list []string
			for _, t := range c.Ends[side].Timeline {
				list = append(list, t.State.String())
			}
			return listValue(list)
		}).of("states")
	}),
	eachSide(func(side reassembly.Side, s string) *Field {
		return newField("final."+s, KindText, func(c *Connection) Value {
			e := &c.Ends[side]
			return textValue(e.Final().String()).known(len(e.Timeline) > 0)
		}).optional().from(stateList)
	}),
	newField("events", KindList, func(c *Connection) Value {
		var list []string
		errors := c.ICMP
		for i := range c.Events {
			for ; len(errors) > 0 && errors[0].Frame < c.Events[i].Frame; errors = errors[1:] {
				list = append(list, reassembly.KindICMP.String())
			}
			list = append(list, c.Events[i].Kind.String())
		}
		for range errors {
			list = append(list, reassembly.KindICMP.String())
		}
		return listValue(list)
	}).of("events"),
	countField("dropped_events", "events", func(c *Connection) uint64 { return uint64(c.Dropped) }),
	newField("findings", KindList, func(c *Connection) Value {
		var list []string
		for i := range c.Findings {
			list = append(list, c.Findings[i].Rule.ID)
		}
		return listValue(list)
	}).of("findings"),

	textField("zeek.conn_state", func(c *Connection) string { return c.Peers.Zeek.State }).optional().from(rosetta.ZeekStates()).peer(),
	textField("zeek.history", func(c *Connection) string { return string(c.Peers.Zeek.History) }).optional().peer(),
	newField("zeek.duration", KindSeconds, func(c *Connection) Value { return secondsValue(c.Peers.Zeek.Duration) }).optional().peer(),
	newField("zeek.originator", KindText, func(c *Connection) Value {
		return textValue(reassembly.Server.String()).known(c.Peers.Zeek.Originator == reassembly.Server)
	}).optional().peer().from(sideList),
	severalField("zeek.rows", "rows", func(c *Connection) uint16 { return c.Peers.Zeek.Rows }).peer(),
	&Field{Name: "wireshark.stream", Kind: KindInteger, Stream: true, Optional: true, watched: true},
	newField("wireshark.completeness", KindInteger, func(c *Connection) Value { return countValue(uint64(c.Peers.Wireshark.Completeness)) }).optional().peer(),
	textField("wireshark.completeness_str", func(c *Connection) string { return completenessNames[c.Peers.Wireshark.Completeness&63] }).optional().peer(),
	severalField("wireshark.streams", "streams", func(c *Connection) uint16 { return c.Peers.Wireshark.Streams }).peer(),
	textField("conntrack.state", func(c *Connection) string { return rosetta.ConntrackOf(c.Conn).State }).optional().from(rosetta.ConntrackStates()),
	severalField("conntrack.entries", "entries", func(c *Connection) uint16 { return rosetta.ConntrackOf(c.Conn).Entries }),
	textField("argus.state", func(c *Connection) string { return rosetta.ArgusOf(c.Conn).State }).optional().from(rosetta.ArgusStates()),
	textField("argus.events", func(c *Connection) string { return rosetta.ArgusOf(c.Conn).Letters }).optional(),
	textField("tcptrace.complete", func(c *Connection) string { return c.Peers.Tcptrace.Complete() }).optional().peer(),
	severalField("tcptrace.connections", "connections", func(c *Connection) uint16 { return c.Peers.Tcptrace.Connections }).peer(),
	textField("suricata.tcp_state", func(c *Connection) string { return rosetta.SuricataOf(c.Conn).TCPState }).optional().from(rosetta.SuricataStates()),
	textField("suricata.flow_state", func(c *Connection) string { return rosetta.SuricataOf(c.Conn).FlowState }).optional().from(rosetta.SuricataFlowStates()),
)
