package capture

import (
	"bytes"
	"math"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"

	"github.com/tcplife/tcplife/wire"
)

// inRuns reads a source by runs of lengths that change from one to the next, and hands
// their frames out one by one.
type inRuns struct {
	Source
	run    []wire.Frame
	length int
	// several counts the runs of more than one frame.
	several int
}

func (s *inRuns) Next(f *wire.Frame) error {
	if len(s.run) == 0 {
		s.length = s.length%7 + 1
		run := make([]wire.Frame, s.length)
		n, err := InRuns(s.Source).NextRun(run)
		if (n > 0) != (err == nil) {
			panic("a run and an error, or none of both")
		}
		if err != nil {
			return err
		}
		if s.run = run[:n]; n > 1 {
			s.several++
		}
	}
	*f, s.run = s.run[0], s.run[1:]
	return nil
}

// TestRuns: read by runs an input has the same frames and the same damage as frame by
// frame, however its octets arrive.
func TestRuns(t *testing.T) {
	inputs := pcapVariants()
	for name, c := range containerSamples() {
		inputs[name] = c.whole
	}
	for name, o := range orders {
		w := newNG(o).idb(1, 0).idb(1, 40, w9(o)...)
		p := pcapHead(o, pcapMagicNano, 2, 4, 0, 1)
		for i := range 500 {
			data := octets(i % 90)
			w.epb(uint32(i%2), uint64(i), data)
			if i%50 == 7 {
				w.epb(0, uint64(i), data[:0]).epb(1, math.MaxUint64/4, data).spb(9, octets(9)).opb(0, uint64(i), octets(5))
				w.raw(blockEnhanced, 32+57, w.epbBody(0, 1, 57, 57, octets(57)), 32+57)
				w.block(blockEnhanced, w.epbBody(1, uint64(i), 8, 8, octets(8), w.opt(4, []byte{1, 2, 3, 4, 5, 6, 7, 8}), w.opt(0, nil)))
			}
			p = append(p, pcapRec(o, uint32(1000+i/9), uint32(i), uint32(len(data)), uint32(len(data)+i%3), data)...)
			if i%50 == 7 {
				p = append(p, pcapRec(o, 1000, 2e9, 9, 9, octets(9))...)
				p = append(p, pcapRec(o, 90000, 1, 9, 8, octets(9))...)
				p = append(p, pcapRec(o, 1000, 1, 0, 60, nil)...)
			}
		}
		inputs["pcapng of "+name], inputs["pcap of "+name] = w.Bytes(), p
		// Lengths that lead nowhere.
		for at := 100; at < len(p); at += 1111 {
			b, c := bytes.Clone(p), bytes.Clone(w.Bytes())
			b[at], c[at] = b[at]^0xff, c[at]^0xff
			inputs[name+", damaged pcap at "+string(rune('A'+at/1111))], inputs[name+", damaged pcapng at "+string(rune('A'+at/1111))] = b, c
		}
	}
	several := 0
	for name, b := range inputs {
		for how, open := range map[string]func() (Source, error){
			"memory":  func() (Source, error) { return NewReader(bytes.NewReader(b), "mem") },
			"patient": func() (Source, error) { return NewReader(iotest.HalfReader(bytes.NewReader(b)), "mem") },
			"octet by octet": func() (Source, error) {
				return newSource(newInput(iotest.OneByteReader(bytes.NewReader(b)), nil, "mem"))
			},
			"little room": func() (Source, error) {
				in := newInput(iotest.DataErrReader(bytes.NewReader(b)), nil, "mem")
				in.buf, in.limit = make([]byte, 300), 300
				return newSource(in)
			},
		} {
			src := mustOpen(t)(open())
			frames, damage := drain(t, src)
			info := src.Info()
			r := &inRuns{Source: mustOpen(t)(open())}
			got, gotDamage := drain(t, r)
			gotInfo := r.Info()
			info.Damage, gotInfo.Damage = nil, nil // compared by their texts
			if d := cmp.Diff(frames, got) + cmp.Diff(texts(damage), texts(gotDamage)) + cmp.Diff(info, gotInfo); d != "" {
				t.Errorf("%s, %s:\n%s", name, how, d)
			}
			several += r.several
		}
	}
	if several < 1000 {
		t.Errorf("only %d runs", several)
	}
}

func texts(damage []*DamageError) (s []string) {
	for _, d := range damage {
		s = append(s, d.Error())
	}
	return s
}

// w9 are the options of an interface that counts nanoseconds.
func w9(o order) [][]byte {
	w := &ng{order: o}
	return [][]byte{w.opt(9, []byte{9}), w.opt(0, nil)}
}
