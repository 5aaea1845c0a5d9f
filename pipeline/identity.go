package pipeline

import (
	"crypto/sha1"
	"encoding/base64"
	"encoding/binary"
	"strings"

	"github.com/tcplife/tcplife/reassembly"
	"github.com/tcplife/tcplife/report"
	"github.com/tcplife/tcplife/wire"
)

// names makes the strings by which a report names connections. The strings of many
// connections share one piece of memory: two or three small allocations for each
// connection would be most of all there are.
type names struct{ b strings.Builder }

// namesSize is small, because the summary's examples hold on to theirs.
const namesSize = 4 << 10

// text returns octets as a string.
func (n *names) text(b []byte) string {
	if n.b.Cap()-n.b.Len() < len(b) {
		n.b.Reset()
		n.b.Grow(max(namesSize, len(b)))
	}
	from := n.b.Len()
	n.b.Write(b)
	return n.b.String()[from:]
}

// view gives a tracked connection the names that a report uses.
func (n *names) view(v *report.Connection) {
	v.UID, v.CommunityID = n.uid(&v.Key, v.Encap), n.communityID(&v.Tuple)
	v.PreviousUID, v.NextUID = "", ""
	if v.Previous.Frame != 0 {
		v.PreviousUID = n.uid(&v.Previous.Key, v.Encap)
	}
	if v.Next.Frame != 0 {
		v.NextUID = n.uid(&v.Next.Key, v.Encap)
	}
}

// uid returns a connection's uid as it is printed.
func (n *names) uid(k *reassembly.UIDKey, encap []string) string {
	text := k.UID(encap).Text()
	return n.text(text[:])
}

// communityID is the flow hash that Zeek, Suricata and others print: version 1 of
// the Community ID specification with seed 0. Both directions have the same.
func (n *names) communityID(t *wire.Tuple) string {
	k, _ := t.Key()
	var b [2 + 2*16 + 2 + 4]byte // seed, addresses, protocol and padding, ports
	end := 2
	for _, a := range [2]wire.Addr{k.Src, k.Dst} {
		if t.V6 {
			binary.BigEndian.PutUint64(b[end:], a.Hi)
			binary.BigEndian.PutUint64(b[end+8:], a.Lo)
			end += 16
		} else {
			binary.BigEndian.PutUint32(b[end:], uint32(a.Lo))
			end += 4
		}
	}
	b[end] = 6 // TCP
	end += 2
	binary.BigEndian.PutUint16(b[end:], k.SrcPort)
	binary.BigEndian.PutUint16(b[end+2:], k.DstPort)
	sum := sha1.Sum(b[:end+4])
	text := [2 + 28]byte{'1', ':'}
	base64.StdEncoding.Encode(text[2:], sum[:])
	return n.text(text[:])
}
