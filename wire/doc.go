// Package wire turns captured frames into TCP segments.
//
// A [Decoder] reads a [Frame] of one of the known link types ([LinkTypes]), walks
// what stands between the link layer and IP, and fills a [Segment]: a value with
// the addresses, ports, numbers, flags and options of one TCP header, and with the
// payload's length by the headers, whatever the capture kept of it. A frame
// without TCP gives a [Skip] that says why; none is an error.
//
// Ethernet, VLAN tags, IPv4, IPv6 with extension headers, and TCP are read by hand
// and without allocation. LLC and SNAP, MPLS, PPP and PPPoE headers go through
// google/gopacket's layers, in fallback.go, one header at a time; what they carry
// comes back to the same IP and TCP code. VLAN tags, labels and PPPoE sessions are
// kept as an encapsulation path ([EncapID]), because equal addresses in two VLANs
// are two connections.
//
// What the package is not: it does not read files (see package capture), put IP
// fragments together, look into tunnels, verify checksums, or keep payload. It
// knows nothing of connections: a segment's place in one is package reassembly's
// matter.
//
// To add a link type, write one file link_NAME.go that calls register, and give
// its header a line in the table of link_test.go; the tests fail until it is there.
package wire
