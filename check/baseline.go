package check

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/tcplife/tcplife/census"
	"github.com/tcplife/tcplife/reassembly"
	"github.com/tcplife/tcplife/report"
	"github.com/tcplife/tcplife/wire"
)

// Baseline is what captures said when somebody found that right. It names hosts by the
// order in which they appear and has neither sequence numbers nor instants, so the same
// traffic between other addresses, in another container or in a VLAN is the same.
type Baseline struct {
	Type   string `json:"type"`
	Schema int    `json:"schema"`
	// Tolerance says which times are the same.
	Tolerance Tolerance `json:"tolerance"`
	Captures  []*Lives  `json:"captures"`
	file      string    // where it was read from
}

// Lives are the connections of one capture, as a baseline keeps them.
type Lives struct {
	Capture     string           `json:"capture"`
	Connections []rememberedLife `json:"connections"`
	// Incidents are what many connections show together.
	Incidents []string `json:"incidents,omitempty"`
}

// rememberedLife is one connection. Its times are seconds.
type rememberedLife struct {
	Client string `json:"client"`
	Server string `json:"server"`
	// Life counts the connections of the same addresses and ports, from 1.
	Life   int    `json:"life"`
	RoleBy string `json:"role_by"`
	// Lacks: the capture lacks segments of it that were acknowledged.
	Lacks     bool               `json:"lacks_segments,omitempty"`
	Outcome   string             `json:"outcome"`
	Handshake string             `json:"handshake"`
	Close     string             `json:"close"`
	Closer    string             `json:"closer,omitempty"`
	States    sideWords          `json:"states"`
	Findings  []string           `json:"findings,omitempty"`
	Times     map[string]float64 `json:"times,omitempty"`

	id    uint64
	shown Evidence // of the capture at hand; a file has none
	// opening are the frames of the handshake.
	opening []wire.FrameID
}

// sideWords holds the states of both sides, first to last.
type sideWords struct {
	Client string `json:"client"`
	Server string `json:"server"`
}

func (w *sideWords) of(side int) *string {
	if side == int(reassembly.Client) {
		return &w.Client
	}
	return &w.Server
}

// baselineSchema is the version of the file.
const baselineSchema = 1

// MaxRemembered is how many connections a baseline holds: a file with more is nothing
// that a reviewer reads, and populations are compared with diff.
const MaxRemembered = 10_000

// Tolerance says how far a time may be off: by a share of what it was, and by a span on
// top of that.
type Tolerance struct {
	Share float64
	Span  time.Duration
}

// DefaultTolerance is wide enough for the same test on another machine, where a
// scheduler may add some hundredths of a second, and narrow enough to see a timer: the
// shortest of a TCP is 200 ms.
var DefaultTolerance = Tolerance{0.5, 100 * time.Millisecond}

// String returns the tolerance as ParseTolerance reads it.
func (t Tolerance) String() string {
	return strconv.FormatFloat(t.Share*100, 'f', -1, 64) + "%+" + t.Span.String()
}

// MarshalText implements encoding.TextMarshaler.
func (t Tolerance) MarshalText() ([]byte, error) { return []byte(t.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (t *Tolerance) UnmarshalText(b []byte) (err error) {
	*t, err = ParseTolerance(string(b))
	return err
}

// ParseTolerance reads "50%+100ms", or one of the two.
func ParseTolerance(s string) (t Tolerance, err error) {
	for part := range strings.SplitSeq(s, "+") {
		part = strings.TrimSpace(part)
		if p, ok := strings.CutSuffix(part, "%"); ok {
			f, err := strconv.ParseFloat(p, 64)
			if err != nil || math.IsNaN(f) || f < 0 || f > 10_000 {
				return t, fmt.Errorf("%q is no share such as 50%%", part)
			}
			t.Share = f / 100
			continue
		}
		d, err := time.ParseDuration(part)
		if err != nil || d < 0 {
			return t, fmt.Errorf("%q is neither a share (50%%) nor a time (100ms); both are joined as in 50%%+100ms", part)
		}
		t.Span = d
	}
	return t, nil
}

// same reports whether a time is within the tolerance of what it was.
func (t Tolerance) same(was, is float64) bool {
	return math.Abs(is-was) <= was*t.Share+t.Span.Seconds()
}

// Remember has the run keep every connection, for Remembered.
func (r *Run) Remember() {
	r.memory = &memory{}
	r.judges = append(r.judges, r.memory)
}

// Remembered returns what was kept, under the capture's name. The error says that it was
// too much.
func (r *Run) Remembered(name string) (*Lives, error) {
	m := r.memory
	if m.left > 0 {
		return nil, fmt.Errorf("%s has %d connections, and a baseline holds %d: compare populations with diff, or check an extract", name, m.left+MaxRemembered, MaxRemembered)
	}
	slices.SortFunc(m.lives, func(a, b rememberedLife) int { return cmp.Compare(a.id, b.id) })
	l := &Lives{Capture: filepath.Base(filepath.ToSlash(name)), Connections: m.lives, Incidents: m.incidents}
	nameLives(l.Connections)
	return l, nil
}

// memory keeps lives in the order in which they come; names are given at the end, in
// that of their numbers.
type memory struct {
	lives     []rememberedLife
	incidents []string
	left      uint64
}

func (m *memory) see(l *life) {
	if len(m.lives) == MaxRemembered {
		m.left++
		return
	}
	x := rememberedLife{id: l.id, RoleBy: l.RoleBy.String(), Outcome: l.Outcome.String(), Handshake: l.Handshake.String(), Close: l.Reason.String(), shown: l.closed(), opening: l.opening}
	if l.Trace.Lost != 0 {
		x.Lacks = true
		x.shown.Frames = append(x.shown.Frames, l.Trace.Lost)
		slices.Sort(x.shown.Frames)
		x.shown.Frames = slices.Compact(x.shown.Frames)
	}
	if l.HasCloser {
		x.Closer = l.Closer.String() + ", " + strings.ToUpper(l.By)
	}
	times := map[string]time.Duration{"handshake": l.rtt[census.RTTWhole]}
	for side := range l.stays {
		var states []string
		for _, s := range l.stays[side] {
			states = append(states, s.state.String())
			// The handshake's own time says it of the states before.
			if s.whole && s.state != reassembly.SynSent && s.state != reassembly.SynReceived {
				times[sides[side]+" "+s.state.String()] += s.dwell
			}
		}
		*x.States.of(side) = strings.Join(states, " ")
	}
	for name, d := range times {
		if d > 0 {
			if x.Times == nil {
				x.Times = map[string]float64{}
			}
			// Microseconds: finer than any tolerance, and short in a file.
			x.Times[name] = d.Round(time.Microsecond).Seconds()
		}
	}
	for i := range l.Findings {
		f := &l.Findings[i]
		x.Findings = append(x.Findings, fmt.Sprintf("%s (%s, %s, %s)", f.Rule.ID, f.Severity, f.Confidence, f.Endpoint))
	}
	slices.Sort(x.Findings)
	m.lives = append(m.lives, x)
}

func (m *memory) verdicts(s *report.Summary) []Verdict {
	m.incidents = nil
	for i := range s.Incidents {
		in := &s.Incidents[i]
		text := fmt.Sprintf("%s (%s, %s)", in.Rule.ID, in.Severity, in.Confidence)
		if in.Scope.Port != 0 {
			text += fmt.Sprintf(" at port %d", in.Scope.Port)
		}
		m.incidents = append(m.incidents, text)
	}
	slices.Sort(m.incidents)
	return nil
}

// nameLives gives hosts their names, in the order of the connections.
func nameLives(lives []rememberedLife) {
	clients, servers, tuples := map[string]int{}, map[string]int{}, map[string]int{}
	number := func(of map[string]int, host string) int {
		if of[host] == 0 {
			of[host] = len(of) + 1
		}
		return of[host]
	}
	for i := range lives {
		x := &lives[i]
		c, s := x.shown.Client, x.shown.Server
		x.Client = fmt.Sprintf("client %d", number(clients, c.Addr().String()))
		x.Server = fmt.Sprintf("server %d:%d", number(servers, s.Addr().String()), s.Port())
		tuple := c.String() + " " + s.String()
		tuples[tuple]++
		x.Life = tuples[tuple]
	}
}

// title names a life.
func (x *rememberedLife) title() string {
	text := x.Client + " > " + x.Server
	if x.Life > 1 {
		text += fmt.Sprintf(", life %d of its ports", x.Life)
	}
	return text
}

// brief is a life in a line.
func (x *rememberedLife) brief() string {
	text := fmt.Sprintf("handshake %s, %s", x.Handshake, x.Close)
	if x.Closer != "" {
		text += ", closed first by the " + x.Closer
	}
	return text
}

// NewBaseline returns a baseline of nothing.
func NewBaseline(t Tolerance) *Baseline {
	return &Baseline{Type: "baseline", Schema: baselineSchema, Tolerance: t, Captures: []*Lives{}}
}

// Write writes the file: the same captures give the same octets.
func (b *Baseline) Write(w io.Writer) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	e.SetIndent("", " ")
	return e.Encode(b)
}

// maxBaseline is how long a baseline may be, in octets.
const maxBaseline = 64 << 20

// LoadBaseline reads a baseline. An error is a *Fault.
func LoadBaseline(file string, text []byte) (*Baseline, error) {
	fail := func(offset int64, format string, args ...any) error {
		before := text[:min(max(offset, 0), int64(len(text)))]
		line := bytes.Count(before, []byte("\n")) + 1
		return &Fault{Position{file, line, len(before) - bytes.LastIndexByte(before, '\n')}, fmt.Sprintf(format, args...)}
	}
	if len(text) > maxBaseline {
		return nil, fail(0, "it has %d octets, and baselines have %d at most: is it a capture?", len(text), maxBaseline)
	}
	b := &Baseline{file: file}
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	const remedy = "; write it anew with --write-baseline"
	err := d.Decode(b)
	var syntax *json.SyntaxError
	var wrong *json.UnmarshalTypeError
	switch {
	case errors.As(err, &syntax):
		return nil, fail(syntax.Offset-1, "this is no JSON: %v%s", syntax, remedy)
	case errors.As(err, &wrong):
		return nil, fail(wrong.Offset-1, "%s has another type here, a JSON %s%s", cmp.Or(wrong.Field, "the whole"), wrong.Value, remedy)
	case errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF):
		return nil, fail(int64(len(text)), "it ends too soon%s", remedy)
	case err != nil:
		return nil, fail(d.InputOffset(), "%v%s", err, remedy)
	case b.Type != "baseline":
		return nil, fail(0, "it is no baseline: its type is %q%s", b.Type, remedy)
	case b.Schema != baselineSchema:
		return nil, fail(0, "it is of schema %d, and this program reads %d%s", b.Schema, baselineSchema, remedy)
	}
	for _, l := range b.Captures {
		if l == nil {
			return nil, fail(d.InputOffset(), "a capture in it is null%s", remedy)
		}
	}
	if d.More() {
		return nil, fail(d.InputOffset(), "something stands behind its end%s", remedy)
	}
	return b, nil
}

// Of returns what the baseline has of a capture: of one that it is the only one of,
// under any name. nil if there is nothing.
func (b *Baseline) Of(name string, only bool) *Lives {
	if only && len(b.Captures) == 1 {
		return b.Captures[0]
	}
	name = filepath.Base(filepath.ToSlash(name))
	for _, l := range b.Captures {
		if l.Capture == name {
			return l
		}
	}
	return nil
}

// Missing returns the names of the captures that are not among those named.
func (b *Baseline) Missing(read []string) (names []string) {
	for _, l := range b.Captures {
		if !slices.ContainsFunc(read, func(n string) bool { return filepath.Base(filepath.ToSlash(n)) == l.Capture }) {
			names = append(names, l.Capture)
		}
	}
	return names
}
