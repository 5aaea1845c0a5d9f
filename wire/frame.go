package wire

// FrameID names one captured frame of a report: the input's number in the upper
// bits (0 for the first) and the frame's number inside that input, counted from 1
// as Wireshark counts, in the lower 40. Zero is no frame. Within one input frame
// identifiers grow in capture order.
type FrameID uint64

const frameBits = 40

// NewFrameID returns the identifier of frame number (from 1) of an input (from 0).
func NewFrameID(input int, number uint64) FrameID {
	return FrameID(input)<<frameBits | FrameID(number)
}

// Input returns the input's number, counted from 0.
func (f FrameID) Input() int { return int(f >> frameBits) }

// Number returns the frame's number inside its input, counted from 1.
func (f FrameID) Number() uint64 { return uint64(f) & (1<<frameBits - 1) }

// Frame is one captured frame. Data belongs to the source that filled the frame
// and is valid until the next frame is read; whoever keeps it copies it.
type Frame struct {
	ID   FrameID
	At   Time
	Link LinkType
	// Data holds the captured octets, from the link layer's header on.
	Data []byte
	// Length is the frame's length on the wire, in octets; more than len(Data)
	// when the capture was snapped.
	Length uint32
}
