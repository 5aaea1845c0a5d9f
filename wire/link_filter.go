package wire

// Link types of BSD's packet filter log and of its IPsec interface, where packets
// pass before encryption and after.
const (
	LinkPFLog LinkType = 117
	LinkEnc   LinkType = 109
)

const encHeader = 12

var (
	_ = register(LinkPFLog, "PFLOG", 4, func(b []byte) (proto, int) {
		// The length leaves out the padding to four octets. Headers that are shorter
		// are of OpenBSD before 3.4.
		size := (int(b[0]) + 3) &^ 3
		if size < 48 {
			return protoNone, 4
		}
		if len(b) <= size {
			return protoNone, size + 1
		}
		return ipVersion(b[size]), size
	})
	_ = register(LinkEnc, "ENC", encHeader+1, func(b []byte) (proto, int) { return ipVersion(b[encHeader]), encHeader })
)
