package wire

// Skip says why a frame gave no TCP segment. SkipNone is success. Every other
// value is counted and shown in the report; none is fatal.
type Skip uint8

// The reasons, from the link layer up.
const (
	SkipNone Skip = iota
	// SkipLinkType: the decoder does not know the frame's link type.
	SkipLinkType
	// SkipNotIP: the frame carries something that is not IPv4 or IPv6 (ARP, LLDP, ...).
	SkipNotIP
	// SkipNotTCP: IP, but another transport (UDP, ICMP, ...), or a tunnel with
	// something else in it.
	SkipNotTCP
	// SkipFragment: a fragment of an IP packet that could carry TCP, which did not
	// make the packet whole; Decoder.Fragments tells what became of it.
	SkipFragment
	// SkipTruncated: the capture was snapped before the end of the TCP header's
	// fixed part.
	SkipTruncated
	// SkipMalformed: lengths in the headers contradict each other or the frame.
	SkipMalformed
	// SkipEncrypted: IPsec ESP, MACsec, protected 802.11 or CAPWAP; what it carries
	// cannot be known.
	SkipEncrypted
	// SkipICMP: an ICMP error that quotes a TCP segment; Decoder.ICMP returns it.
	// Every other ICMP message is SkipNotTCP.
	SkipICMP

	skipEnd
)

// skipCarried is no reason, and never leaves the package: an IP packet is to be
// looked into further.
const skipCarried = skipEnd

// SkipCount is the number of values of Skip, for tables indexed by it.
const SkipCount = int(skipEnd)

var skipNames = [...]string{"none", "link-type", "not-ip", "not-tcp", "fragment", "truncated", "malformed", "encrypted", "icmp"}

// String returns the reason's name as it stands in reports.
func (s Skip) String() string {
	if int(s) < len(skipNames) {
		return skipNames[s]
	}
	return "unknown"
}
