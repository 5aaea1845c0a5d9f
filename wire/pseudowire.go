package wire

// afterLabels says what follows the last label of an MPLS stack, which nothing
// names. IP is told by its version (RFC 4928). A pseudowire begins with a control
// word, whose first four bits are 0, or 1 where it is the wire's own management
// (RFC 4385); or without one, with an Ethernet frame.
func afterLabels(b []byte, room uint32) (next proto, size int, skip Skip) {
	if len(b) == 0 {
		return 0, 0, SkipTruncated
	}
	if next = ipVersion(b[0]); next != protoNone {
		return next, 0, SkipNone
	}
	const controlWord = 4
	if room < ethernetHeader+1 {
		return 0, 0, SkipNotIP
	}
	if b[0]>>4 == 0 && room >= controlWord+ethernetHeader+1 {
		if len(b) < controlWord+ethernetHeader+1 {
			return 0, 0, SkipTruncated
		}
		if plausibleEthernet(b[controlWord:]) {
			return protoEthernet, controlWord, SkipNone
		}
	}
	if len(b) < ethernetHeader+1 {
		return 0, 0, SkipTruncated
	}
	if plausibleEthernet(b) {
		return protoEthernet, 0, SkipNone
	}
	return 0, 0, SkipNotIP
}
