package wire

// Flags are the nine control bits of a TCP header (RFC 9293 section 3.1; AE is
// the former NS bit, RFC 9768).
type Flags uint16

// The control bits, at their place in the header.
const (
	FIN Flags = 1 << iota
	SYN
	RST
	PSH
	ACK
	URG
	ECE
	CWR
	AE
)

// Has reports whether all bits of f2 are set.
func (f Flags) Has(f2 Flags) bool { return f&f2 == f2 }

// Any reports whether at least one bit of f2 is set.
func (f Flags) Any(f2 Flags) bool { return f&f2 != 0 }

const flagLetters = "FSRP.UEWA"

// String prints the set bits in the letters that tcpdump uses: S SYN, F FIN,
// R RST, P PSH, U URG, E ECE, W CWR, A AE (the former NS) and a dot for ACK, in
// the order F S R P . U E W A; "none" when no bit is set.
func (f Flags) String() string {
	var b [9]byte
	n := 0
	for i := range flagLetters {
		if f&(1<<i) != 0 {
			b[n] = flagLetters[i]
			n++
		}
	}
	if n == 0 {
		return "none"
	}
	return string(b[:n])
}
