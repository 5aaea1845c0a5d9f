package finding

import (
	"testing"

	"github.com/tcplife/tcplife/wire"
)

func TestGrades(t *testing.T) {
	found := func() []Finding {
		return []Finding{
			{Rule: Lookup("lost-final-ack"), Severity: Warning, Frames: []wire.FrameID{wire.NewFrameID(0, 3)}},
			{Rule: Lookup("half-close"), Severity: Info, Frames: []wire.FrameID{wire.NewFrameID(0, 1)}},
			{Rule: Lookup("abort"), Severity: Info, Frames: []wire.FrameID{wire.NewFrameID(0, 2)}},
		}
	}
	for _, tt := range []struct {
		name string
		g    Grades
		want string
	}{
		{"all", Grades{}, "lost-final-ack half-close abort "},
		{"only", Grades{Only: []string{"abort", "half-close"}}, "half-close abort "},
		{"ignore", Grades{Ignore: []string{"half-close"}}, "lost-final-ack abort "},
		{"graver", Grades{Severity: map[string]Severity{"abort": Error}}, "abort lost-final-ack half-close "},
		{"none", Grades{Only: []string{"port-reuse"}}, ""},
	} {
		got := ""
		for _, f := range tt.g.Apply(found()) {
			got += f.Rule.ID + " "
		}
		if got != tt.want {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
	}
}
