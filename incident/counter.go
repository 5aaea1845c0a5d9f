package incident

import (
	"github.com/tcplife/tcplife/finding"
	"github.com/tcplife/tcplife/reassembly"
	"github.com/tcplife/tcplife/wire"
)

// Counter counts connections for Sums, of which there may be several counters: each belongs to
// one goroutine, and only Count concerns the others.
//
// It keeps what there is to know of some connections and counts them many at once. For
// the one, each has a pair, a listener and what hangs on them, some eight lines of the cache
// that were not looked at for a while, and to ask for those of many before any is needed makes
// one wait of all. For the other, whoever finds another counter at work need not wait.
type Counter struct {
	sums *Sums
	// connections and until are those of Sums, since the last Count.
	connections uint64
	until       wire.Time
	// facts are those of the connection that is looked at; signs and places are of findings
	// of those that wait.
	facts  facts
	signs  []sign
	places []uint8
	// What waits to be counted.
	ordinary []ordinary
	vain     []vain
	other    []other
	// looked is made of what is read for nothing but to have it at hand.
	looked uint64
}

// atOneGo is how many ordinary connections, or attempts that came to nothing, are counted at
// once, and othersAtOneGo how many others. Ordinary ones take some 9 KiB, with which the first
// cache still has room for the lines. As many again may wait while another counter is at work, and
// attempts eight times as many: of a flood they come as fast as they are counted.
const (
	atOneGo       = 32
	othersAtOneGo = 8
	vainRoom      = 8 * atOneGo
)

// Counter returns a further counter. What was added to it is part of the sums from the next Count
// on.
func (s *Sums) Counter() *Counter {
	return &Counter{
		sums: s, ordinary: make([]ordinary, 0, 2*atOneGo), vain: make([]vain, 0, vainRoom), other: make([]other, 0, 2*othersAtOneGo),
	}
}

// Add has a connection that has settled counted, with the findings on it, which is done by the
// next Count. The log of one without findings, silences, repeats and RSTs need not be there
// (Conn.Unlogged). It keeps nothing of c and found. layers are those of the connection's
// encapsulation path.
func (x *Counter) Add(c *reassembly.Conn, found []finding.Finding, layers []string) {
	x.connections++
	x.until = max(x.until, c.Until)
	if !x.addOrdinary(c, found, layers) {
		x.addAny(c, found, layers)
	}
}

// Due reports whether enough waits for Count to be worth its while.
func (x *Counter) Due() bool {
	return len(x.ordinary) >= atOneGo || len(x.vain) >= atOneGo || len(x.other) >= othersAtOneGo
}

// Full reports whether nothing more may be added before Count was called.
func (x *Counter) Full() bool {
	return len(x.ordinary) == cap(x.ordinary) || len(x.vain) == cap(x.vain) || len(x.other) == cap(x.other)
}

// Count counts what waits. Of the counters of one Sums only one may do so at a time.
func (x *Counter) Count() {
	s := x.sums
	s.connections += x.connections
	s.until = max(s.until, x.until)
	x.connections = 0
	x.countOrdinary()
	x.countVain()
	x.countOther()
	x.signs, x.places = x.signs[:0], x.places[:0]
}

// countOther counts the other connections that wait, and asks first for what that needs, as
// countOrdinary does.
func (x *Counter) countOther() {
	s, looked := x.sums, uint64(0)
	for i := range x.other {
		looked += uint64(s.pairs.index.approach(x.other[i].number))
	}
	for i := range x.other {
		o := &x.other[i]
		o.guess = s.pairs.index.guess(o.number)
		looked += s.lookPair(o.guess)
	}
	for i := range x.other {
		o := &x.other[i]
		listener, see := s.lookPlaces(o.guess)
		if looked += see; uint(listener) < uint(s.listeners.recs.n) {
			if l := s.listeners.rec(listener); l.some != nil {
				looked += uint64(l.some.n)
			}
		}
	}
	x.looked = looked
	for i := range x.other {
		o := &x.other[i]
		if o.opening == open {
			s.talked(&o.facts, &o.pair, o.number)
			s.numbers.add(&o.conn)
		} else {
			s.answered(&o.facts)
		}
	}
	x.other = x.other[:0]
	s.relieve()
}

// addAny has any connection wait.
func (x *Counter) addAny(c *reassembly.Conn, found []finding.Finding, layers []string) {
	// Of sampled connections nearly everything is missing, and what did not come is what
	// is counted here. Samples come from a switch, all or none of a connection.
	if len(c.Events) == 0 && !c.Unlogged.Is || c.Sampled() {
		return
	}
	signs, places := x.read(found)
	how := openingOf(c, signs)
	switch how {
	case unclear:
		x.signs, x.places = x.signs[:len(x.signs)-len(signs)], x.places[:len(x.places)-len(places)]
		return
	case refused, unreachable, unanswered, probe:
		// What else there is to know of the connection does not matter: it is none.
	default:
		x.other = x.other[:len(x.other)+1]
		o := &x.other[len(x.other)-1]
		o.look(c, signs, layers, how)
		o.places = places
		o.keep(&o.conn)
		o.pair = pairKey(&c.Tuple)
		o.number = x.sums.pairs.index.number(&o.pair)
	}
	if how != open {
		x.vain = x.vain[:len(x.vain)+1]
		x.vain[len(x.vain)-1].look(c, signs, layers, how, places)
	}
}

// read makes of findings what is counted of them.
func (x *Counter) read(found []finding.Finding) ([]sign, []uint8) {
	if len(found) == 0 {
		return nil, nil
	}
	signs, places := len(x.signs), len(x.places)
	for i := range found {
		f := &found[i]
		x.signs = append(x.signs, sign{number: f.Catalogue, frame: f.Frames[0], endpoint: f.Endpoint, severity: f.Severity, confidence: f.Confidence})
		if at := place(f); at >= 0 {
			x.places = append(x.places, uint8(at))
		}
	}
	return x.signs[signs:len(x.signs):len(x.signs)], x.places[places:len(x.places):len(x.places)]
}

// other is a connection that is not ordinary, and no vain attempt. It never moves: its facts point
// to conn.
type other struct {
	facts
	conn reassembly.Conn
	// pair, number and guess are those of ordinary.
	pair   key
	number uint32
	guess  int32
}
