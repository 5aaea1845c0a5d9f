package report

import (
	"io"
	"sync"
)

var _ = register("ndjson", func() Format { return new(ndjson) })

// flushAt is how many octets a streaming format collects before it writes.
const flushAt = 64 << 10

// ndjson writes one JSON object per line: connections as they settle, late groups
// between them, then what many of them
// show together, and the summary last.
type ndjson struct {
	w     io.Writer
	multi bool
	peers []*peer
	out   []byte
	// appenders are kept for the texts that they know.
	appenders sync.Pool
}

func (f *ndjson) Begin(w io.Writer, o *Options) error {
	f.w, f.multi = w, len(o.Inputs) > 1
	f.peers = chosen(o.Peers)
	f.out = make([]byte, 0, flushAt+flushAt/4)
	return nil
}

func (f *ndjson) Encode(b *Buffer, c *Connection) {
	a, ok := f.appenders.Get().(*appender)
	if !ok {
		a = &appender{multi: f.multi, peers: f.peers}
	}
	a.connection(b, c)
	f.appenders.Put(a)
}

func (f *ndjson) Add(id uint64, _ *Digest, b *Buffer) error {
	f.out = append(b.AppendTo(f.out, id), '\n')
	return f.spill()
}

func (f *ndjson) Late(l *Late) error {
	a := appender{multi: f.multi}
	f.out = append(a.late(f.out, l), '\n')
	return f.spill()
}

func (f *ndjson) End(s *Summary) error {
	a := appender{multi: f.multi}
	for i := range s.Incidents {
		f.out = append(a.incident(f.out, &s.Incidents[i]), '\n')
	}
	f.out = append(a.summary(f.out, s), '\n')
	return f.Flush()
}

func (f *ndjson) spill() error {
	if len(f.out) < flushAt {
		return nil
	}
	return f.Flush()
}

// Flush writes the complete lines that are held back.
func (f *ndjson) Flush() error {
	if len(f.out) == 0 {
		return nil
	}
	_, err := f.w.Write(f.out)
	f.out = f.out[:0]
	return err
}

// AddInterim writes the connection as one line more.
func (f *ndjson) AddInterim(id uint64, b *Buffer) error { return f.Add(id, nil, b) }
