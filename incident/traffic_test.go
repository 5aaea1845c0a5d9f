package incident_test

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"io"
	"math/rand/v2"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/tcplife/tcplife/capture"
	"github.com/tcplife/tcplife/wire"
)

// traffic is a traffic script; testdata/incidents/README.md is the language.
type traffic struct {
	about   string
	lines   []trafficLine
	hosts   map[string]*trafficHost
	until   float64
	expect  []expectation
	absent  []string
	none    bool // no incident at all
	noWorse bool // none of warning or error
}

type trafficHost struct {
	addr netip.Addr
	ttl  uint8
	ipid uint16
	// alias is the host as which it is seen behind a translator that the capture holds
	// both sides of; nil if there is none.
	alias *trafficHost
}

// trafficLine is a line of the traffic section.
type trafficLine struct {
	start, every      float64
	count             int
	client            string
	lowPort, highPort int
	clients           int // in turn; 0: another one for each
	server            string
	servers           int
	port, lastPort    int
	plot              []string
	line              int
}

// expectation is an incident that must be reported.
type expectation struct {
	id, catalogue, severity, confidence, scope string
	count                                      int
	says                                       []string
}

var plots = map[string]string{
	"open":    ">S <SA >A",
	"talk":    ">100 <A <500 >A",
	"close":   ">F <F >A",
	"closed":  "<F >F <A",
	"refused": ">S <R0",
}

func readTraffic(path string) (*traffic, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	t := &traffic{hosts: map[string]*trafficHost{}}
	section := ""
	for i, line := range strings.Split(string(text), "\n") {
		bare, _, _ := strings.Cut(line, "#")
		words := strings.Fields(bare)
		switch {
		case strings.HasPrefix(line, "-- "):
			section = strings.Trim(line, "- ")
			continue
		case section == "":
			t.about += line + "\n"
			continue
		case len(words) == 0:
			continue
		case section == "traffic":
			err = t.trafficLine(words, i+1)
		case section == "incidents" && strings.HasPrefix(line, "    "):
			if len(t.expect) == 0 {
				err = fmt.Errorf("no incident before it")
				break
			}
			e := &t.expect[len(t.expect)-1]
			e.says = append(e.says, strings.TrimSpace(line))
		case section == "incidents":
			err = t.expectation(words)
		default:
			err = fmt.Errorf("unknown section %q", section)
		}
		if err != nil {
			return nil, fmt.Errorf("%s:%d: %w", path, i+1, err)
		}
	}
	return t, nil
}

func (t *traffic) host(name string, v6 bool) *trafficHost {
	h := t.hosts[name]
	if h == nil {
		n := byte(len(t.hosts) + 1)
		h = &trafficHost{addr: netip.AddrFrom4([4]byte{10, 0, 0, n}), ttl: 64}
		if v6 {
			h.addr = netip.AddrFrom16([16]byte{0xfd, 15: n})
		}
		t.hosts[name] = h
	}
	return h
}

func (t *traffic) trafficLine(words []string, line int) (err error) {
	number := func(s string) float64 {
		v, e := strconv.ParseFloat(s, 64)
		if e != nil && err == nil {
			err = e
		}
		return v
	}
	whole := func(s string) int { return int(number(s)) }
	switch {
	case words[0] == "host":
		h := t.host(words[1], words[2] == "v6")
		if words[2] == "ttl" {
			h.ttl = uint8(whole(words[3]))
		}
		return err
	case words[0] == "nat" && len(words) == 3:
		t.host(words[1], false).alias = t.host(words[2], false)
		return nil
	case words[0] == "until":
		t.until = number(words[1])
		return err
	case len(words) < 8 || words[2] != "x" || words[5] != ">":
		return fmt.Errorf("want START COUNT x EVERY CLIENT > SERVER PLOT...")
	}
	l := trafficLine{start: number(words[0]), count: whole(words[1]), every: number(words[3]), clients: 1, servers: 1, line: line}
	// ends parts a range of numbers.
	ends := func(s string) (low, high int) {
		a, b, some := strings.Cut(s, "-")
		if !some {
			b = a
		}
		return whole(a), whole(b)
	}
	client, ports, some := strings.Cut(words[4], ":")
	if some {
		l.lowPort, l.highPort = ends(ports)
	}
	l.client, l.clients = client, 1
	if client == "*" {
		l.clients = 0
	} else if name, n, some := strings.Cut(client, "*"); some {
		l.client, l.clients = name, whole(n)
	}
	server, ports, _ := strings.Cut(words[6], ":")
	l.server = server
	if name, n, some := strings.Cut(server, "*"); some {
		l.server, l.servers = name, whole(n)
	}
	l.port, l.lastPort = ends(ports)
	again := -1 // where the part that is repeated begins
	for _, w := range words[7:] {
		if inner, some := strings.CutPrefix(w, "("); some {
			again, w = len(l.plot), inner
		}
		w, times, last := strings.Cut(w, ")x")
		if p, ok := plots[w]; ok {
			l.plot = append(l.plot, strings.Fields(p)...)
		} else {
			l.plot = append(l.plot, w)
		}
		if last {
			if again < 0 {
				return fmt.Errorf("%q closes what was not opened", w)
			}
			part := slices.Clone(l.plot[again:])
			for range whole(times) - 1 {
				l.plot = append(l.plot, part...)
			}
			again = -1
		}
	}
	t.lines = append(t.lines, l)
	return err
}

func (t *traffic) expectation(words []string) error {
	switch {
	case words[0] == "none" && len(words) == 1:
		t.none = true
		return nil
	case words[0] == "none":
		t.noWorse = true
		return nil
	case words[0] == "no":
		t.absent = append(t.absent, words[1])
		return nil
	case len(words) < 4:
		return fmt.Errorf("want ID CATALOGUE SEVERITY [CONFIDENCE] SCOPE [count N]")
	}
	e := expectation{id: words[0], catalogue: words[1], severity: words[2]}
	rest := words[3:]
	if rest[0] == "possible" || rest[0] == "likely" || rest[0] == "certain" {
		e.confidence, rest = rest[0], rest[1:]
	}
	if i := slices.Index(rest, "count"); i >= 0 {
		n, err := strconv.Atoi(rest[i+1])
		if err != nil {
			return err
		}
		e.count, rest = n, rest[:i]
	}
	e.scope = strings.Join(rest, " ")
	t.expect = append(t.expect, e)
	return nil
}

// names puts addresses in the place of hosts in a scope.
func (t *traffic) scope(s string) string {
	if s == "-" {
		return ""
	}
	words := strings.Fields(s)
	for i, w := range words {
		name, port, some := strings.Cut(w, ":")
		h := t.hosts[name]
		switch {
		case h == nil:
		case some && h.addr.Is6():
			words[i] = "[" + h.addr.String() + "]:" + port
		case some:
			words[i] = h.addr.String() + ":" + port
		default:
			words[i] = h.addr.String()
		}
	}
	return strings.Join(words, " ")
}

// moment is a segment that passes.
type moment struct {
	at    wire.Time
	frame []byte
}

// start of the traffic.
var start = wire.Time(time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC).UnixNano())

const step = 2 * time.Millisecond

// side is one end of a connection that is made.
type side struct {
	host       *trafficHost
	addr       netip.Addr
	port       uint16
	next, got  uint32
	heard      bool
	last       []byte // what it sent last that takes a number
	lastNumber uint32
}

// frames makes the capture.
func (t *traffic) frames(tb testing.TB) []wire.Frame {
	tb.Helper()
	var all []moment
	rng := rand.New(rand.NewPCG(1, 2))
	ports := map[string]int{}
	for _, l := range t.lines {
		server := t.host(l.server, false)
		order := linuxPorts(rng, l.lowPort, l.highPort)
		for n := range l.count {
			var client *trafficHost
			var addr netip.Addr
			if l.clients == 0 {
				client = &trafficHost{ttl: uint8(40 + rng.IntN(80))}
				addr = netip.AddrFrom4([4]byte{byte(11 + rng.IntN(150)), byte(rng.IntN(256)), byte(rng.IntN(256)), byte(1 + rng.IntN(250))})
			} else {
				client = t.host(l.client, false)
				addr = apart(client.addr, n%l.clients)
			}
			port := 0
			if len(order) > 0 {
				port = order[n%len(order)]
			} else {
				// Another one for each, with no order in them.
				name := fmt.Sprint(addr)
				port = 20000 + ports[name]*7919%40000
				ports[name]++
			}
			c := [2]side{{host: client, addr: addr, port: uint16(port), next: rng.Uint32()},
				{host: server, addr: apart(server.addr, n%l.servers), port: uint16(l.port + n%(l.lastPort-l.port+1)), next: rng.Uint32()}}
			before := c
			at := start.Add(time.Duration((l.start + float64(n)*l.every) * float64(time.Second)))
			moments, err := play(&c, at, l.plot)
			if err != nil {
				tb.Fatalf("line %d: %v", l.line, err)
			}
			all = append(all, moments...)
			if client.alias != nil {
				moments, err := play(behind(&before), at.Add(inDevice), l.plot)
				if err != nil {
					tb.Fatalf("line %d: %v", l.line, err)
				}
				all = append(all, moments...)
			}
		}
	}
	if t.until > 0 {
		c := [2]side{{host: &trafficHost{ttl: 64}, addr: netip.MustParseAddr("192.0.2.1"), port: 50000}, {host: &trafficHost{ttl: 64}, addr: netip.MustParseAddr("192.0.2.2"), port: 9}}
		moments, _ := play(&c, start.Add(time.Duration(t.until*float64(time.Second))), []string{">A"})
		all = append(all, moments...)
	}
	slices.SortStableFunc(all, func(a, b moment) int { return cmp.Compare(a.at, b.at) })
	frames := make([]wire.Frame, len(all))
	for i, m := range all {
		frames[i] = wire.Frame{ID: wire.NewFrameID(0, uint64(i)+1), At: m.at, Link: wire.LinkEthernet, Data: m.frame, Length: uint32(len(m.frame))}
	}
	return frames
}

// inDevice is how long a segment stays in a translator.
const inDevice = 50 * time.Microsecond

// behind returns the ends of a connection as they are behind the client's translator: it
// rewrites the client's address and port, and takes one from the hop limit each way.
func behind(c *[2]side) *[2]side {
	b := *c
	client, server := *c[0].host.alias, *c[1].host
	client.ttl, server.ttl = c[0].host.ttl-1, c[1].host.ttl+1
	b[0].host, b[1].host = &client, &server
	b[0].addr, b[0].port = client.addr, c[0].port^0x5555|1024
	return &b
}

// apart returns the nth address from another one on.
func apart(a netip.Addr, n int) netip.Addr {
	if n == 0 {
		return a
	}
	b := a.AsSlice()
	b[len(b)-3] += 100 + b[len(b)-1] // not among the named hosts, nor those of another
	b[len(b)-2] += byte(n >> 8)
	b[len(b)-1] += byte(n)
	x, _ := netip.AddrFromSlice(b)
	return x
}

// linuxPorts returns the ports of a range in the order in which Linux takes them: one
// parity after the other, from somewhere on and round.
func linuxPorts(rng *rand.Rand, low, high int) (order []int) {
	if low == 0 {
		return nil
	}
	for parity := range 2 {
		var some []int
		for p := low + parity; p <= high; p += 2 {
			some = append(some, p)
		}
		if len(some) > 0 {
			from := rng.IntN(len(some))
			order = append(append(order, some[from:]...), some[:from]...)
		}
	}
	return order
}

// play makes the segments of one connection.
func play(c *[2]side, at wire.Time, plot []string) (all []moment, err error) {
	now := at
	plain := false
	first := true
	for _, w := range plot {
		switch {
		case w == "plain":
			plain = true
			continue
		case w[0] == '+', w[0] == '@':
			v, err := strconv.ParseFloat(w[1:], 64)
			if err != nil {
				return nil, err
			}
			if now = now.Add(time.Duration(v * float64(time.Second))); w[0] == '@' {
				now = max(now.Add(-time.Duration(v*float64(time.Second))), start.Add(time.Duration(v*float64(time.Second))))
			}
			first = true
			continue
		}
		if !first {
			now = now.Add(step)
		}
		first = false
		from := 0
		if w[0] == '<' {
			from = 1
		} else if w[0] != '>' {
			return nil, fmt.Errorf("%q begins with neither > nor <", w)
		}
		frame, seen, err := c[from].send(&c[1-from], w[1:], plain)
		if err != nil {
			return nil, fmt.Errorf("%q: %w", w, err)
		}
		if seen {
			all = append(all, moment{now, frame})
		}
	}
	return all, nil
}

// send makes one segment of a move.
func (s *side) send(peer *side, move string, plain bool) (frame []byte, seen bool, err error) {
	ttl, window := s.host.ttl, -1
	if i := strings.IndexByte(move, '~'); i >= 0 {
		n, e := strconv.Atoi(strings.TrimRight(move[i+1:], "!?"))
		if e != nil {
			return nil, false, e
		}
		ttl, move = uint8(n), move[:i]+strings.TrimLeft(move[i+1:], "0123456789")
	}
	if i := strings.IndexByte(move, 'w'); i >= 0 {
		n, e := strconv.Atoi(strings.TrimRight(move[i+1:], "!?"))
		if e != nil {
			return nil, false, e
		}
		window, move = n, move[:i]+strings.TrimLeft(move[i+1:], "0123456789")
	}
	bare := strings.TrimRight(move, "!?")
	lost, unseen := strings.Contains(move, "!"), strings.Contains(move, "?")
	var flags wire.Flags
	seq, ack, length := s.next, s.got, 0
	switch bare {
	case "S":
		flags, ack = wire.SYN, 0
	case "SA":
		flags = wire.SYN | wire.ACK
	case "A":
		flags = wire.ACK
	case "F":
		flags = wire.FIN | wire.ACK
	case "K":
		flags, seq = wire.ACK, s.next-1
	case "R":
		// The number that the other side expects next, and nothing else.
		flags, seq, ack = wire.RST, peer.got, 0
	case "RA":
		flags = wire.RST | wire.ACK
	case "R0":
		flags, seq = wire.RST|wire.ACK, 0
		ack = peer.next
	case "N":
	case "I":
		if peer.last == nil {
			return nil, false, fmt.Errorf("there is nothing to report")
		}
		return unreachable(s, peer), !unseen, nil
	case "=":
		if s.last == nil {
			return nil, false, fmt.Errorf("nothing was sent before")
		}
		frame = slices.Clone(s.last)
		s.host.ipid++
		restamp(frame, s.host.ipid, s.got)
		if !lost {
			if !peer.heard || int32(s.lastNumber-peer.got) > 0 {
				peer.got, peer.heard = s.lastNumber, true
			}
		}
		return frame, !unseen, nil
	default:
		if length, err = strconv.Atoi(bare); err != nil {
			return nil, false, err
		}
		flags = wire.ACK | wire.PSH
	}
	s.host.ipid++
	switch {
	case window >= 0:
	case flags&wire.RST != 0 && flags&wire.ACK == 0:
		window = 0
	default:
		window = 502
	}
	frame = segment(s, peer, flags, seq, ack, length, ttl, uint16(window), plain)
	n := uint32(length)
	if flags&(wire.SYN|wire.FIN) != 0 && flags&wire.RST == 0 {
		n++
	}
	if n > 0 {
		s.next += n
		s.last, s.lastNumber = frame, s.next
		if !lost {
			peer.got, peer.heard = s.next, true
		}
	}
	return frame, !unseen, nil
}

// restamp gives a copy of a frame a new identification, and the newest ACK.
func restamp(frame []byte, ipid uint16, ack uint32) {
	tcp := 14 + 40
	if frame[12] == 8 {
		binary.BigEndian.PutUint16(frame[18:], ipid)
		tcp = 14 + 20
	}
	if wire.Flags(frame[tcp+13])&wire.ACK != 0 {
		binary.BigEndian.PutUint32(frame[tcp+8:], ack)
	}
}

// unreachable makes an ICMP error about what the other side sent last: communication
// administratively prohibited (RFC 1812 section 5.2.7.1).
func unreachable(s, peer *side) []byte {
	quoted := peer.last[14:min(len(peer.last), 14+40)]
	be := binary.BigEndian
	icmp := append([]byte{3, 13, 0, 0, 0, 0, 0, 0}, quoted...)
	b := []byte{2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0, 0x45, 0}
	b = be.AppendUint16(b, uint16(20+len(icmp)))
	b = append(b, 0, 0, 0, 0, 64, 1, 0, 0)
	b = append(b, s.addr.AsSlice()...)
	b = append(b, peer.addr.AsSlice()...)
	return append(b, icmp...)
}

// segment makes an Ethernet frame.
func segment(s, peer *side, flags wire.Flags, seq, ack uint32, length int, ttl uint8, window uint16, plain bool) []byte {
	be := binary.BigEndian
	options := []byte{}
	if flags&wire.SYN != 0 && !plain {
		options = []byte{2, 4, 5, 0xb4, 1, 1, 4, 2, 1, 3, 3, 7}
	}
	tcp := 20 + len(options) + length
	b := []byte{2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2}
	if s.addr.Is4() {
		b = append(b, 8, 0, 0x45, 0)
		b = be.AppendUint16(b, uint16(20+tcp))
		b = be.AppendUint16(b, s.host.ipid)
		b = append(b, 0x40, 0, ttl, 6, 0, 0)
	} else {
		b = append(b, 0x86, 0xdd, 0x60, 0, 0, 0)
		b = be.AppendUint16(b, uint16(tcp))
		b = append(b, 6, ttl)
	}
	b = append(b, s.addr.AsSlice()...)
	b = append(b, peer.addr.AsSlice()...)
	b = be.AppendUint16(b, s.port)
	b = be.AppendUint16(b, peer.port)
	b = be.AppendUint32(b, seq)
	b = be.AppendUint32(b, ack)
	b = append(b, byte((20+len(options))/4)<<4, byte(flags))
	b = be.AppendUint16(b, window)
	b = append(b, 0, 0, 0, 0)
	b = append(b, options...)
	return append(b, make([]byte, length)...)
}

// recorded is a source over frames in memory.
type recorded struct {
	frames []wire.Frame
	next   int
}

func (r *recorded) Next(f *wire.Frame) error {
	if r.next == len(r.frames) {
		return io.EOF
	}
	*f = r.frames[r.next]
	r.next++
	return nil
}

func (r *recorded) Info() capture.Info { return capture.Info{Format: "memory", Frames: uint64(r.next)} }
func (r *recorded) Close() error       { return nil }
