package report

import "io"

var _ = register("json", func() Format { return new(document) })

// document writes one JSON document, as a stream: connections go out as they
// settle. Late groups come between them but stand behind them in the document, so
// they alone are held until the end; they are few, at most one for each connection
// whose peers went on after both had closed.
type document struct {
	ndjson
	late  []byte
	comma bool
}

func (f *document) Begin(w io.Writer, o *Options) error {
	if err := f.ndjson.Begin(w, o); err != nil {
		return err
	}
	f.out = append(f.out, `{"schema":1,"connections":[`...)
	return nil
}

func (f *document) Add(id uint64, _ *Digest, b *Buffer) error {
	if f.comma {
		f.out = append(f.out, ',')
	}
	f.comma = true
	f.out = b.AppendTo(append(f.out, '\n'), id)
	return f.spill()
}

func (f *document) Late(l *Late) error {
	if len(f.late) > 0 {
		f.late = append(f.late, ',')
	}
	a := appender{multi: f.multi}
	f.late = a.late(append(f.late, '\n'), l)
	return nil
}

func (f *document) End(s *Summary) error {
	f.out = append(f.out, "\n],\"late\":["...)
	f.out = append(f.out, f.late...)
	f.out = append(f.out, "\n],\"findings\":["...)
	a := appender{multi: f.multi}
	for i := range s.Incidents {
		if i > 0 {
			f.out = append(f.out, ',')
		}
		f.out = a.incident(append(f.out, '\n'), &s.Incidents[i])
	}
	f.out = append(f.out, "\n],\"summary\":"...)
	f.out = append(a.summary(f.out, s), '}', '\n')
	return f.Flush()
}

// AddInterim puts the connection among the others.
func (f *document) AddInterim(id uint64, b *Buffer) error { return f.Add(id, nil, b) }
