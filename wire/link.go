package wire

import (
	"fmt"
	"strconv"
)

// LinkType is a capture's link type: LINKTYPE_ values as in pcap and pcapng files.
type LinkType uint16

// linkTypes is the room of the registry; the registered values end near 300.
const linkTypes = 512

// linkDecoder is what is known of a link type.
type linkDecoder struct {
	name string
	// size is the least length of the header; next gets at least that much.
	size int
	// next reads the header at the start of a frame: what follows it, and where.
	next func(b []byte) (proto, int)
}

var links [linkTypes]*linkDecoder

// register adds a link type under its LINKTYPE_ number. Each link_*.go registers
// its own; nothing else needs to know of it.
func register(number LinkType, name string, size int, next func(b []byte) (proto, int)) LinkType {
	if int(number) >= len(links) || links[number] != nil || name == "" {
		panic(fmt.Sprintf("wire: link type %d (%q) cannot be registered", uint16(number), name))
	}
	links[number] = &linkDecoder{name, size, next}
	return number
}

// decoder returns the entry of a link type, nil for one that is not known.
func (l LinkType) decoder() *linkDecoder {
	if int(l) < len(links) {
		return links[l]
	}
	return nil
}

var _ = reads(0, func([]byte, uint32) (header, Skip) { return header{}, SkipMalformed }, protoDamaged)

// String returns the link type's name without "LINKTYPE_", as in "LINUX_SLL"; for
// one that this package does not decode, its number: "LINKTYPE(147)".
func (l LinkType) String() string {
	if k := l.decoder(); k != nil {
		return k.name
	}
	return "LINKTYPE(" + strconv.Itoa(int(l)) + ")"
}

// LinkTypes returns the link types that Decode knows, by ascending number.
func LinkTypes() []LinkType {
	var known []LinkType
	for i, l := range links {
		if l != nil {
			known = append(known, LinkType(i))
		}
	}
	return known
}
