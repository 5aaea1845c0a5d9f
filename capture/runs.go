package capture

import (
	"encoding/binary"

	"github.com/tcplife/tcplife/wire"
)

// Runs is a Source that hands out several frames at once: what every call and every frame
// costs of itself is then paid once for all of them.
type Runs interface {
	Source
	// NextRun fills the first n places of run, which has at least one, with the next
	// frames, all of one input. It waits as Next does, for the first of them alone; the
	// others are there already. Their Data is valid until the following call of Next or
	// NextRun. n is 0 with an error, those of Next, and only then.
	NextRun(run []wire.Frame) (n int, err error)
}

// InRuns returns src if it has runs, and otherwise a source that has its frames one by one.
func InRuns(src Source) Runs {
	if r, ok := src.(Runs); ok {
		return r
	}
	return oneByOne{src}
}

// oneByOne makes runs of one frame.
type oneByOne struct{ Source }

func (s oneByOne) NextRun(run []wire.Frame) (int, error) {
	if err := s.Next(&run[0]); err != nil {
		return 0, err
	}
	return 1, nil
}

// NextRun has Next read the first frame, and with it the buffer filled.
func (p *pcapReader) NextRun(run []wire.Frame) (int, error) {
	if err := p.Next(&run[0]); err != nil {
		return 0, err
	}
	return 1 + p.ordinary(run[1:]), nil
}

// ordinary fills run with the records at the input's head, up to the first that is not
// whole in the buffer or that Next would have to think about. It returns how many.
func (p *pcapReader) ordinary(run []wire.Frame) int {
	in := p.in
	if p.big || p.exchanged != never {
		return 0
	}
	b := in.buf[in.r:in.w]
	head, frames, last := p.head, p.info.Frames, p.sec
	n := 0
	for n < len(run) && len(b) >= pcapRecordLen {
		h := (*[pcapRecordLen]byte)(b)
		stamp, lengths := binary.LittleEndian.Uint64(h[:]), binary.LittleEndian.Uint64(h[8:])
		sec, sub := uint32(stamp), uint32(stamp>>32)
		caplen, length := uint32(lengths), uint32(lengths>>32)
		end := head + int(caplen)
		// As in Next.
		if caplen-1 >= p.bound || caplen > length || sub >= p.second || sec-last+neighbourhood > 2*neighbourhood || end > len(b) {
			break
		}
		frames++
		last = sec
		f := &run[n]
		n++
		f.ID, f.At, f.Link, f.Length = wire.FrameID(frames), wire.Time(int64(sec)*1e9+int64(sub)*p.unit), p.link, length
		f.Data = b[head:end:end]
		b = b[end:]
	}
	if n > 0 {
		p.info.Frames, p.at, p.sec = frames, run[n-1].At, last
		in.r = in.w - len(b)
	}
	return n
}

// NextRun has Next read the first frame, and with it the buffer filled.
func (p *pcapngReader) NextRun(run []wire.Frame) (int, error) {
	if err := p.Next(&run[0]); err != nil {
		return 0, err
	}
	return 1 + p.ordinary(run[1:]), nil
}

// ordinary fills run with the enhanced packet blocks at the input's head, up to the first
// that is not whole in the buffer or that Next would have to think about. It returns how
// many.
func (p *pcapngReader) ordinary(run []wire.Frame) int {
	in := p.in
	if p.big || p.unreadable {
		return 0
	}
	b := in.buf[in.r:in.w]
	n := 0
	for n < len(run) && len(b) >= enhancedMin {
		h := (*[packetFixed]byte)(b)
		head, id := binary.LittleEndian.Uint64(h[:]), binary.LittleEndian.Uint32(h[8:])
		total := uint32(head >> 32)
		if uint32(head) != blockEnhanced || id >= uint32(len(p.ifaces)) || total < enhancedMin || total&3 != 0 || uint64(total) > uint64(len(b)) {
			break
		}
		i := &p.ifaces[id]
		stamp := uint64(binary.LittleEndian.Uint32(h[12:]))<<32 | uint64(binary.LittleEndian.Uint32(h[16:]))
		caplen, length := binary.LittleEndian.Uint32(h[20:]), binary.LittleEndian.Uint32(h[24:])
		block := b[:total:total]
		// Without options the frame fills the block: then none are too long, and none say
		// what was lost.
		if i.broken || caplen > i.bound || padded(caplen) != int64(total)-enhancedMin || binary.LittleEndian.Uint32(block[len(block)-4:]) != total || stamp >= i.clock.limit {
			break
		}
		at := i.clock.usual(stamp)
		if !nearTime(at, p.last) {
			break
		}
		p.last = at
		i.frames++
		p.info.Frames++
		f := &run[n]
		n++
		f.ID, f.At, f.Link, f.Length = wire.FrameID(p.info.Frames), at, i.link, wireLength(length, caplen)
		f.Data = block[packetFixed : packetFixed+int(caplen) : packetFixed+int(caplen)]
		b = b[total:]
	}
	in.r = in.w - len(b)
	return n
}
