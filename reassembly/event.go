package reassembly

import "github.com/tcplife/tcplife/wire"

// Event is one entry of a connection's log: a segment that matters to its life,
// or a run of data and acknowledgments that do not (Count > 1).
type Event struct {
	At    wire.Time
	Frame wire.FrameID
	// LastAt and LastFrame are those of the run's last segment; equal to At and
	// Frame for a single one.
	LastAt    wire.Time
	LastFrame wire.FrameID
	// Count is the number of segments, 1 or more; Len their payload in octets.
	Count uint32
	Len   uint32
	// Seq is the first segment's sequence number, End the highest number after
	// payload, SYN and FIN of the run; Ack the last segment's acknowledgment.
	Seq, End, Ack wire.Seq
	// TSVal is the last segment's timestamp, TSEcr the one that it echoes; valid with
	// MarkTimestamp.
	TSVal  uint32
	TSEcr  uint32
	Flags  wire.Flags
	Window uint16
	IPID   uint16
	TTL    uint8
	From   Side
	Kind   Kind
	Marks  Marks
	// Traits are those of the first segment.
	Traits wire.Traits
}

// Kind is what an event is.
type Kind uint8

// The kinds; a segment with several flags counts as the first that applies of
// RST, SYN, FIN, data, ACK.
const (
	KindACK Kind = iota
	KindData
	KindSYN
	KindSYNACK
	KindFIN
	KindRST
	// KindOdd: no ACK, no SYN, no RST (NULL, FIN-only and Xmas scans).
	KindOdd
	// KindICMP: an ICMP error about a segment. The log holds segments only; the
	// errors stand in Conn.ICMP.
	KindICMP
)

var kindNames = [...]string{"ack", "data", "syn", "synack", "fin", "rst", "odd", "icmp"}

// String returns the word used in reports.
func (k Kind) String() string { return kindNames[k] }

// Marks are single-bit facts about an event, found when its segment was tracked.
type Marks uint16

// The marks.
const (
	// MarkRepeat: it repeats sequence numbers already seen of this side.
	MarkRepeat Marks = 1 << iota
	// MarkGap: it begins beyond the highest sequence number seen of this side.
	MarkGap
	// MarkKeepalive: no more than one octet, one below the next sequence number.
	MarkKeepalive
	// MarkZeroWindow: it advertises a window of 0.
	MarkZeroWindow
	// MarkDSACK: it reports that its sender received something twice (RFC 2883).
	MarkDSACK
	// MarkOther: its numbers belong to another incarnation of the tuple.
	MarkOther
	// MarkAckUnseen: it acknowledges what the capture never held.
	MarkAckUnseen
	// MarkTimestamp: it carried timestamps.
	MarkTimestamp
	// MarkOutside: its sequence number lies outside of anything the receiver could
	// have accepted.
	MarkOutside
	// MarkShrink: it takes back window that its sender had offered (RFC 9293 section
	// 3.8.6.2.1).
	MarkShrink
	// MarkOldTime: its time stamp is older than one that its sender had used before
	// (RFC 7323 section 5).
	MarkOldTime
	// MarkHops: its hop limit is not that of the sender's segment before it.
	MarkHops
	// MarkEcho: both sides go on sending ACKs that acknowledge nothing new.
	MarkEcho
)

// Has reports whether all marks of m2 are set.
func (m Marks) Has(m2 Marks) bool { return m&m2 == m2 }

// Seen is the union of what happened on a connection. A rule names the bits that
// can trigger it, so that a clean connection runs none.
type Seen uint64

// The bits.
const (
	SeenSYN Seen = 1 << iota
	SeenSYNACK
	SeenData
	SeenFINClient
	SeenFINServer
	SeenRSTClient
	SeenRSTServer
	SeenRepeatSYN
	SeenRepeatSYNACK
	SeenRepeatFIN
	SeenRepeatData
	SeenGap
	SeenKeepalive
	SeenZeroWindow
	SeenDSACK
	SeenOther
	SeenAckUnseen
	SeenDuplicate
	SeenOdd
	SeenOutside
	SeenOpenFIN   // a FIN was not acknowledged when the connection settled
	SeenHalfClose // new data that acknowledges the peer's FIN
	SeenICMP      // an ICMP error quotes one of its segments
	SeenShrink
	SeenOldTime
	SeenHops
	SeenEcho
	SeenUrgent      // the URG flag
	SeenCrossedFIN  // a FIN that does not acknowledge the one the peer had sent
	SeenPromptFIN   // a FIN that is the first to acknowledge the peer's
	SeenBothSYN     // a SYN without ACK of the server
	SeenSYNData     // data, or an option that announces it, on a SYN
	SeenUserTimeout // the user timeout option on a SYN (RFC 5482)
	SeenLessOptions // a SYN-ACK lacks what the SYN offered
	SeenSelf        // both ends are one address and port
	SeenNoData      // opened and ended without data
	SeenUnanswered  // a SYN without SYN-ACK
	SeenHalfOpen    // a SYN-ACK, after which the client sent nothing but SYN and RST
	SeenUnsolicited // begins with a SYN-ACK or RST that nothing in the capture asked for
	SeenOneFIN      // one side alone sent a FIN
	SeenReused      // the tuple had a connection before
	SeenOlderLife   // a segment of the tuple's earlier connection passed after the SYN
	SeenReopened    // the tuple opened anew while the connection was held
)

// SeenRST is a RST of either side.
const SeenRST = SeenRSTClient | SeenRSTServer
