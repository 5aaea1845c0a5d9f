package wire

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

var optionFixtures = []struct {
	name string
	hex  string
	want Options
}{
	{"MSS", "mss 02 04 05b4", Options{Set: OptMSS, MSS: 1460}},
	{"window scale 15 is kept raw", "ws 03 03 0f", Options{Set: OptWindowScale, WindowScale: 15}},
	{"SACK permitted", "sackok 04 02", Options{Set: OptSACKPerm}},
	{"timestamps, any layout", "ts 08 0a 00000001 00000002\nnop 01 01", Options{Set: OptTimestamps, TSVal: 1, TSEcr: 2}},
	{"timestamps, usual layout", "ts 01 01 08 0a 00000001 00000002", Options{Set: OptTimestamps, TSVal: 1, TSEcr: 2}},
	{"one SACK block", "sack 01 01 05 0a 00000001 00000002", Options{Set: OptSACK, SACKs: 1, SACK: [2]SACKBlock{{1, 2}}}},
	{"four SACK blocks", "sack 05 22 00000001 00000002 00000003 00000004 00000005 00000006 fffffff0 00000008",
		Options{Set: OptSACK, SACKs: 4, SACK: [2]SACKBlock{{1, 2}, {3, 4}}}},
	{"SACK without block", "sack 05 02", Options{Set: OptDamaged}},
	{"SACK with half a block", "sack 05 06 00000001", Options{Set: OptDamaged}},
	{"a second SACK counts", "sack 05 12 00000001 00000002 00000003 00000004\nsack 05 0a 00000005 00000006",
		Options{Set: OptSACK, SACKs: 1, SACK: [2]SACKBlock{{5, 6}}}},
	{"T/TCP", "cc 0b 06 00000001\nnew 0c 06 00000001\necho 0d 06 00000001", Options{Set: OptCC | OptCCNew | OptCCEcho}},
	{"MD5", "md5 13 12 00000000 00000000 00000000 00000000", Options{Set: OptMD5}},
	{"user timeout", "uto 1c 04 8005", Options{Set: OptUserTimeout, UserTimeout: 0x8005}},
	{"AO", "ao 1d 10 0102 00000000 00000000 00000000", Options{Set: OptAO}},
	{"AO without key ids", "ao 1d 02", Options{Set: OptDamaged}},
	{"MPTCP capable", "mptcp 1e 04 01 81", Options{Set: OptMPTCP}},
	{"MPTCP fast close", "mptcp 1e 0c 70 00 00000000 00000000", Options{Set: OptMPTCP, MPTCPSubtype: 7}},
	{"the first MPTCP option names the subtype", "dss 1e 04 20 00\nprio 1e 03 50", Options{Set: OptMPTCP, MPTCPSubtype: 2}},
	{"MPTCP without subtype", "mptcp 1e 02", Options{Set: OptDamaged}},
	{"Fast Open asks", "tfo 22 02", Options{Set: OptFastOpen}},
	{"Fast Open cookie", "tfo 22 0a 00000000 00000000", Options{Set: OptFastOpen, FastOpenLen: 8}},
	{"Fast Open cookie of odd length", "tfo 22 07 00000000 00", Options{Set: OptDamaged}},
	{"Fast Open cookie too short", "tfo 22 04 0000", Options{Set: OptDamaged}},
	{"Fast Open cookie too long", "tfo 22 14 00000000 00000000 00000000 00000000 0000", Options{Set: OptDamaged}},
	{"experimental Fast Open asks", "exp fe 04 f989", Options{Set: OptFastOpen}},
	{"experimental Fast Open cookie", "exp fd 0c f989 00000000 00000000", Options{Set: OptFastOpen, FastOpenLen: 8}},
	{"another experiment", "exp fe 06 e2d4 0000", Options{Set: OptOther}},
	{"an experiment without magic", "exp fd 02", Options{Set: OptOther}},
	{"unknown kind", "opt 50 03 00", Options{Set: OptOther}},
	{"end of list", "end 00\nmss 02 04 05b4", Options{}},
	{"only nops", "nop 01 01 01 01", Options{}},
	{"twice: the last counts", "mss 02 04 0001\nmss 02 04 0002", Options{Set: OptMSS, MSS: 2}},
	{"length 0", "mss 02 04 05b4\nbad 03 00 07\nok 04 02", Options{Set: OptMSS | OptDamaged, MSS: 1460}},
	{"length 1", "mss 02 04 05b4\nbad 03 01 07", Options{Set: OptMSS | OptDamaged, MSS: 1460}},
	{"no length", "mss 02 04 05b4\nbad 01 01 01 03", Options{Set: OptMSS | OptDamaged, MSS: 1460}},
	{"length beyond the header", "mss 02 04 05b4\nbad 08 0a 00 00", Options{Set: OptMSS | OptDamaged, MSS: 1460}},
	{"wrong length: the rest is read", "bad 02 03 05\nok 04 02", Options{Set: OptSACKPerm | OptDamaged}},
	{"wrong length of window scale", "bad 03 04 0707", Options{Set: OptDamaged}},
	{"wrong length of SACK permitted", "bad 04 03 00", Options{Set: OptDamaged}},
	{"wrong length of timestamps", "bad 08 09 00000000 000000", Options{Set: OptDamaged}},
	{"wrong length of user timeout", "bad 1c 03 00", Options{Set: OptDamaged}},
	{"wrong lengths of CC", "bad 0b 02\nbad 0c 02\nbad 0d 02", Options{Set: OptDamaged}},
	{"wrong length of MD5", "bad 13 02", Options{Set: OptDamaged}},
}

// parseOptions decodes options as they stand in a header of their length.
func parseOptions(b []byte) Options {
	var o Options
	o.parse(b, uint32(len(b)))
	return o
}

func TestOptions(t *testing.T) {
	for _, c := range optionFixtures {
		t.Run(c.name, func(t *testing.T) {
			if diff := cmp.Diff(c.want, parseOptions(fixture(c.hex))); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// Snapped anywhere inside the options, what was whole is kept and OptCut says so;
// the cut itself is never taken for damage.
func TestOptionsCut(t *testing.T) {
	b := fixture("mss 02 04 05b4\nok 04 02\nts 08 0a 00000001 00000002\nnop 01\nws 03 03 07")
	for n := range b {
		var got, want Options
		got.parse(b[:n], uint32(len(b)))
		want.Set = OptCut
		if n >= 4 {
			want.Set |= OptMSS
			want.MSS = 1460
		}
		if n >= 6 {
			want.Set |= OptSACKPerm
		}
		if n >= 16 {
			want.Set |= OptTimestamps
			want.TSVal, want.TSEcr = 1, 2
		}
		if got != want {
			t.Errorf("cut to %d: got %+v, want %+v", n, got, want)
		}
	}
	// Behind the end of the list nothing is missing.
	var got Options
	got.parse([]byte{kindSACKPerm, 2, kindEnd}, 8)
	if got.Set != OptSACKPerm {
		t.Errorf("set %x", got.Set)
	}
	// A length that leads out of the header is damage, captured or not.
	got = Options{}
	got.parse([]byte{kindMSS, 9}, 8)
	if got.Set != OptDamaged {
		t.Errorf("set %x", got.Set)
	}
}

func TestDSACK(t *testing.T) {
	for _, c := range []struct {
		name   string
		ack    Seq
		blocks []SACKBlock
		want   bool
	}{
		{"no block", 1000, nil, false},
		{"above the acknowledgment", 1000, []SACKBlock{{1500, 2000}}, false},
		{"below the acknowledgment", 4000, []SACKBlock{{3000, 3500}}, true},
		{"partly below", 3200, []SACKBlock{{3000, 3500}}, true},
		{"inside the second block", 1000, []SACKBlock{{2000, 2500}, {1500, 3000}}, true},
		{"equal to the second block", 1000, []SACKBlock{{2000, 2500}, {2000, 2500}}, true},
		{"beside the second block", 1000, []SACKBlock{{4000, 4500}, {1500, 3000}}, false},
		{"over the second block's edge", 1000, []SACKBlock{{2500, 3500}, {1500, 3000}}, false},
		{"a later block below says nothing", 1000, []SACKBlock{{2000, 2500}, {500, 600}}, false},
		{"across the wrap, below", 100, []SACKBlock{{0xfffffff0, 50}}, true},
		{"across the wrap, above", 0xfffffff0, []SACKBlock{{10, 50}}, false},
		{"an empty block", 4000, []SACKBlock{{3000, 3000}}, false},
		{"a block that ends before it begins", 4000, []SACKBlock{{3500, 3000}}, false},
	} {
		s := Segment{Flags: ACK, Ack: c.ack}
		if c.blocks != nil {
			s.Options.Set = OptSACK
		}
		s.Options.SACKs = uint8(copy(s.Options.SACK[:], c.blocks))
		if got := s.DSACK(); got != c.want {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
		if s.Flags = SYN; s.DSACK() {
			t.Errorf("%s: a D-SACK without ACK", c.name)
		}
	}
}

func TestOptionsAllocations(t *testing.T) {
	for _, c := range optionFixtures {
		b := fixture(c.hex)
		if n := testing.AllocsPerRun(20, func() { parseOptions(b) }); n != 0 {
			t.Errorf("%s: %v allocations", c.name, n)
		}
	}
}

func FuzzOptions(f *testing.F) {
	for _, c := range optionFixtures {
		b := fixture(c.hex)
		f.Add(b, uint8(len(b)))
		f.Add(b, uint8(40))
	}
	f.Fuzz(func(t *testing.T, b []byte, length uint8) {
		if int(length) < len(b) {
			b = b[:length]
		}
		if len(b) > 40 || length > 40 {
			return // no header holds more
		}
		var o Options
		o.parse(b, uint32(length))
		if o.Set.Has(OptSACK) != (o.SACKs > 0) || o.SACKs > 4 {
			t.Errorf("%d SACK blocks, set %x", o.SACKs, o.Set)
		}
		if n := o.FastOpenLen; n > 16 || n%2 != 0 || n > 0 && !o.Set.Has(OptFastOpen) {
			t.Errorf("cookie of %d octets", n)
		}
		if o.MPTCPSubtype > 15 {
			t.Errorf("MPTCP subtype %d", o.MPTCPSubtype)
		}
		if int(length) == len(b) {
			if o.Set.Has(OptCut) {
				t.Errorf("whole options are cut")
			}
			// The library takes options only in a header, of whole words.
			if want := libraryOptions(b); len(b)%4 == 0 && o != want {
				t.Errorf("options %x\ngot  %+v\nwant %+v", b, o, want)
			}
			return
		}
		// A longer header with the same start can only have more.
		whole := parseOptions(append(b[:len(b):len(b)], make([]byte, int(length)-len(b))...))
		if lost := o.Set &^ whole.Set &^ OptCut; lost != 0 {
			t.Errorf("options %x gone in a header of %d octets from %x", lost, length, b)
		}
	})
}
