package wire

// Segment is one TCP segment as a value without pointers into the frame, so that
// it may be kept, copied and handed to another goroutine. Lengths come from the
// headers, never from how much of the frame was captured.
type Segment struct {
	Frame FrameID
	At    Time
	// Tuple runs from the sender to the receiver.
	Tuple Tuple
	Seq   Seq
	Ack   Seq // meaningful only with the ACK flag
	Flags Flags
	// Window is the raw field; multiply by the negotiated scale for octets.
	Window uint16
	Urgent uint16
	// Len is the payload's length in octets, by the IP and TCP headers.
	Len uint32
	// IPID is the IPv4 identification (0 for IPv6), TTL the hop limit.
	IPID uint16
	TTL  uint8
	// Traits hold single-bit facts about how the segment was carried.
	Traits Traits
	// Carrier names the tunnel that the segment came through, by the addresses and
	// ports around it: equal values mean the same tunnel, as far as 32 bits tell. 0 is
	// none. It says nothing of identity, which Tuple.Encap is for.
	Carrier uint32
	Options Options
	// That makes 128 octets: a segment of a batch lies in two lines of the cache.
}

// Span returns how many sequence numbers the segment takes: its payload, plus
// one each for SYN and FIN (RFC 9293 section 3.4).
func (s *Segment) Span() uint32 {
	n := s.Len
	if s.Flags&SYN != 0 {
		n++
	}
	if s.Flags&FIN != 0 {
		n++
	}
	return n
}

// End returns the sequence number that follows the segment.
func (s *Segment) End() Seq { return s.Seq.Add(s.Span()) }

// Traits are single-bit facts about how a segment was carried.
type Traits uint8

// The traits.
const (
	// TraitDF: IPv4's don't-fragment bit was set.
	TraitDF Traits = 1 << iota
	// TraitSnapped: the capture holds less of the frame than was on the wire, by
	// the record's length or by the IP header's.
	TraitSnapped
	// TraitReassembled: the segment was put together from IP fragments.
	TraitReassembled
	// TraitSampled: the segment is one of those that a switch picked, one in many
	// (sFlow). What is missing around it says nothing.
	TraitSampled
)

// OptionSet says which TCP options a segment carried.
type OptionSet uint32

// The options that a connection's life depends on.
const (
	OptMSS         OptionSet = 1 << iota // kind 2, RFC 9293 section 3.7.1
	OptWindowScale                       // kind 3, RFC 7323
	OptSACKPerm                          // kind 4, RFC 2018
	OptSACK                              // kind 5, RFC 2018 and 2883
	OptTimestamps                        // kind 8, RFC 7323
	OptCC                                // kind 11, T/TCP, RFC 1644
	OptCCNew                             // kind 12
	OptCCEcho                            // kind 13
	OptMD5                               // kind 19, RFC 2385
	OptUserTimeout                       // kind 28, RFC 5482
	OptAO                                // kind 29, RFC 5925
	OptMPTCP                             // kind 30, RFC 8684
	OptFastOpen                          // kind 34, RFC 7413, and its experimental form (kind 254, magic f989)
	OptOther                             // any other kind
	// OptDamaged: a length ran out of the header or contradicts its kind. What
	// stood before the damage is kept.
	OptDamaged
	// OptCut: the capture was snapped inside the options.
	OptCut
)

// Has reports whether all options of o2 were present.
func (o OptionSet) Has(o2 OptionSet) bool { return o&o2 == o2 }

// Options are the decoded TCP options. A field means something only when its bit
// is in Set.
type Options struct {
	Set OptionSet
	// TSVal and TSEcr are the timestamps (RFC 7323).
	TSVal, TSEcr uint32
	// MSS is the maximum segment size in octets.
	MSS uint16
	// UserTimeout is RFC 5482's field: the upper bit chooses minutes, the rest is
	// the number of seconds or minutes.
	UserTimeout uint16
	// WindowScale is the shift count as sent; RFC 7323 caps its effect at 14.
	WindowScale uint8
	// FastOpenLen is the length of the Fast Open cookie; 0 asks for one.
	FastOpenLen uint8
	// MPTCPSubtype is the four-bit subtype of the first MPTCP option.
	MPTCPSubtype uint8
	// SACKs is the number of blocks of the SACK option, up to four.
	SACKs uint8
	// SACK holds the first two of them: later ones repeat what was told before, and say
	// nothing that DSACK asks for.
	SACK [2]SACKBlock
}

// SACKBlock is one block of a SACK option: from Left up to, not including, Right.
type SACKBlock struct{ Left, Right Seq }
