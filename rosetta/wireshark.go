package rosetta

import "github.com/tcplife/tcplife/wire"

// Wireshark is the view of Wireshark 4: the field tcp.completeness as a second pass
// over the capture shows it.
type Wireshark struct {
	// Completeness is the sum of the bits below. It is of the stream: what other
	// connections of the tuple had in it until this one settled is in it, too.
	Completeness Completeness
	// Streams is how many streams Wireshark makes of the connection; Completeness is
	// of the first.
	Streams uint16
}

// Completeness is Wireshark's tcp.completeness.
type Completeness uint8

// Its bits.
const (
	// CompleteSYN: a SYN without ACK began the stream. A later one adds nothing.
	CompleteSYN    Completeness = 1 << iota
	CompleteSYNACK              // a SYN with ACK
	CompleteACK                 // an ACK without SYN and payload; FIN and RST with ACK count
	CompleteDATA                // payload with ACK, or on a SYN
	CompleteFIN                 // a FIN with ACK
	CompleteRST                 // any RST
)

// String returns the six places that Wireshark prints (tcp.completeness.str): a
// letter for each bit, the highest first, and a middle dot for what is missing.
func (c Completeness) String() string {
	if c == 0 {
		return "[ Null ]"
	}
	b := make([]byte, 0, 12)
	for i, letter := range "RFDASS" {
		if c&(CompleteRST>>i) != 0 {
			b = append(b, byte(letter))
		} else {
			b = append(b, "·"...)
		}
	}
	return string(b)
}

// wireshark follows one connection by the rules of Wireshark's TCP dissector.
type wireshark struct {
	base    [2]wire.Seq // by side: the number that its next SYN is compared with
	known   [2]bool
	bits    Completeness
	several bool // segments in the first stream
	streams uint16
}

func (w *wireshark) see(s *segment) {
	opens := s.flags&(wire.SYN|wire.ACK) == wire.SYN
	from := s.from & 1
	first := w.begins(s)
	if first {
		if w.streams < 1<<16-1 {
			w.streams++
		}
		w.known = [2]bool{}
	}
	if w.streams == 1 {
		if first && opens {
			w.bits |= CompleteSYN
		}
		w.several = w.several || !first
		w.note(s, opens)
	}
	if !w.known[from] {
		w.base[from], w.known[from] = s.seq-1, true
		if s.flags&wire.SYN != 0 {
			w.base[from] = s.seq
		}
	}
	if peer := from ^ 1; !w.known[peer] && s.flags&wire.ACK != 0 {
		w.base[peer], w.known[peer] = s.ack-1, true
	}
}

// begins reports whether a segment is the first of a stream. Only a SYN's number
// counts: neither a close nor time begins one.
func (w *wireshark) begins(s *segment) bool {
	opens := s.flags&(wire.SYN|wire.ACK) == wire.SYN
	return w.streams == 0 || opens && w.known[s.from&1] && s.seq != w.base[s.from&1]
}

func (w *wireshark) note(s *segment, opens bool) {
	switch acks := s.flags&wire.ACK != 0; {
	case s.flags&wire.SYN != 0 && acks:
		w.bits |= CompleteSYNACK
	case s.len > 0 && (acks || opens):
		w.bits |= CompleteDATA
	case acks:
		w.bits |= CompleteACK
	}
	if s.flags&(wire.FIN|wire.ACK) == wire.FIN|wire.ACK {
		w.bits |= CompleteFIN
	}
	if s.flags&wire.RST != 0 {
		w.bits |= CompleteRST
	}
}

// view returns what the last segment shows. The bits of a stream that a SYN does not
// begin are shown from its second segment on.
func (w *wireshark) view() Completeness {
	switch {
	case w.several:
		return w.bits
	case w.bits&CompleteSYN != 0:
		return w.bits & (CompleteSYN | CompleteDATA)
	}
	return 0
}
