package capture

import (
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tcplife/tcplife/wire"
)

// What the draft has beside packets, one by one in either byte order: the frames
// around it are read as if it were not there, or as it says. Wireshark's library
// reads the same.
func TestPcapngDraft(t *testing.T) {
	const at = now*1e6 + 7
	plain := kept{now*1e9 + 7000, 1, 60, string(octets(60))}
	later := func(d wire.Time) kept { k := plain; k.At += d; return k }
	for name, o := range orders {
		type section struct {
			name string
			// write adds to a section header; the frames come of it.
			write  func(w *ng)
			want   []kept
			passed map[uint32]uint64
		}
		for _, c := range []section{
			{"name resolution block", func(w *ng) {
				w.idb(1, 0).block(blockNames, append(w.opt(1, append([]byte{10, 0, 0, 1}, "host\x00"...)), 0, 0, 0, 0)).epb(0, at, octets(60))
			}, []kept{plain}, map[uint32]uint64{blockNames: 1}},
			{"decryption secrets block", func(w *ng) {
				w.block(blockSecrets, append(w.AppendUint32(w.AppendUint32(nil, 0x544c534b), 8), "CLIENT_R"...)).idb(1, 0).epb(0, at, octets(60))
			}, []kept{plain}, map[uint32]uint64{blockSecrets: 1}},
			{"journal export block", func(w *ng) {
				w.idb(1, 0).block(blockJournal, []byte("__REALTIME_TIMESTAMP=1700000000000000\nMESSAGE=x\n")).epb(0, at, octets(60))
			}, []kept{plain}, map[uint32]uint64{blockJournal: 1}},
			{"unknown block", func(w *ng) { w.idb(1, 0).block(0x0badcafe, octets(400)).epb(0, at, octets(60)) },
				[]kept{plain}, map[uint32]uint64{0x0badcafe: 1}},
			{"block of a local type", func(w *ng) { w.idb(1, 0).block(0x80000001, nil).epb(0, at, octets(60)) },
				[]kept{plain}, map[uint32]uint64{0x80000001: 1}},
			{"if_tsresol 0", func(w *ng) { w.idb(1, 0, w.opt(9, []byte{0})).epb(0, now, octets(60)) }, []kept{later(-7000)}, nil},
			{"if_tsresol 9", func(w *ng) { w.idb(1, 0, w.opt(9, []byte{9})).epb(0, now*1e9+7000, octets(60)) }, []kept{plain}, nil},
			{"if_tsresol 2^-20", func(w *ng) { w.idb(1, 0, w.opt(9, []byte{0x80 | 20})).epb(0, now<<20|1<<19, octets(60)) }, []kept{later(5e8 - 7000)}, nil},
			{"if_tsoffset", func(w *ng) { w.idb(1, 0, w.opt(14, w.AppendUint64(nil, 3600))).epb(0, at, octets(60)) }, []kept{later(3600e9)}, nil},
			{"negative if_tsoffset", func(w *ng) { w.idb(1, 0, w.opt(14, w.AppendUint64(nil, math.MaxUint64-3599))).epb(0, at, octets(60)) }, []kept{later(-3600e9)}, nil},
			{"snapshot length 0", func(w *ng) { w.idb(1, 0).spb(60, octets(60)).epb(0, at, octets(60)) }, []kept{{0, 1, 60, plain.Data}, plain}, nil},
			{"simple packets behind a snapshot length", func(w *ng) { w.idb(1, 40).epb(0, at, octets(60)).spb(100, octets(40)) },
				[]kept{plain, {plain.At, 1, 100, string(octets(40))}}, nil},
			{"if_fcslen and further options", func(w *ng) {
				w.idb(1, 0, w.opt(13, []byte{4}), w.opt(11, []byte("\x00tcp")), w.opt(12, []byte("Linux")), w.opt(8, w.AppendUint64(nil, 1e9)), w.opt(2988, append(w.AppendUint32(nil, 1), 'x')), w.opt(0, nil)).epb(0, at, octets(60))
			}, []kept{plain}, nil},
			{"options of packets", func(w *ng) {
				w.idb(1, 0).block(blockEnhanced, w.epbBody(0, at, 60, 60, octets(60), w.opt(1, []byte("comment")), w.opt(2, w.AppendUint32(nil, 1)), w.opt(3, octets(5)), w.opt(5, octets(8)), w.opt(6, octets(4)), w.opt(0, nil)))
			}, []kept{plain}, nil},
			{"obsolete packet block", func(w *ng) { w.idb(1, 0).opb(0, at, octets(60)) }, []kept{plain}, nil},
			{"a second section", func(w *ng) { w.idb(1, 0).epb(0, at, octets(60)).shb(1, 0).idb(1, 0).epb(0, at, octets(60)) }, []kept{plain, plain}, nil},
			{"an interface described late", func(w *ng) {
				w.idb(1, 0).epb(0, at, octets(60)).idb(1, 0, w.opt(9, []byte{9})).epb(1, now*1e9+7000, octets(60))
			}, []kept{plain, plain}, nil},
			{"an empty section", func(w *ng) { w.shb(1, 0).idb(1, 0).epb(0, at, octets(60)) }, []kept{plain}, nil},
			// Wireshark 4.0 gives custom blocks frame numbers; its editcap drops them.
			{"custom blocks", func(w *ng) {
				w.idb(1, 0).block(blockCustom, append(w.AppendUint32(nil, 32473), "any"...)).block(blockCustomNoCopy, w.AppendUint32(nil, 32473)).epb(0, at, octets(60))
			}, []kept{plain}, map[uint32]uint64{blockCustom: 1, blockCustomNoCopy: 1}},
		} {
			w := newNG(o)
			c.write(w)
			frames, damage, info := read(t, w.Bytes())
			if d := cmp.Diff(c.want, frames); d != "" || damage != nil {
				t.Errorf("%s, %s: %v %s", name, c.name, damage, d)
			}
			if d := cmp.Diff(c.passed, info.Passed); d != "" {
				t.Errorf("%s, %s: passed %s", name, c.name, d)
			}
			if strings.Contains(c.name, "custom") || strings.Contains(c.name, "simple") || c.name == "snapshot length 0" || c.name == "journal export block" ||
				c.name == "decryption secrets block" || c.name == "an empty section" {
				continue // what editcap cannot write as pcap, or writes otherwise
			}
			asEditcap(t, name+", "+c.name, w.Bytes(), frames)
		}
	}
}

// asEditcap compares frames with what editcap makes of b.
func asEditcap(t *testing.T, name string, b []byte, frames []kept) {
	t.Helper()
	if _, err := exec.LookPath("editcap"); err != nil {
		return // TestAsWireshark says so
	}
	dir := t.TempDir()
	from, to := filepath.Join(dir, "from"), filepath.Join(dir, "to")
	if err := os.WriteFile(from, b, 0o600); err != nil {
		t.Fatal(err)
	}
	if text, err := exec.Command("editcap", "-F", "nsecpcap", from, to).CombinedOutput(); err != nil {
		t.Errorf("editcap: %s: %v %s", name, err, text)
		return
	}
	want, _ := drain(t, mustOpen(t)(Open(to)))
	if d := cmp.Diff(want, frames); d != "" {
		t.Errorf("%s: differs from Wireshark: %s", name, d)
	}
}

// What was lost is told by statistics, or else by the packets.
func TestPcapngLost(t *testing.T) {
	for name, o := range orders {
		lost := func(w *ng, n uint64) {
			w.block(blockEnhanced, w.epbBody(0, now*1e6, 60, 60, octets(60), w.opt(1, []byte("c")), w.opt(4, w.AppendUint64(nil, n)), w.opt(0, nil)))
		}
		for _, c := range []struct {
			what              string
			write             func(w *ng)
			received, dropped uint64
			counted           bool
		}{
			{"nothing", func(w *ng) { w.epb(0, now*1e6, octets(60)) }, 0, 0, false},
			{"zero", func(w *ng) { lost(w, 0) }, 0, 0, false},
			{"epb_dropcount", func(w *ng) { lost(w, 3); lost(w, 4); w.spb(60, octets(60)) }, 3 + 7, 7, true},
			{"obsolete packet block", func(w *ng) { w.opb(0, now*1e6, octets(60)) }, 1 + 7, 7, true},
			{"statistics", func(w *ng) {
				lost(w, 3)
				w.isb(0, w.opt(4, w.AppendUint64(nil, 100)), w.opt(5, w.AppendUint64(nil, 5)), w.opt(6, w.AppendUint64(nil, 90)), w.opt(7, w.AppendUint64(nil, 6)), w.opt(8, w.AppendUint64(nil, 80)))
			}, 100, 11, true},
			{"the section's own", func(w *ng) { lost(w, 3); w.shb(1, 0).idb(1, 0).epb(0, now*1e6, octets(60)) }, 1 + 3, 3, true},
		} {
			w := newNG(o).idb(1, 0)
			c.write(w)
			_, damage, info := read(t, w.Bytes())
			if i := info.Interfaces[0]; damage != nil || i.Received != c.received || i.Dropped != c.dropped || i.Counted != c.counted {
				t.Errorf("%s, %s: %+v, damage %v", name, c.what, i, damage)
			}
		}
	}
}
