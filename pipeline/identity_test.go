package pipeline

import (
	"context"
	"encoding/base32"
	"encoding/binary"
	"hash/fnv"
	"net/netip"
	"slices"
	"testing"

	"github.com/tcplife/tcplife/reassembly"
	"github.com/tcplife/tcplife/report"
	"github.com/tcplife/tcplife/wire"
)

func tupleOf(src, dst string) wire.Tuple {
	s, d := netip.MustParseAddrPort(src), netip.MustParseAddrPort(dst)
	t := wire.Tuple{SrcPort: s.Port(), DstPort: d.Port(), V6: s.Addr().Is6()}
	a, b := s.Addr().As16(), d.Addr().As16()
	t.Src, t.Dst = wire.AddrFrom16(a[:]), wire.AddrFrom16(b[:])
	return t
}

// The values are the specification's own (community-id-spec, baseline data of seed
// 0): one over IPv4, one over IPv6.
func TestCommunityID(t *testing.T) {
	for _, c := range []struct{ src, dst, want string }{
		{"128.232.110.120:34855", "66.35.250.204:80", "1:LQU9qZlK+B5F3KDmev6m5PMibrg="},
		{"[2001:470:e5bf:dead:4957:2174:e82c:4887]:63943", "[2607:f8b0:400c:c03::1a]:25", "1:/qFaeAR+gFe1KYjMzVDsMv+wgU4="},
	} {
		var n names
		tuple := tupleOf(c.src, c.dst)
		for _, tuple := range []wire.Tuple{tuple, tuple.Reverse()} {
			if got := n.communityID(&tuple); got != c.want {
				t.Errorf("%v: %s, want %s", tuple, got, c.want)
			}
		}
	}
}

var uidKey = reassembly.UIDKey{Tuple: tupleOf("10.0.0.1:40000", "10.0.0.2:443"), Start: 1_700_000_000_123_456_789, ISN: 0xdeadbeef}

// People keep uids in tickets and other tools' databases: they never change.
func TestUIDIsStable(t *testing.T) {
	key6 := uidKey
	key6.Tuple = tupleOf("[2001:db8::1]:40000", "[2001:db8::2]:443")
	for _, c := range []struct {
		key   reassembly.UIDKey
		encap []string
		want  string
	}{
		{uidKey, nil, "TGYP2IL3GOS6E"},
		{uidKey, []string{"vlan:12"}, "PLKZTNS2FRCQA"},
		{key6, nil, "LRAYJ5HGX3GLS"},
	} {
		var n names
		if got := n.uid(&c.key, c.encap); got != c.want {
			t.Errorf("%v %q: %s, want %s", c.key, c.encap, got, c.want)
		}
		// The same by the standard library.
		h := fnv.New64a()
		k := c.key.Tuple
		v6 := uint64(0)
		if k.V6 {
			v6 = 1
		}
		for _, w := range []uint64{k.Src.Hi, k.Src.Lo, k.Dst.Hi, k.Dst.Lo, uint64(k.SrcPort)<<32 | uint64(k.DstPort)<<16 | v6, uint64(c.key.Start), uint64(c.key.ISN)} {
			h.Write(binary.BigEndian.AppendUint64(nil, w))
		}
		for _, e := range c.encap {
			h.Write([]byte(e + "\x00"))
		}
		if want := base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(h.Sum(nil)); want != c.want {
			t.Errorf("%v %q: %s by the standard library", c.key, c.encap, want)
		}
	}
}

func TestEverythingIsPartOfTheUID(t *testing.T) {
	seen := map[string]string{}
	for _, c := range []struct {
		name   string
		change func(k *reassembly.UIDKey, encap *[]string)
	}{
		{"nothing", func(*reassembly.UIDKey, *[]string) {}},
		{"the roles", func(k *reassembly.UIDKey, _ *[]string) { k.Tuple = k.Tuple.Reverse() }},
		{"source", func(k *reassembly.UIDKey, _ *[]string) { k.Tuple.Src.Lo++ }},
		{"destination", func(k *reassembly.UIDKey, _ *[]string) { k.Tuple.Dst.Hi++ }},
		{"source port", func(k *reassembly.UIDKey, _ *[]string) { k.Tuple.SrcPort++ }},
		{"destination port", func(k *reassembly.UIDKey, _ *[]string) { k.Tuple.DstPort++ }},
		{"IP version", func(k *reassembly.UIDKey, _ *[]string) { k.Tuple.V6 = true }},
		{"time", func(k *reassembly.UIDKey, _ *[]string) { k.Start++ }},
		{"ISN", func(k *reassembly.UIDKey, _ *[]string) { k.ISN++ }},
		{"a VLAN", func(_ *reassembly.UIDKey, e *[]string) { *e = []string{"vlan:1"} }},
		{"two VLANs", func(_ *reassembly.UIDKey, e *[]string) { *e = []string{"vlan:1", "vlan:2"} }},
		{"their order", func(_ *reassembly.UIDKey, e *[]string) { *e = []string{"vlan:2", "vlan:1"} }},
		{"where one ends", func(_ *reassembly.UIDKey, e *[]string) { *e = []string{"vlan:1vlan:2"} }},
	} {
		var n names
		k, encap := uidKey, []string(nil)
		c.change(&k, &encap)
		uid := n.uid(&k, encap)
		if other, taken := seen[uid]; taken {
			t.Errorf("%s and %s have the same uid", c.name, other)
		}
		seen[uid] = c.name
	}
	// The number that this reading gave the path is none of the uid's business.
	var n names
	k := uidKey
	k.Tuple.Encap = 7
	if n.uid(&k, nil) != n.uid(&uidKey, nil) {
		t.Error("the path's number is part of the uid")
	}
}

// The strings share memory, and must stay what they were all the same.
func TestNamesStay(t *testing.T) {
	var n names
	var got, want []string
	for i := range 5000 {
		k := uidKey
		k.ISN = wire.Seq(i)
		got = append(got, n.uid(&k, nil), n.communityID(&k.Tuple))
		var fresh names
		want = append(want, fresh.uid(&k, nil), fresh.communityID(&k.Tuple))
	}
	if !slices.Equal(got, want) {
		t.Error("a name has changed after it was given")
	}
	if a := testing.AllocsPerRun(1000, func() { n.uid(&uidKey, nil); n.communityID(&uidKey.Tuple) }); a > 0.1 {
		t.Errorf("%.1f allocations per connection", a)
	}
}

// Beyond wire.MaxEncaps paths are no longer told apart.
func TestEncapsulationsBeyondTheBound(t *testing.T) {
	const beyond = 5
	var frames []wire.Frame
	for i := range wire.MaxEncaps + beyond {
		p := packet{src: 0x0a000001, dst: 0x0a000002, srcPort: 40000, dstPort: 443, seq: 1, flags: syn, vlans: []uint16{uint16(1 + i/4000), uint16(1 + i%4000)}}
		if i >= wire.MaxEncaps {
			p.srcPort = uint16(i)
		}
		data, length := p.append(nil)
		frames = append(frames, wire.Frame{At: wire.Time(i) * 1000, Link: wire.LinkEthernet, Data: data, Length: length})
	}
	number(frames)
	other := 0
	cfg := config(t, play(frames), "discard", nil)
	cfg.Each = func(id uint64, d *report.Digest) {
		if !slices.Equal(d.Encap, []string{"other"}) {
			return
		}
		if other++; id <= wire.MaxEncaps {
			t.Errorf("connection %d is in a path without a name", id)
		}
	}
	s, err := Run(context.Background(), cfg)
	if err != nil || s.Connections != uint64(len(frames)) {
		t.Errorf("%v, %d connections of %d", err, s.Connections, len(frames))
	}
	if other != beyond {
		t.Errorf("%d connections in other paths, want %d", other, beyond)
	}
	cfg.Source, cfg.Each = play(frames), nil
	lives, _, err := Lives(cfg, tupleOf("10.0.0.1:1", "10.0.0.2:443"), []string{"other"}, 0, func(string) bool { return true })
	if err != nil || len(lives) != 1 || lives[0].First != wire.MaxEncaps+2 {
		t.Errorf("%v, %d lives", err, len(lives))
	}
	// Merged, only the ports tell them apart.
	cfg.Source, cfg.MergeEncap = play(frames), true
	if s, err = Run(context.Background(), cfg); err != nil || s.Connections != 1+beyond {
		t.Errorf("merged: %v, %d connections", err, s.Connections)
	}
}
