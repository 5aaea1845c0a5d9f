package capture

import (
	"encoding/binary"
	"fmt"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"github.com/tcplife/tcplife/wire"
)

// Offsets of the kernel's structures, linux/if_packet.h: struct tpacket_block_desc with
// its struct tpacket_hdr_v1, struct tpacket3_hdr, and struct sockaddr_ll behind that.
const (
	blockStatus  = 8
	blockPackets = 12
	blockFirst   = 16

	packetNext     = 0
	packetSec      = 4
	packetNsec     = 8
	packetSnapLen  = 12
	packetLen      = 16
	packetStatus   = 20
	packetMAC      = 24
	packetNet      = 26
	packetVLANTCI  = 32
	packetVLANTPID = 36
	packetIndex    = unix.SizeofTpacket3Hdr + 4
	packetHatype   = unix.SizeofTpacket3Hdr + 8
	packetHead     = unix.SizeofTpacket3Hdr + unix.SizeofSockaddrLinklayer

	tagLen = 4
)

var native = binary.NativeEndian

// ring is the memory that the kernel writes frames into, a block at a time (packet(7),
// TPACKET_V3). It belongs to the reader, but for unmap.
type ring struct {
	memory []byte
	blocks int
	// current is the block that comes next, or that is being read: then data is its
	// memory, at the place of the next packet, and left how many are to come.
	current int
	data    []byte
	at      uint32
	left    uint32
	held    bool
	// fence orders what is read from the ring, see acquire.
	fence atomic.Uint32
}

// packet is one frame in the ring.
type packet struct {
	at     wire.Time
	link   wire.LinkType
	data   []byte
	length uint32
	// index is the interface's number.
	index int
}

// openRing asks the kernel for a ring of at least the given size, and maps it.
func openRing(fd, size int) (*ring, error) {
	if err := unix.SetsockoptInt(fd, unix.SOL_PACKET, unix.PACKET_VERSION, unix.TPACKET_V3); err != nil {
		return nil, fmt.Errorf("ask for TPACKET_V3: %w", err)
	}
	// Room for the tag that the kernel takes out of a frame and that goes in again.
	if err := unix.SetsockoptInt(fd, unix.SOL_PACKET, unix.PACKET_RESERVE, tagLen); err != nil {
		return nil, fmt.Errorf("ask for room in front of a frame: %w", err)
	}
	n := (size + ringBlock - 1) / ringBlock
	const frame = 2048 // says nothing in this version, but must divide the block
	req := unix.TpacketReq3{
		Block_size: ringBlock, Block_nr: uint32(n), Frame_size: frame, Frame_nr: uint32(n * (ringBlock / frame)),
		Retire_blk_tov: uint32(ringRetire / time.Millisecond),
	}
	if err := unix.SetsockoptTpacketReq3(fd, unix.SOL_PACKET, unix.PACKET_RX_RING, &req); err != nil {
		return nil, err
	}
	m, err := unix.Mmap(fd, 0, n*ringBlock, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return nil, fmt.Errorf("map it: %w", err)
	}
	return &ring{memory: m, blocks: n}, nil
}

func (r *ring) unmap() {
	if r.memory != nil {
		unix.Munmap(r.memory)
		r.memory, r.data, r.left, r.held = nil, nil, 0, false
	}
}

func (r *ring) block() []byte {
	return r.memory[r.current*ringBlock : (r.current+1)*ringBlock : (r.current+1)*ringBlock]
}

// acquire keeps what is read after it behind what was read before it, and what is
// written after it as well. The compiler does not move loads over an atomic; and a
// processor orders a load before a releasing store, that before an acquiring load, and
// that before what follows.
func (r *ring) acquire() {
	r.fence.Store(1)
	r.fence.Load()
}

// take makes the next block current if the kernel has handed it over.
func (r *ring) take() bool {
	if r.memory == nil {
		return false
	}
	b := r.block()
	// Only the lowest octet is of interest, and an octet is read at once everywhere.
	if native.Uint32(b[blockStatus:])&unix.TP_STATUS_USER == 0 {
		return false
	}
	r.acquire()
	r.data, r.held = b, true
	r.left = native.Uint32(b[blockPackets:])
	r.at = native.Uint32(b[blockFirst:])
	return true
}

// give hands the current block back.
func (r *ring) give() {
	if !r.held {
		return
	}
	r.acquire()
	native.PutUint32(r.data[blockStatus:], unix.TP_STATUS_KERNEL)
	r.data, r.held, r.left = nil, false, 0
	if r.current++; r.current == r.blocks {
		r.current = 0
	}
}

// next returns the next packet of the current block.
func (r *ring) next() (p packet, ok bool) {
	if r.left == 0 {
		return packet{}, false
	}
	r.left--
	b := r.data[r.at:]
	h := b[:packetHead]
	p.at = wire.Time(native.Uint32(h[packetSec:]))*1e9 + wire.Time(native.Uint32(h[packetNsec:]))
	start, end := uint32(native.Uint16(h[packetMAC:])), native.Uint32(h[packetSnapLen:])
	end += start
	p.length, p.index = native.Uint32(h[packetLen:]), int(native.Uint32(h[packetIndex:]))
	var known bool
	if p.link, known = linkOf(native.Uint16(h[packetHatype:])); !known {
		// What lies before the network header is of no kind that is known; what
		// follows it is.
		net := min(uint32(native.Uint16(h[packetNet:])), end)
		p.length -= min(net-start, p.length)
		start = net
	} else if s := native.Uint32(h[packetStatus:]); s&unix.TP_STATUS_VLAN_VALID != 0 && p.link == wire.LinkEthernet && end-start >= 12 {
		tpid := uint16(unix.ETH_P_8021Q)
		if s&unix.TP_STATUS_VLAN_TPID_VALID != 0 {
			tpid = native.Uint16(h[packetVLANTPID:])
		}
		start -= tagLen
		copy(b[start:], b[start+tagLen:start+tagLen+12])
		binary.BigEndian.PutUint16(b[start+12:], tpid)
		binary.BigEndian.PutUint16(b[start+14:], uint16(native.Uint32(h[packetVLANTCI:])))
		p.length += tagLen
	}
	p.data = b[start:end:end]
	r.at += native.Uint32(h[packetNext:])
	return p, true
}

// linkOf returns the link type of frames by the kernel's type of device, and whether
// their link layer is known. If it is not, what follows the link layer is IP.
func linkOf(hatype uint16) (t wire.LinkType, known bool) {
	switch hatype {
	case unix.ARPHRD_ETHER, unix.ARPHRD_LOOPBACK:
		return wire.LinkEthernet, true
	case unix.ARPHRD_IEEE80211:
		return wire.LinkWLAN, true
	case unix.ARPHRD_IEEE80211_PRISM:
		return wire.LinkWLANPrism, true
	case unix.ARPHRD_IEEE80211_RADIOTAP:
		return wire.LinkWLANRadiotap, true
	}
	return wire.LinkRaw, false
}

// networkOrder returns a number as the network has it, in this machine's memory.
func networkOrder(n uint16) uint16 {
	return native.Uint16([]byte{byte(n >> 8), byte(n)})
}
