package report

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/tcplife/tcplife/census"
	"github.com/tcplife/tcplife/reassembly"
	"github.com/tcplife/tcplife/wire"
)

// CensusOptions say what a census is to count.
type CensusOptions struct {
	// At are the instants asked for, at most census.MaxMoments.
	At []wire.Time
	// Every is the step of counts over time; 0 for none.
	Every time.Duration
	// Top is how many hosts, listeners, and clients of a listener are listed.
	Top int
}

// censusFormats are those of a census.
var censusFormats = make(registry[func(p *censusPrint) error])

func registerCensus(name string, print func(p *censusPrint) error) struct{} {
	return censusFormats.add(name, print)
}

// CensusFormats returns the names of the formats that a census has, sorted.
func CensusFormats() []string { return censusFormats.names() }

// NewCensus returns a format that counts endpoints by state instead of listing
// connections. The error for a name that no census is printed in says which there
// are.
func NewCensus(name string, o *CensusOptions) (Format, error) {
	print, ok := censusFormats[name]
	if !ok {
		return nil, fmt.Errorf("there is no census in the format %q: there are %s", name, strings.Join(CensusFormats(), ", "))
	}
	if len(o.At) > census.MaxMoments {
		return nil, fmt.Errorf("a census counts at %d instants at most, %d were given: for counts over time give a step instead", census.MaxMoments, len(o.At))
	}
	return &censusFormat{wish: *o, print: print, census: census.New(census.Config{At: o.At, Every: o.Every, Top: o.Top})}, nil
}

// censusFormat counts where other formats print. What it needs of a connection is
// in no digest, and is gone when the connection's turn comes: so Encode writes the
// states into the buffer, and Add reads them there.
type censusFormat struct {
	wish   CensusOptions
	print  func(p *censusPrint) error
	census *census.Census
	w      io.Writer
	o      Options
	life   census.Life
}

func (f *censusFormat) Begin(w io.Writer, o *Options) error {
	f.w, f.o = w, *o
	return nil
}

// Needs is what AppendLife reads; a census is of all connections.
func (f *censusFormat) Needs() Needs { return Needs{Events: true} }

func (f *censusFormat) Encode(b *Buffer, c *Connection) { b.B = census.AppendLife(b.B, c.Conn) }

func (f *censusFormat) Add(_ uint64, d *Digest, b *Buffer) error {
	f.life.ReadLife(b.B, &d.Tuple)
	f.census.Add(&f.life)
	return nil
}

func (f *censusFormat) Late(*Late) error { return nil }

func (f *censusFormat) End(s *Summary) error {
	p := &censusPrint{w: f.w, o: &f.o, s: s, every: f.wish.Every}
	p.first, p.last, p.any = s.Span()
	p.r = f.census.Result(p.first, p.last)
	for i, at := range f.wish.At {
		p.moments = append(p.moments, moment{at: at, outside: !p.any || at < p.first || at > p.last, index: i})
	}
	if len(p.moments) == 0 {
		p.moments = []moment{{at: p.last, end: true, outside: !p.any, index: len(f.wish.At)}}
	}
	return f.print(p)
}

// moment is an instant to print the counts of.
type moment struct {
	at wire.Time
	// end: it is the end of the capture. outside: the capture does not reach it, so
	// nothing is known.
	end, outside bool
	index        int // in census.Tally.At
}

// censusPrint is a census on its way to be printed.
type censusPrint struct {
	w           io.Writer
	o           *Options
	s           *Summary
	r           *census.Result
	first, last wire.Time // of the capture, if any
	any         bool
	moments     []moment
	every       time.Duration
}

// part is one of those that are counted apart.
type part struct {
	// scope is "all", "host", "listener" or "client"; others stands for all that are
	// not told apart, of which there are keys.
	scope    string
	host     string // of a host or a client
	listener *census.Listener
	others   bool
	keys     uint64
	*census.Tally
}

// parts lists what is counted apart: all, then the hosts, then the listeners, each
// with its clients.
func (p *censusPrint) parts() []part {
	r := p.r
	all := []part{{scope: "all", Tally: &r.All}}
	for i := range r.Hosts {
		all = append(all, part{scope: "host", host: r.Hosts[i].Addr.String(), Tally: &r.Hosts[i].Tally})
	}
	if o := r.OtherHosts; o != nil {
		all = append(all, part{scope: "host", others: true, keys: o.Keys, Tally: &o.Tally})
	}
	for i := range r.Listeners {
		l := &r.Listeners[i]
		all = append(all, part{scope: "listener", listener: l, Tally: &l.Tally})
		for k := range l.Clients {
			all = append(all, part{scope: "client", host: l.Clients[k].Addr.String(), listener: l, Tally: &l.Clients[k].Tally})
		}
		if o := l.OtherClients; o != nil {
			all = append(all, part{scope: "client", others: true, keys: o.Keys, listener: l, Tally: &o.Tally})
		}
	}
	if o := r.OtherListeners; o != nil {
		all = append(all, part{scope: "listener", others: true, keys: o.Keys, Tally: &o.Tally})
	}
	return all
}

// peakOf says what a part's peak counts.
func (x *part) peakOf() string {
	if x.scope == "all" || x.scope == "host" {
		return "sockets"
	}
	return "open"
}

// hasPeak reports whether the part's peak is known: not that of a listener's other
// clients.
func (x *part) hasPeak() bool { return !(x.scope == "client" && x.others) }

// censusStates are the states in the order in which a connection meets them, with
// those that are no connection's last.
var censusStates = [reassembly.StateCount]reassembly.State{reassembly.Listen, reassembly.SynSent, reassembly.SynReceived, reassembly.Established,
	reassembly.FinWait1, reassembly.FinWait2, reassembly.CloseWait, reassembly.Closing, reassembly.LastAck, reassembly.TimeWait, reassembly.Closed}
