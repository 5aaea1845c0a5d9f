package pipeline

import (
	"bytes"
	"context"
	"encoding/binary"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tcplife/tcplife/finding"
	"github.com/tcplife/tcplife/report"
	"github.com/tcplife/tcplife/wire"
)

// What an inventory counts, counted here by looking at each frame alone: generated
// frames are TCP when they hold an address of the generator's.
func TestContents(t *testing.T) {
	frames := generate(4, taste{Frames: 3000, Active: 20, Hosts: 5, Noise: 100, Backwards: 50, BackwardsSpan: 3 * time.Second, Pause: 4, VLANs: 3})
	for i := range frames {
		if i%7 == 0 {
			frames[i].Link = wire.LinkType(147) // for private use; nobody decodes it
		}
	}
	want := report.Input{}
	encaps := map[string]uint64{}
	for i, f := range frames {
		want.Octets += uint64(f.Length)
		if i > 0 && f.At < frames[i-1].At {
			want.StepBack = max(want.StepBack, frames[i-1].At.Sub(f.At))
		}
		at := min(len(want.Links), 1)
		if i < 2 {
			want.Links = append(want.Links, report.LinkCount{Link: f.Link})
		}
		if f.Link == want.Links[0].Link {
			at = 0
		}
		want.Links[at].Frames++
		vlan := ""
		kind := binary.BigEndian.Uint16(f.Data[12:])
		if kind == 0x8100 {
			vlan = "vlan:" + string('0'+f.Data[15])
			kind = binary.BigEndian.Uint16(f.Data[16:])
		}
		if f.Link == wire.LinkEthernet && kind == 0x0800 {
			want.TCPOctets += uint64(f.Length)
			encaps[vlan]++
		}
	}

	var out bytes.Buffer
	cfg := config(t, play(frames), "discard", &out)
	cfg.Contents, cfg.Rules = true, []*finding.Rule{}
	s, err := Run(context.Background(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	in := s.Inputs[0]
	got := report.Input{Octets: in.Octets, TCPOctets: in.TCPOctets, StepBack: in.StepBack, Links: in.Links}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	seen := map[string]uint64{}
	for _, e := range s.Encaps {
		seen[strings.Join(e.Path, " ")] = e.Segments
	}
	if diff := cmp.Diff(encaps, seen); diff != "" || len(seen) != 4 {
		t.Error(diff)
	}
	if !slices.IsSortedFunc(s.Encaps, func(a, b report.EncapCount) int { return int(b.Segments) - int(a.Segments) }) {
		t.Errorf("not by segments: %v", s.Encaps)
	}
	if len(s.Findings()) != 0 {
		t.Error("rules were run")
	}
}
