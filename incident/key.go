package incident

import (
	"cmp"
	"math/bits"
	"net/netip"

	"github.com/tcplife/tcplife/reassembly"
	"github.com/tcplife/tcplife/wire"
)

// key is what is counted apart: a client, a server, a listener, or a pair of client
// and listener. What a key does not tell apart is 0 in it. It is an array of words,
// and no struct, so that a map hashes it at once.
type key [5]uint64

// The words of a key: the client's and the server's address in two words each, then
// the rest, which is the server's port, the IP version and the encapsulation path.
const (
	clientHigh = iota
	clientLow
	serverHigh
	serverLow
	rest
)

const (
	v6Bit     = 1 << 16
	encapFrom = 32
)

// plain is what belongs to every key: equal addresses in two tunnels are not one
// host (catalogue K14).
func plain(t *wire.Tuple) uint64 {
	w := uint64(t.Encap) << encapFrom
	if t.V6 {
		w |= v6Bit
	}
	return w
}

// pairKey names a client and a listener that it talks to.
func pairKey(t *wire.Tuple) key {
	return key{t.Src.Hi, t.Src.Lo, t.Dst.Hi, t.Dst.Lo, plain(t) | uint64(t.DstPort)}
}

// listenerKey names an address and port that connections are made to.
func listenerKey(t *wire.Tuple) key {
	return key{serverHigh: t.Dst.Hi, serverLow: t.Dst.Lo, rest: plain(t) | uint64(t.DstPort)}
}

// clientKey names a host that makes connections.
func clientKey(t *wire.Tuple) key {
	return key{clientHigh: t.Src.Hi, clientLow: t.Src.Lo, rest: plain(t)}
}

// pathKey names two hosts, whatever the port.
func pathKey(t *wire.Tuple) key {
	return key{t.Src.Hi, t.Src.Lo, t.Dst.Hi, t.Dst.Lo, plain(t)}
}

// listener returns the listener of a pair.
func (k key) listener() key {
	return key{serverHigh: k[serverHigh], serverLow: k[serverLow], rest: k[rest]}
}

// client returns the client of a pair or path.
func (k key) client() key {
	return key{clientHigh: k[clientHigh], clientLow: k[clientLow], rest: k[rest] &^ 0xffff}
}

// server returns the server's host, whatever the port.
func (k key) server() key {
	return key{serverHigh: k[serverHigh], serverLow: k[serverLow], rest: k[rest] &^ 0xffff}
}

// path returns the two hosts of a pair.
func (k key) path() key {
	k[rest] &^= 0xffff
	return k
}

// turned returns a host's key in the other role.
func (k key) turned() key {
	k[clientHigh], k[clientLow], k[serverHigh], k[serverLow] = k[serverHigh], k[serverLow], k[clientHigh], k[clientLow]
	return k
}

// is reports whether two keys are equal; spelled out, because the compiler would call a
// function that compares octets.
func (k *key) is(o *key) bool {
	return k[rest] == o[rest] && k[clientLow] == o[clientLow] && k[serverLow] == o[serverLow] && k[clientHigh] == o[clientHigh] && k[serverHigh] == o[serverHigh]
}

func (k key) port() uint16        { return uint16(k[rest]) }
func (k key) v6() bool            { return k[rest]&v6Bit != 0 }
func (k key) encap() wire.EncapID { return wire.EncapID(k[rest] >> encapFrom) }

// hasClient and hasServer report whether the key tells clients, or servers, apart. The
// unspecified address, which is 0 in IPv6, makes no connection.
func (k key) hasClient() bool { return k[clientHigh]|k[clientLow] != 0 }
func (k key) hasServer() bool { return k[serverHigh]|k[serverLow] != 0 }

// addr returns the address of a side as connections hold it.
func (k key) addr(side reassembly.Side) (a wire.Addr, v6 bool) {
	if side == reassembly.Client {
		return wire.Addr{Hi: k[clientHigh], Lo: k[clientLow]}, k.v6()
	}
	return wire.Addr{Hi: k[serverHigh], Lo: k[serverLow]}, k.v6()
}

func (k key) clientAddr() netip.Addr {
	return wire.Addr{Hi: k[clientHigh], Lo: k[clientLow]}.Netip(k.v6())
}

func (k key) serverAddr() netip.Addr {
	return wire.Addr{Hi: k[serverHigh], Lo: k[serverLow]}.Netip(k.v6())
}

// compare orders keys: by client, then by server, then by the rest.
func (k key) compare(o key) int {
	for i := range k {
		if k[i] != o[i] {
			return cmp.Compare(k[i], o[i])
		}
	}
	return 0
}

// hash spreads keys evenly over all numbers. It is the same in every run and must
// stay so: which keys are kept when there are too many depends on it. Who chooses
// addresses can choose which those are; memory stays bounded all the same, and where
// a key stands in memory is not this hash's to say.
func (k *key) hash() uint64 {
	h := uint64(hashFrom)
	for _, w := range k {
		// The two halves of a product: every bit of both has its say.
		high, low := bits.Mul64(h^w, hashBy)
		h = high ^ low ^ bits.RotateLeft64(w, 29)
	}
	return hashEnd(h)
}

const hashFrom, hashBy = 0x9e3779b97f4a7c15, 0xd6e8feb86659fd93

func hashEnd(h uint64) uint64 {
	h ^= h >> 32
	h *= 0xff51afd7ed558ccd
	return h ^ h>>29
}
