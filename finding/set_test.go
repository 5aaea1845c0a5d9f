package finding

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tcplife/tcplife/reassembly"
	"github.com/tcplife/tcplife/wire"
)

func TestFindingsAreInOrder(t *testing.T) {
	rule := func(id string, triggers reassembly.Seen, found ...Finding) *Rule {
		return &Rule{ID: id, Triggers: triggers, Check: func(_ *Case, report func(Finding)) {
			for _, f := range found {
				report(f)
			}
		}}
	}
	at := func(s Severity, message string, frames ...wire.FrameID) Finding {
		return Finding{Severity: s, Message: message, Frames: frames}
	}
	rs := NewSet([]*Rule{
		rule("b", reassembly.SeenSYN, at(Info, "1", 7), at(Error, "2", 9), at(Error, "3", 4, 12)),
		rule("a", reassembly.SeenSYN|reassembly.SeenData, at(Info, "4", 7), at(Warning, "5", 1), at(Info, "6", 7)),
		rule("c", reassembly.SeenData, at(Error, "7", 1)),
	})
	for _, c := range []struct {
		seen reassembly.Seen
		want string
	}{
		{reassembly.SeenSYN, "b3 b2 a5 a4 a6 b1 "},
		{reassembly.SeenData, "c7 a5 a4 a6 "},
		{reassembly.SeenSYNACK, ""},
		{reassembly.SeenSYN | reassembly.SeenData, "c7 b3 b2 a5 a4 a6 b1 "},
	} {
		got := ""
		found := rs.Check(&reassembly.Conn{Seen: c.seen})
		rs.Check(&reassembly.Conn{Seen: reassembly.SeenData}) // must leave found as it is
		for _, f := range found {
			got += f.Rule.ID + f.Message + " "
		}
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Error(diff)
		}
	}
	clean := NewSet([]*Rule{rule("none", reassembly.SeenSYN)})
	c := &reassembly.Conn{Seen: reassembly.SeenSYN}
	if n := testing.AllocsPerRun(100, func() { clean.Check(c) }); n != 0 {
		t.Errorf("%v allocations to find nothing", n)
	}
}
