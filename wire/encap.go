package wire

import (
	"encoding/binary"
	"strconv"
)

// MaxEncaps is the largest number of distinct encapsulation paths that a Decoder
// tells apart. Two stacked tags alone make 16 million, all at a sender's choice;
// from the next one on, paths share one that is called "other".
const MaxEncaps = 1 << 16

// otherEncap is the path of everything beyond MaxEncaps.
const otherEncap EncapID = MaxEncaps + 1

var otherLayers = []string{"other"}

// layerKind says what sort of header a layer of a path is.
//
// A layer has a value where that names a network with addresses of its own: a VLAN, a
// label, a network or service identifier, a key. What each receiver chooses for
// itself (GTP's and L2TP's tunnels, PPTP's calls, security associations) names a
// direction, and often changes in the middle of a connection; it has no place in the
// path, and neither have the outer addresses (docs/adr/0004-identity.md).
type layerKind uint8

const (
	layerNone layerKind = iota
	layerVLAN
	layerMPLS
	layerPPPoE
	layerIPIP
	layerEtherIP
	layerGRE
	layerGREKey
	layerPPTP
	layerEoIP
	layerWCCP
	layerERSPAN
	layerVXLAN
	layerGeneve
	layerGTP
	layerTeredo
	layerAYIYA
	layerLISP
	layerLISPInstance
	layerL2TP
	layerCAPWAP
	layerTZSP
	layerBackbone
	layerSFlow
)

// layerNames holds each kind's name in reports; an array, so that a kind without
// one shows in a test. A name that ends in a colon is followed by the value.
var layerNames = [...]string{
	layerNone: "", layerVLAN: "vlan:", layerMPLS: "mpls:", layerPPPoE: "pppoe:",
	layerIPIP: "ipip", layerEtherIP: "etherip",
	layerGRE: "gre", layerGREKey: "gre:", layerPPTP: "pptp", layerEoIP: "eoip:", layerWCCP: "wccp", layerERSPAN: "erspan",
	layerVXLAN: "vxlan:", layerGeneve: "geneve:", layerGTP: "gtp", layerTeredo: "teredo", layerAYIYA: "ayiya",
	layerLISP: "lisp", layerLISPInstance: "lisp:", layerL2TP: "l2tp",
	layerCAPWAP: "capwap", layerTZSP: "tzsp", layerBackbone: "pbb:", layerSFlow: "sflow",
}

// layerSize is the room of one layer in a path: its kind, then its value in
// network order.
const layerSize = 5

// path collects the layers of one frame, outermost first. It is an array of
// octets because these are the key under which the table finds it.
type path struct {
	n   int
	buf [maxHeaders * layerSize]byte
}

func (p *path) reset() { p.n = 0 }

func (p *path) push(kind layerKind, value uint32) {
	b := p.buf[p.n : p.n+layerSize]
	b[0] = byte(kind)
	binary.BigEndian.PutUint32(b[1:], value)
	p.n += layerSize
}

// pathTable numbers paths in the order in which they first appear. An entry costs
// a key of 5 octets per layer, its names and its place in the map: with two tags
// about 200 octets, so some 13 MB when full.
type pathTable struct {
	ids     map[string]EncapID
	entries []pathEntry // by id, from 1
	// recent saves most look-ups in the map: a trunk carries many paths, but at
	// any time most frames are of a few. A path's place in it is given by its
	// innermost layer, where neighbouring numbers fall into different places.
	recent [64]struct {
		key string
		id  EncapID
	}
}

type pathEntry struct {
	key    string
	layers []string
}

// id returns the number of p, giving it the next one when it is new.
func (t *pathTable) id(p *path) EncapID {
	if p.n == 0 {
		return 0
	}
	key := p.buf[:p.n]
	recent := &t.recent[int(key[len(key)-1])%len(t.recent)]
	if recent.key == string(key) {
		return recent.id
	}
	id, ok := t.ids[string(key)]
	if !ok {
		if len(t.entries) >= MaxEncaps {
			return otherEncap
		}
		id = t.add(string(key))
	}
	recent.key, recent.id = t.entries[id-1].key, id
	return id
}

// known returns the number of p, 0 if it has none yet.
func (t *pathTable) known(p *path) EncapID { return t.ids[string(p.buf[:p.n])] }

func (t *pathTable) add(key string) EncapID {
	if t.ids == nil {
		t.ids = make(map[string]EncapID)
	}
	layers := make([]string, 0, len(key)/layerSize)
	for k := key; len(k) > 0; k = k[layerSize:] {
		value := binary.BigEndian.Uint32([]byte(k[1:layerSize]))
		layers = append(layers, layerName(layerKind(k[0]), value))
	}
	t.entries = append(t.entries, pathEntry{key, layers})
	id := EncapID(len(t.entries))
	t.ids[key] = id
	return id
}

func layerName(kind layerKind, value uint32) string {
	name := layerNames[kind]
	if name[len(name)-1] != ':' {
		return name
	}
	return name + strconv.FormatUint(uint64(value), 10)
}

// layers returns the names of a path's layers; nil for one that has no entry.
func (t *pathTable) layers(id EncapID) []string {
	if id == otherEncap {
		return otherLayers
	}
	if id == 0 || uint64(id) > uint64(len(t.entries)) {
		return nil
	}
	return t.entries[id-1].layers
}
