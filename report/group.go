package report

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/tcplife/tcplife/census"
	"github.com/tcplife/tcplife/reassembly"
	"github.com/tcplife/tcplife/wire"
)

// GroupKey is one of those by which connections are grouped: a field, or a word for
// what people mean by it.
type GroupKey struct {
	// Name is what the user calls it, and the head of its column.
	Name  string
	field *Field
	// step cuts a time down to its multiples; 0 for other keys.
	step time.Duration
}

// groupWords are the words beside the fields' names, each with the field it stands
// for.
var groupWords = []struct {
	name, field string
	step        time.Duration
	meaning     string
}{
	{"client", "client.ip", 0, "the client's address"},
	{"server", "server", 0, "the server's address and port"},
	{"service", "server.port", 0, "the server's port, with its well-known name"},
	{"reason", "close.reason", 0, "how it ended"},
	{"closer", "close.closer", 0, "who began to close"},
	{"by", "close.by", 0, "what the closer sent"},
	{"handshake", "handshake.outcome", 0, "how the opening ended"},
	{"finding", "findings", 0, "each finding; a connection counts once for each that it has"},
	{"second", "start", time.Second, "the second in which it began"},
	{"minute", "start", time.Minute, "the minute in which it began"},
	{"hour", "start", time.Hour, "the hour in which it began"},
}

// GroupWords returns the words that stand for fields, with what they mean.
func GroupWords() (all [][2]string) {
	for _, w := range groupWords {
		all = append(all, [2]string{w.name, w.meaning})
	}
	return all
}

// ParseGroup reads the names of what to group by.
func ParseGroup(names []string) (keys []GroupKey, err error) {
	for _, n := range names {
		k := GroupKey{Name: n}
		if i := slices.IndexFunc(groupWords, func(w struct {
			name, field string
			step        time.Duration
			meaning     string
		}) bool {
			return w.name == n
		}); i >= 0 {
			k.field, k.step = fieldOrDerived(groupWords[i].field), groupWords[i].step
		} else if k.field = LookupField(n); k.field == nil {
			var words []string
			for _, w := range groupWords {
				words = append(words, w.name)
			}
			if near := nearest(n, words); near != "" && len(InsideOf(n)) == 0 && !strings.Contains(n, ".") {
				return nil, fmt.Errorf("there is nothing %s to group by; did you mean %s?", n, near)
			}
			return nil, fmt.Errorf("%w (or one of %s; 'tcplife explain fields' lists the fields)", UnknownField(n), strings.Join(words, ", "))
		}
		if slices.ContainsFunc(keys, func(o GroupKey) bool { return o.Name == n }) {
			return nil, fmt.Errorf("%s is named twice", n)
		}
		keys = append(keys, k)
	}
	return keys, nil
}

// GroupOptions say how to group.
type GroupOptions struct {
	Keys []GroupKey
	// Sort is the name of a column (GroupColumns, or a key's name), with a minus before
	// it for the largest first; empty for the most connections first, or for a time in
	// its own order.
	Sort string
	// Limit is how many groups are printed; 0 for all.
	Limit int
}

// groupFormats are those of groups.
var groupFormats = make(registry[func(p *groupPrint) error])

func registerGroups(name string, print func(p *groupPrint) error) struct{} {
	return groupFormats.add(name, print)
}

// GroupFormats returns the names of the formats that groups are printed in, sorted.
func GroupFormats() []string { return groupFormats.names() }

// NewGroups returns a format that counts connections by what they have in common
// instead of listing them.
func NewGroups(name string, o *GroupOptions) (Format, error) {
	print, ok := groupFormats[name]
	if !ok {
		return nil, fmt.Errorf("there are no groups in the format %q: there are %s", name, strings.Join(GroupFormats(), ", "))
	}
	g := &groups{name: name, wish: *o, print: print, all: map[string]*group{}}
	if err := checkGroupSort(o); err != nil {
		return nil, err
	}
	return g, nil
}

// groups counts where other formats print.
type groups struct {
	name  string
	wish  GroupOptions
	print func(p *groupPrint) error
	w     io.Writer
	o     Options
	all   map[string]*group
	// others are the groups that there was no room for, folded of them.
	others group
	folded uint64
	total  uint64
}

// Needs says what the keys are made of; JSON has the whole summary behind the groups.
func (g *groups) Needs() (n Needs) {
	if g.name == "json" || g.name == "ndjson" {
		return Needs{Names: true, Peers: true, Durations: true, Events: true}
	}
	for _, k := range g.wish.Keys {
		n.read(k.field)
	}
	return n
}

// maxGroups are kept apart: when there are twice as many, those with the fewest
// connections are folded into one.
const maxGroups = 10000

// group is what some connections have in common, and what they come to.
type group struct {
	key                 []Value
	connections, failed uint64
	packets, bytes      [2]uint64
	duration, rtt       sample
}

// sample holds durations: one by one as long as they are few, since most groups are
// small, then as a histogram.
type sample struct {
	few  []time.Duration
	many *census.Histogram
}

const sampleFew = 64

func (s *sample) add(d time.Duration) {
	if s.many == nil && len(s.few) < sampleFew {
		s.few = append(s.few, d)
		return
	}
	s.grow().Record(d)
}

// grow turns the sample into a histogram.
func (s *sample) grow() *census.Histogram {
	if s.many == nil {
		s.many = &census.Histogram{}
	}
	for _, d := range s.few {
		s.many.Record(d)
	}
	s.few = nil
	return s.many
}

func (s *sample) merge(o *sample) {
	if o.many != nil {
		s.grow().Merge(o.many)
	}
	for _, d := range o.few {
		s.add(d)
	}
}

func (s *sample) count() uint64 {
	if s.many != nil {
		return s.many.Count()
	}
	return uint64(len(s.few))
}

// percentile returns a duration that p percent do not exceed: exactly as long as they
// are few, otherwise at most 1/32 too much. 100 is the longest.
func (s *sample) percentile(p uint64) time.Duration {
	if s.many != nil {
		if p == 100 {
			return s.many.Max()
		}
		return s.many.Percentile(p)
	}
	if len(s.few) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(s.few))
	return sorted[max((uint64(len(sorted))*p+99)/100, 1)-1]
}

func (f *groups) Begin(w io.Writer, o *Options) error {
	f.w, f.o = w, *o
	return nil
}

// Encode writes the connection's keys and its handshake's round trip: what Add needs
// and no digest has.
func (f *groups) Encode(b *Buffer, c *Connection) {
	b.B = binary.AppendUvarint(b.B, uint64(c.Handshake.RTT))
	for i := range f.wish.Keys {
		k := &f.wish.Keys[i]
		v := k.field.Get(c)
		if k.step > 0 && v.Kind == KindInstant {
			v.N -= mod(v.N, int64(k.step))
		}
		b.B = append(b.B, byte(v.Kind))
		b.B = binary.AppendVarint(b.B, v.N)
		b.B = binary.AppendUvarint(b.B, uint64(len(v.Text)))
		b.B = append(b.B, v.Text...)
	}
}

// mod is the remainder that is not below 0, also before 1970.
func mod(n, m int64) int64 { return (n%m + m) % m }

func (f *groups) Add(id uint64, d *Digest, b *Buffer) error {
	rest := b.B
	rtt, n := binary.Uvarint(rest)
	rest = rest[n:]
	keys := make([]Value, len(f.wish.Keys))
	for i := range keys {
		v := &keys[i]
		v.Kind = ValueKind(rest[0])
		v.N, n = binary.Varint(rest[1:])
		rest = rest[1+n:]
		length, n := binary.Uvarint(rest)
		v.Text = string(rest[n : n+int(length)])
		rest = rest[n+int(length):]
		if k := f.wish.Keys[i].field; k.Numbered() {
			*v = k.Number(id, d.Stream)
		}
	}
	f.total++
	f.each(keys, 0, func() { f.count(keys, d, time.Duration(rtt)) })
	return nil
}

// each calls do for every group that the connection is in: one, unless a key is a
// list.
func (f *groups) each(keys []Value, from int, do func()) {
	for i := from; i < len(keys); i++ {
		if keys[i].Kind != KindList {
			continue
		}
		whole := keys[i]
		words := whole.Words()
		slices.Sort(words)
		words = slices.Compact(words)
		if len(words) == 0 {
			keys[i] = Value{}
			f.each(keys, i+1, do)
		}
		for _, w := range words {
			keys[i] = textValue(w)
			f.each(keys, i+1, do)
		}
		keys[i] = whole
		return
	}
	do()
}

func (f *groups) count(keys []Value, d *Digest, rtt time.Duration) {
	var name strings.Builder
	for _, v := range keys {
		fmt.Fprintf(&name, "%d %d %q,", v.Kind, v.N, v.Text)
	}
	g := f.all[name.String()]
	if g == nil {
		g = &group{key: slices.Clone(keys)}
		f.all[name.String()] = g
	}
	g.connections++
	if d.Outcome == reassembly.OutcomeFailure {
		g.failed++
	}
	for i := range g.bytes {
		g.packets[i] += d.Packets[i]
		g.bytes[i] += d.Bytes[i]
	}
	g.duration.add(d.End.Sub(d.Start))
	if rtt > 0 {
		g.rtt.add(rtt)
	}
	if len(f.all) >= 2*maxGroups {
		f.fold()
	}
}

// fold keeps the groups with the most connections.
func (f *groups) fold() {
	names := make([]string, 0, len(f.all))
	for n := range f.all {
		names = append(names, n)
	}
	slices.SortFunc(names, func(a, b string) int {
		return cmp.Or(cmp.Compare(f.all[b].connections, f.all[a].connections), cmp.Compare(a, b))
	})
	for _, n := range names[maxGroups:] {
		g := f.all[n]
		f.others.connections += g.connections
		f.others.failed += g.failed
		for i := range g.bytes {
			f.others.packets[i] += g.packets[i]
			f.others.bytes[i] += g.bytes[i]
		}
		f.others.duration.merge(&g.duration)
		f.others.rtt.merge(&g.rtt)
		f.folded++
		delete(f.all, n)
	}
}

func (f *groups) Late(*Late) error { return nil }

func (f *groups) End(s *Summary) error {
	p := &groupPrint{w: f.w, o: &f.o, s: s, keys: f.wish.Keys, total: f.total, folded: f.folded}
	for _, g := range f.all {
		p.groups = append(p.groups, g)
	}
	order := groupOrder(&f.wish)
	slices.SortFunc(p.groups, order)
	p.all = uint64(len(p.groups))
	if f.folded > 0 {
		p.others = &f.others
	}
	if f.wish.Limit > 0 {
		p.groups = p.groups[:min(len(p.groups), f.wish.Limit)]
	}
	return f.print(p)
}

// groupPrint is groups on their way to be printed.
type groupPrint struct {
	w      io.Writer
	o      *Options
	s      *Summary
	keys   []GroupKey
	groups []*group
	// all is how many groups there are, printed or not; total how many connections.
	all, total uint64
	// others are folded groups that there was no room for; nil for none.
	others *group
	folded uint64
}

// groupColumn is one of a group's numbers.
type groupColumn struct {
	name string
	get  func(g *group) Value
}

func percentileOf(name string, p uint64, of func(g *group) *sample) groupColumn {
	return groupColumn{name, func(g *group) Value {
		s := of(g)
		return secondsValue(s.percentile(p)).known(s.count() > 0)
	}}
}

// groupColumns are a group's numbers, in the order in which they are printed.
var groupColumns = []groupColumn{
	{"connections", func(g *group) Value { return countValue(g.connections) }},
	{"failed", func(g *group) Value { return countValue(g.failed) }},
	{"packets_client", func(g *group) Value { return countValue(g.packets[0]) }},
	{"packets_server", func(g *group) Value { return countValue(g.packets[1]) }},
	{"bytes_client", func(g *group) Value { return countValue(g.bytes[0]) }},
	{"bytes_server", func(g *group) Value { return countValue(g.bytes[1]) }},
	percentileOf("duration_p50", 50, func(g *group) *sample { return &g.duration }),
	percentileOf("duration_p90", 90, func(g *group) *sample { return &g.duration }),
	percentileOf("duration_p99", 99, func(g *group) *sample { return &g.duration }),
	percentileOf("duration_max", 100, func(g *group) *sample { return &g.duration }),
	{"handshakes", func(g *group) Value { return countValue(g.rtt.count()) }},
	percentileOf("rtt_p50", 50, func(g *group) *sample { return &g.rtt }),
	percentileOf("rtt_p90", 90, func(g *group) *sample { return &g.rtt }),
	percentileOf("rtt_p99", 99, func(g *group) *sample { return &g.rtt }),
	percentileOf("rtt_max", 100, func(g *group) *sample { return &g.rtt }),
}

// GroupColumns returns the names of a group's numbers.
func GroupColumns() (names []string) {
	for _, c := range groupColumns {
		names = append(names, c.name)
	}
	return names
}

// groupSort splits the wish for an order.
func groupSort(o *GroupOptions) (name string, descending bool) {
	name, descending = strings.CutPrefix(o.Sort, "-")
	switch {
	case o.Sort != "":
	case o.Keys[0].step > 0:
		name = o.Keys[0].Name
	default:
		name, descending = "connections", true
	}
	return name, descending
}

func checkGroupSort(o *GroupOptions) error {
	name, _ := groupSort(o)
	names := GroupColumns()
	for _, k := range o.Keys {
		names = append(names, k.Name)
	}
	if slices.Contains(names, name) {
		return nil
	}
	if near := nearest(name, names); near != "" {
		return fmt.Errorf("groups have no column %s; did you mean %s?", name, near)
	}
	return fmt.Errorf("groups have no column %s: there are %s", name, strings.Join(names, ", "))
}

// groupOrder compares groups: by what was asked for, then by their keys.
func groupOrder(o *GroupOptions) func(a, b *group) int {
	name, descending := groupSort(o)
	get := func(g *group) Value { return Value{} }
	if i := slices.IndexFunc(groupColumns, func(c groupColumn) bool { return c.name == name }); i >= 0 {
		get = groupColumns[i].get
	} else if i := slices.IndexFunc(o.Keys, func(k GroupKey) bool { return k.Name == name }); i >= 0 {
		get = func(g *group) Value { return g.key[i] }
	}
	by := Order{Descending: descending}
	return func(a, b *group) int {
		if n := by.compare(get(a), get(b)); n != 0 {
			return n
		}
		for i := range a.key {
			if n := a.key[i].Compare(b.key[i]); n != 0 {
				return n
			}
		}
		return 0
	}
}

// keyText prints a group's key as programs read it.
func (k *GroupKey) text(v Value, multi bool) string {
	if k.step > 0 && v.Kind == KindInstant {
		return wire.Time(v.N).Std().Format("2006-01-02T15:04:05Z")
	}
	return string(v.append(nil, multi))
}
