package wire

import (
	"bytes"
	"encoding/hex"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// The tests name a fragment by its place, "0-24+" for octets 0 to 23 with more to
// come, and fill it with one letter, so that the result shows whose octets hold.

// piecesOf writes the fragments of one packet: "0-24+ a" is a place and a letter.
func piecesOf(t *testing.T, key datagramKey, lines ...string) []fragment {
	t.Helper()
	var fs []fragment
	for _, line := range lines {
		var f fragment
		place, letter, ok := strings.Cut(line, " ")
		from, to, ok2 := strings.Cut(place, "-")
		to, f.more = strings.CutSuffix(to, "+")
		if !ok || !ok2 {
			t.Fatalf("fragment %q", line)
		}
		f.key, f.from, f.length = key, number(from), number(to)-number(from)
		f.data = bytes.Repeat([]byte(letter), int(f.length))
		f.head = ipHead{ttl: letter[0], next: ipTCP}
		fs = append(fs, f)
	}
	return fs
}

func number(s string) (n uint32) {
	for _, c := range s {
		n = n*10 + uint32(c-'0')
	}
	return n
}

var keyA, keyB = datagramKey{src: addrA, dst: addrB, id: 7, proto: ipTCP}, datagramKey{src: addrC, dst: addrD, id: 7, v6: true}

func TestReassembly(t *testing.T) {
	for _, c := range []struct {
		name string
		in   []string
		// want holds for each fragment the octets of the packet that it completes, "-"
		// for none, or the reason that it counts under if that is not SkipFragment.
		want string
		ttl  byte // of the last packet, as the letter of the fragment it is from
	}{
		{"in order", []string{"0-8+ a", "8-16+ b", "16-20 c"}, "- - aaaaaaaabbbbbbbbcccc", 'a'},
		{"backwards", []string{"16-20 c", "8-16+ b", "0-8+ a"}, "- - aaaaaaaabbbbbbbbcccc", 'a'},
		{"a copy before the end", []string{"0-8+ a", "0-8+ a", "8-12 b"}, "- - aaaaaaaabbbb", 'a'},
		{"every frame twice", []string{"0-8+ a", "0-8+ a", "8-12 b", "8-12 b"}, "- - aaaaaaaabbbb -", 'a'},
		{"the packet twice", []string{"0-8+ a", "8-12 b", "0-8+ c", "8-12 d"}, "- aaaaaaaabbbb - ccccccccdddd", 'c'},
		{"twice, three fragments", []string{"0-8+ a", "0-8+ a", "8-16+ b", "8-16+ b", "16-17 c", "16-17 c", "0-8+ d", "8-16+ e", "16-17 f"},
			"- - - - aaaaaaaabbbbbbbbc - - - ddddddddeeeeeeeef", 'd'},
		// RFC 4963: the old packet's rest was lost, and the number has come round.
		{"the identification comes round", []string{"0-8+ a", "0-8+ b", "8-12 c"}, "- - bbbbbbbbcccc", 'b'},
		{"the first beginning holds", []string{"8-24+ b", "0-16+ a", "24-25 c"}, "- - aaaaaaaaaaaaaaaabbbbbbbbc", 'a'},
		{"whichever comes first", []string{"0-16+ a", "8-24+ b", "24-25 c"}, "- - aaaaaaaaaaaaaaaabbbbbbbbc", 'a'},
		{"one inside another", []string{"0-24+ a", "8-16+ b", "24-25 c"}, "- - aaaaaaaaaaaaaaaaaaaaaaaac", 'a'},
		{"one over another", []string{"8-16+ b", "0-24+ a", "24-25 c"}, "- - aaaaaaaaaaaaaaaaaaaaaaaac", 'a'},
		{"equal beginnings: the earlier holds", []string{"0-16+ a", "0-24+ b", "24-25 c"}, "- - aaaaaaaaaaaaaaaabbbbbbbbc", 'b'},
		{"a second end is left out", []string{"0-8+ a", "16-20 d", "16-24 d", "8-16+ b"}, "- - malformed aaaaaaaabbbbbbbbdddd", 'a'},
		{"octets beyond the end are left out", []string{"8-12 b", "8-24+ c", "0-8+ a"}, "- malformed aaaaaaaabbbb", 'a'},
		{"an end inside is left out", []string{"0-16+ a", "8-12 b", "16-17 c"}, "- malformed aaaaaaaaaaaaaaaac", 'a'},
		{"a part unit in the middle is cut off", []string{"0-15+ a", "8-12 b"}, "- aaaaaaaabbbb", 'a'},
		{"less than a unit", []string{"0-7+ a"}, "malformed", 0},
		{"empty", []string{"8-8 a"}, "malformed", 0},
		{"the largest packet", []string{"65528-65535 a"}, "-", 0},
		{"beyond the largest packet", []string{"65528-65536 a"}, "malformed", 0},
		{"one fragment that is all", []string{"0-8 a"}, "aaaaaaaa", 'a'},
	} {
		t.Run(c.name, func(t *testing.T) {
			var r reassembler
			var got []string
			var ttl byte
			for _, f := range piecesOf(t, keyA, c.in...) {
				p, skip := r.add(&f)
				switch {
				case p != nil:
					got = append(got, string(p.kept()))
					ttl = p.head.ttl
					if int(p.total) != len(p.kept()) || p.snapped() {
						t.Errorf("%d octets of %d, snapped %v", len(p.kept()), p.total, p.snapped())
					}
				case skip == SkipFragment:
					got = append(got, "-")
				default:
					got = append(got, skip.String())
				}
			}
			if s := strings.Join(got, " "); s != c.want {
				t.Errorf("got  %s\nwant %s", s, c.want)
			}
			if ttl != c.ttl {
				t.Errorf("the header of fragment %q", ttl)
			}
		})
	}
}

// Fragments of different packets do not mix, whatever of the key differs.
func TestReassemblyKeys(t *testing.T) {
	var r reassembler
	keys := []datagramKey{keyA, keyB}
	for _, change := range []func(*datagramKey){
		func(k *datagramKey) { k.path = "x" },
		func(k *datagramKey) { k.src = addrC },
		func(k *datagramKey) { k.dst = addrC },
		func(k *datagramKey) { k.id = 8 },
		func(k *datagramKey) { k.proto = 4 },
	} {
		k := keyA
		change(&k)
		keys = append(keys, k)
	}
	for _, k := range keys {
		if p, skip := r.add(&piecesOf(t, k, "0-8+ a")[0]); p != nil || skip != SkipFragment {
			t.Fatalf("%+v: %v", k, skip)
		}
	}
	for i, k := range keys {
		letter := string(rune('b' + i))
		p, _ := r.add(&piecesOf(t, k, "8-12 "+letter)[0])
		if p == nil || string(p.kept()) != "aaaaaaaa"+strings.Repeat(letter, 4) {
			t.Errorf("%+v: %+v", k, p)
		}
	}
}

// RFC 8200 section 4.5: a fragment in the middle of an IPv6 packet that is not made
// of units of eight octets is an error.
func TestReassemblyPartUnit6(t *testing.T) {
	var r reassembler
	if _, skip := r.add(&piecesOf(t, keyB, "0-15+ a")[0]); skip != SkipMalformed {
		t.Error(skip)
	}
}

// What of a fragment was not captured ends what is known of the packet; its length
// comes from the headers.
func TestReassemblySnapped(t *testing.T) {
	for _, c := range []struct {
		name string
		in   []string
		cut  []int // octets captured of each
		want string
	}{
		{"the first", []string{"0-16+ a", "16-20 b"}, []int{12, 4}, "aaaaaaaaaaaa"},
		{"the last", []string{"0-16+ a", "16-20 b"}, []int{16, 2}, "aaaaaaaaaaaaaaaabb"},
		{"the first, backwards", []string{"16-20 b", "0-16+ a"}, []int{4, 12}, "aaaaaaaaaaaa"},
		{"nothing of the first", []string{"0-16+ a", "16-20 b"}, []int{0, 4}, ""},
		{"a copy that was captured whole", []string{"0-8+ a", "0-8+ a", "8-12 b"}, []int{4, 8, 4}, "aaaaaaaabbbb"},
		{"under an overlap", []string{"8-24+ b", "0-16+ a", "24-25 c"}, []int{4, 16, 1}, "aaaaaaaaaaaaaaaa"},
	} {
		var r reassembler
		fs := piecesOf(t, keyA, c.in...)
		for i := range fs {
			f := &fs[i]
			f.data = f.data[:c.cut[i]]
			p, _ := r.add(f)
			if (p != nil) != (i == len(fs)-1) {
				t.Fatalf("%s: fragment %d: %+v", c.name, i, p)
			}
			if p == nil {
				continue
			}
			last := &fs[len(fs)-1]
			for j := range fs {
				if fs[j].from > last.from {
					last = &fs[j]
				}
			}
			if string(p.kept()) != c.want || p.total != last.from+last.length || p.snapped() != (len(c.want) < int(p.total)) {
				t.Errorf("%s: %q of %d, want %q", c.name, p.kept(), p.total, c.want)
			}
		}
	}
}

// Only a packet's first octets are kept; that is no gap in the capture.
func TestReassemblyKeepsHeads(t *testing.T) {
	var r reassembler
	var whole *datagram
	for _, f := range piecesOf(t, keyA, "0-1480+ a", "1480-2960+ b", "2960-4440+ c", "4440-65535 d") {
		whole, _ = r.add(&f)
	}
	if whole == nil || len(whole.kept()) != datagramHead || whole.snapped() || whole.total != 65535 {
		t.Fatalf("%+v", whole)
	}
}

func TestReassemblyTime(t *testing.T) {
	for _, key := range []datagramKey{keyA, keyB} {
		// ip_frag_time, and RFC 8200 section 4.5.
		wait := 30 * time.Second
		if key.v6 {
			wait = time.Minute
		}
		for late, want := range map[time.Duration]bool{wait: true, wait + 1: false} {
			var r reassembler
			fs := piecesOf(t, key, "0-8+ a", "8-16+ b", "16-20 c")
			fs[1].at = Time(wait / 2) // begins no new time
			fs[2].at = Time(late)
			var p *datagram
			for i := range fs {
				p, _ = r.add(&fs[i])
			}
			if (p != nil) != want {
				t.Errorf("IPv6 %v, after %v: %v", key.v6, late, p != nil)
			}
			if c := r.count(); (c.Incomplete > 0) == want || want && c.Frames != 3 || !want && c.IncompleteFrames != 3 {
				t.Errorf("IPv6 %v, after %v: %+v", key.v6, late, c)
			}
		}
	}
	// A packet of IPv4 is over at its time, though an older one of IPv6 still waits.
	var both reassembler
	both.add(&piecesOf(t, keyB, "0-8+ a")[0])
	for i, f := range piecesOf(t, keyA, "0-8+ a", "8-12 b") {
		f.at = Time(i) * Time(45*time.Second)
		if p, _ := both.add(&f); p != nil {
			t.Error("a packet of IPv4 after 45 seconds")
		}
	}
	// A frame with a time far ahead must not end the wait of all that follow.
	var r reassembler
	ahead := piecesOf(t, keyB, "0-8+ x")[0]
	ahead.at = Time(100 * time.Hour)
	r.add(&ahead)
	fs := piecesOf(t, keyA, "0-8+ a", "8-12 b")
	r.add(&fs[0])
	if p, _ := r.add(&fs[1]); p == nil {
		t.Error("no packet after a leap of time")
	}
}

func TestReassemblyCounts(t *testing.T) {
	var r reassembler
	add := func(id uint32, lines ...string) {
		k := keyA
		k.id = id
		for _, f := range piecesOf(t, k, lines...) {
			r.add(&f)
		}
	}
	add(1, "0-8+ a", "8-12 b")                        // whole
	add(2, "0-8+ a", "0-8+ a", "8-12 b", "8-12 b")    // whole, every frame twice
	add(3, "0-24+ a", "16-32+ b", "32-33 c")          // whole, overlapping
	add(4, "0-24+ a", "16-32+ b")                     // overlapping, and never whole
	add(5, "8-12 b")                                  // the first is missing
	add(6, "0-8+ a", "8-16+ b", "32-33 c", "32-33 c") // a gap
	want := Fragments{Packets: 3, Frames: 2 + 4 + 3, Incomplete: 3, IncompleteFrames: 2 + 1 + 4, IncompleteTCP: 2, Overlapping: 2}
	if got := r.count(); got != want {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	// The same when their time is over.
	late := piecesOf(t, keyB, "0-8+ a")[0]
	late.at = Time(time.Hour)
	r.add(&late)
	want.Incomplete, want.IncompleteFrames, want.IncompleteTCP = want.Incomplete+1, want.IncompleteFrames+1, want.IncompleteTCP+1
	if got := r.count(); got != want {
		t.Errorf("afterwards\ngot  %+v\nwant %+v", got, want)
	}
	if len(r.datagrams) != 1 || r.cost > 2*datagramCost {
		t.Errorf("%d packets are left, cost %d", len(r.datagrams), r.cost)
	}
}

// However many packets are begun and never finished, memory is bounded, and the
// ones that came last can still be finished.
func TestReassemblyBound(t *testing.T) {
	var r reassembler
	k := keyA
	for i := range uint32(200_000) {
		k.id = i
		r.add(&piecesOf(t, k, "4080-4096+ a")[0])
		if r.cost > fragmentRoom || len(r.datagrams) > fragmentRoom/datagramCost {
			t.Fatalf("%d packets that cost %d", len(r.datagrams), r.cost)
		}
	}
	if c := r.count(); c.Incomplete != 200_000 || c.Evicted != 200_000-uint64(len(r.datagrams)) {
		t.Errorf("%+v with %d waiting", c, len(r.datagrams))
	}
	for _, f := range piecesOf(t, k, "0-4080+ a", "4096-4097 b") {
		if p, _ := r.add(&f); (p != nil) != !f.more {
			t.Errorf("the last packet: %+v", p)
		}
	}
	n := 0
	for p := r.oldest; p != nil; p = p.newer {
		n++
	}
	if n != len(r.datagrams) {
		t.Errorf("%d packets in the list, %d in the table", n, len(r.datagrams))
	}
}

// naive is what putting together means, octet by octet.
type naive struct {
	frags []fragment
	ends  []uint32 // what each covers, cut to units
	total uint32
}

func (n *naive) add(f fragment) (octets string, whole, ok bool) {
	to := f.from + f.length
	if f.more {
		to = f.from + f.length/8*8
	}
	if to == f.from || to > 65535 {
		return "", false, false
	}
	for i := range n.frags {
		if !f.more && n.ends[i] > to {
			return "", false, false
		}
	}
	if n.total != 0 && (to > n.total || !f.more && to != n.total) {
		return "", false, false
	}
	if !f.more {
		n.total = to
	}
	again := false
	for i := range n.frags {
		if n.frags[i].from == f.from && n.ends[i] == to {
			n.frags[i].data, again = f.data, true // a later copy holds
		}
	}
	if !again {
		n.frags, n.ends = append(n.frags, f), append(n.ends, to)
	}
	if n.total == 0 {
		return "", false, true
	}
	var b []byte
	for at := range n.total {
		best := -1
		for i := range n.frags {
			if n.frags[i].from <= at && at < n.ends[i] && (best < 0 || n.frags[i].from < n.frags[best].from) {
				best = i
			}
		}
		if best < 0 {
			return "", false, true
		}
		b = append(b, n.frags[best].data[at-n.frags[best].from])
	}
	return string(b), true, true
}

// TestReassemblyAgainstNaive cuts, mixes, doubles and overlaps at random.
func TestReassemblyAgainstNaive(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var r reassembler
		var models [3]naive
		letter := byte('A')
		for range rapid.IntRange(1, 40).Draw(t, "fragments") {
			which := rapid.IntRange(0, len(models)-1).Draw(t, "packet")
			f := fragment{key: keyA, from: 8 * rapid.Uint32Range(0, 7).Draw(t, "unit"),
				length: rapid.Uint32Range(0, 40).Draw(t, "length"), more: rapid.Bool().Draw(t, "more")}
			f.key.id = uint32(which)
			f.data = bytes.Repeat([]byte{letter}, int(f.length))
			letter++
			want, whole, ok := models[which].add(f)
			p, skip := r.add(&f)
			if (p != nil) != whole || (skip == SkipMalformed) == ok {
				t.Fatalf("%d-%d of packet %d: whole %v, skip %v; naive: %v, fits %v", f.from, f.from+f.length, which, p != nil, skip, whole, ok)
			}
			if whole {
				if string(p.kept()) != want {
					t.Fatalf("got  %s\nwant %s", p.kept(), want)
				}
				// What comes after a whole packet is another test's matter.
				models[which] = naive{}
				r.remove(r.datagrams[f.key])
			}
		}
	})
}

// However a packet is cut into fragments, in whatever order they come, it is the
// packet that was cut.
func TestReassemblyOfCuts(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		whole := rapid.SliceOfN(rapid.Byte(), 9, 300).Draw(t, "packet")
		var fs []fragment
		for from := 0; from < len(whole); {
			to := min(len(whole), from+8*rapid.IntRange(1, 12).Draw(t, "units"))
			fs = append(fs, fragment{key: keyA, from: uint32(from), length: uint32(to - from), data: whole[from:to], more: to < len(whole)})
			from = to
		}
		var r reassembler
		for i, f := range rapid.Permutation(fs).Draw(t, "order") {
			p, _ := r.add(&f)
			if (p != nil) != (i == len(fs)-1) {
				t.Fatalf("fragment %d of %d: whole %v", i+1, len(fs), p != nil)
			}
			if p != nil && !bytes.Equal(p.kept(), whole) {
				t.Fatalf("got  %x\nwant %x", p.kept(), whole)
			}
		}
	})
}

// FuzzReassembly takes fragments from octets: packet, place, length, whether more
// come, and how much was captured. Whatever they are, the account is right and the
// bounds hold.
func FuzzReassembly(f *testing.F) {
	for _, seed := range []string{"00000801", "0000080100010100", "0000100100010801000301000003010000", "01ff08000100f0010000ff01"} {
		b, _ := hex.DecodeString(seed)
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var r reassembler
		payload := make([]byte, 255*16)
		frames, packets := uint64(0), uint64(0)
		for ; len(b) >= 4; b = b[4:] {
			g := fragment{key: datagramKey{id: uint32(b[0] & 3), v6: b[0]&4 != 0}, at: Time(b[0]>>3) * Time(time.Second),
				from: uint32(b[1]) * 8, length: uint32(b[2]) * 16, more: b[3]&1 != 0}
			g.data = payload[:int(g.length)*int(b[3])/255]
			p, skip := r.add(&g)
			if skip != SkipMalformed {
				frames++
			}
			if p != nil {
				packets++
				if skip != SkipNone || p.captured > p.total || len(p.kept()) > int(p.total) {
					t.Fatalf("%v %+v", skip, p)
				}
			}
		}
		if c := r.count(); c.Frames+c.IncompleteFrames != frames || c.Packets != packets {
			t.Fatalf("%d frames and %d packets, counted %+v", frames, packets, c)
		}
	})
}
