// Package wire turns captured frames into TCP segments.
//
// A [Decoder] reads a [Frame] of one of the known link types ([LinkTypes]), walks
// what stands between the link layer and IP, and fills a [Segment]: a value with
// the addresses, ports, numbers, flags and options of one TCP header, and with the
// payload's length by the headers, whatever the capture kept of it. A frame
// without TCP gives a [Skip] that says why; none is an error.
//
// What nearly all frames are, TCP straight above IP, Decode reads in one go. Ethernet,
// VLAN tags, IPv4, IPv6 with extension headers, and TCP are read by hand
// and without allocation. Everything else is walked (walk.go), one header at a time,
// each by the reader that is registered for the number which announces it: tags,
// labels, and tunnels such as GRE and VXLAN by a few lines each, without allocation
// too; LLC, SNAP, MPLS, PPPoE and PPP by gopacket's layers, in fallback.go. What
// they carry comes back to the same IP and TCP code. Tags, labels and tunnels are kept
// as an encapsulation path ([EncapID]), because equal addresses in two VLANs are two
// connections.
//
// A frame may hold several packets (802.11 A-MSDU, sFlow): [Decoder.Decode] gives the
// first segment and [Decoder.More] the others.
//
// Fragments of IP packets are held, within bounds, until their packet is whole; it
// then counts as the frame that completed it ([Decoder.Fragments] says how many
// never were). An ICMP error that quotes a segment is given as a value of its own
// ([ICMP]).
//
// What the package is not: it does not read files (see package capture), verify
// checksums, or keep payload. It knows nothing of connections: a segment's place in
// one is package reassembly's matter.
//
// To add a link type, write one file link_NAME.go that calls register, and give
// its header a line in the table of link_test.go; the tests fail until it is there.
// To add a tunnel, write tunnel_NAME.go with a reader, and a row of tunnel_test.go.
package wire
