package check

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// maxAligned bounds the table by which equal connections are found again, in entries:
// 16 MB. Beyond, connections are paired in their order.
const maxAligned = 4 << 20

// maxDifferences is how many changed connections are told one by one.
const maxDifferences = 50

// Compare says what is otherwise than in a baseline: a verdict for each connection that
// changed, came or went, or one that says that all is as before.
func (b *Baseline) Compare(was, is *Lives, t Tolerance) (all []Verdict) {
	at := Position{File: b.file}
	what := "baseline " + was.Capture
	differ := func(title string, changes []Change, shown *rememberedLife) {
		v := Verdict{What: what + ": " + title, At: at, Kind: "baseline", Failed: true, Changes: changes}
		if shown != nil {
			e := shown.shown
			if len(shown.opening) > 0 && len(changes) > 0 && strings.HasSuffix(changes[0].What, "handshake") {
				e.Frames = shown.opening
			}
			v.Evidence = []Evidence{e}
		}
		all = append(all, v)
	}
	for _, p := range pairs(was.Connections, is.Connections) {
		switch {
		case p.was == nil:
			differ(fmt.Sprintf("new connection %d, %s", p.is.id, p.is.title()), []Change{{"connection", "", p.is.brief()}}, p.is)
		case p.is == nil:
			differ(fmt.Sprintf("its connection %d, %s", p.at, p.was.title()), []Change{{"connection", p.was.brief(), ""}}, nil)
		default:
			if changes := p.was.changes(p.is, t); len(changes) > 0 {
				differ(fmt.Sprintf("connection %d, %s", p.is.id, p.is.title()), changes, p.is)
			}
		}
	}
	if changes := listChanges("incident", was.Incidents, is.Incidents); len(changes) > 0 {
		differ("what many connections show", changes, nil)
	}
	if n := len(all); n > maxDifferences {
		all = all[:maxDifferences]
		all = append(all, Verdict{What: what + ": more", At: at, Kind: "baseline", Failed: true, Expected: "every connection as before",
			Found: fmt.Sprintf("%d more changes", n-maxDifferences)})
	}
	if len(all) == 0 {
		all = []Verdict{{What: what, At: at, Kind: "baseline", Expected: "every connection as before, times within " + t.String(),
			Found: plural(uint64(len(is.Connections)), "connection", "connections") + " as before"}}
	}
	return all
}

// changes are what is otherwise with a connection, causes before their consequences.
func (x *rememberedLife) changes(y *rememberedLife, t Tolerance) (all []Change) {
	add := func(what, old, new string) {
		if old != new {
			all = append(all, Change{what, old, new})
		}
	}
	add("life of its ports", fmt.Sprint(x.Life), fmt.Sprint(y.Life))
	add("roles by", x.RoleBy, y.RoleBy)
	add("captured", x.captured(), y.captured())
	add("handshake", x.Handshake, y.Handshake)
	all = append(all, timeChanges(x.Times, y.Times, t)...)
	add("outcome", x.Outcome, y.Outcome)
	add("close", x.Close, y.Close)
	add("closed first by", x.Closer, y.Closer)
	add("client states", x.States.Client, y.States.Client)
	add("server states", x.States.Server, y.States.Server)
	return append(all, listChanges("finding", x.Findings, y.Findings)...)
}

func (x *rememberedLife) captured() string {
	if x.Lacks {
		return "without segments that were acknowledged"
	}
	return "whole"
}

// timeChanges are those of times that both have: where one lacks it, its states changed.
func timeChanges(was, is map[string]float64, t Tolerance) (all []Change) {
	for _, name := range slices.Sorted(maps.Keys(was)) {
		new, ok := is[name]
		if old := was[name]; ok && !t.same(old, new) {
			all = append(all, Change{"time of " + name, span(seconds(old)), span(seconds(new))})
		}
	}
	return all
}

func seconds(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }

// listChanges are what one of two sorted lists has and the other lacks.
func listChanges(what string, was, is []string) (all []Change) {
	i, k := 0, 0
	for i < len(was) || k < len(is) {
		switch {
		case k == len(is) || i < len(was) && was[i] < is[k]:
			all = append(all, Change{what, was[i], ""})
			i++
		case i == len(was) || is[k] < was[i]:
			all = append(all, Change{what, "", is[k]})
			k++
		default:
			i, k = i+1, k+1
		}
	}
	return all
}

// pair is a connection before and now; one of the two may be missing.
// at is the number of the former in the baseline, from 1.
type pair struct {
	was, is *rememberedLife
	at      int
}

// signature is what makes two connections the same life, as far as words go.
func (x *rememberedLife) signature() string {
	return strings.Join(append([]string{x.port(), x.Handshake, x.Close, x.Closer, x.States.Client, x.States.Server}, x.Findings...), "|")
}

func (x *rememberedLife) port() string {
	_, port, _ := strings.Cut(x.Server, ":")
	return port
}

// pairs finds for each connection the one that it was. Those that live the same life
// are found first, in their order, so that one more or less does not shift the rest;
// between them, those to the same port belong together in their order.
func pairs(was, is []rememberedLife) (all []pair) {
	i, k := 0, 0
	for _, m := range matches(was, is) {
		all = append(all, between(was[i:m[0]], is[k:m[1]])...)
		all = append(all, pair{was: &was[m[0]], is: &is[m[1]]})
		i, k = m[0]+1, m[1]+1
	}
	all = append(all, between(was[i:], is[k:])...)
	n := 0
	for i := range all {
		if all[i].was != nil {
			n++
			all[i].at = n
		}
	}
	return all
}

// matches returns the places of a longest common subsequence of both.
func matches(was, is []rememberedLife) (all [][2]int) {
	numbers := map[string]int32{}
	number := func(lives []rememberedLife) []int32 {
		list := make([]int32, len(lives))
		for i := range lives {
			s := lives[i].signature()
			if numbers[s] == 0 {
				numbers[s] = int32(len(numbers) + 1)
			}
			list[i] = numbers[s]
		}
		return list
	}
	a, b := number(was), number(is)
	from := 0
	for from < len(a) && from < len(b) && a[from] == b[from] {
		all = append(all, [2]int{from, from})
		from++
	}
	endA, endB := len(a), len(b)
	for endA > from && endB > from && a[endA-1] == b[endB-1] {
		endA, endB = endA-1, endB-1
	}
	all = append(all, common(a[from:endA], b[from:endB], from)...)
	for i := range len(a) - endA {
		all = append(all, [2]int{endA + i, endB + i})
	}
	return all
}

// common is the part of matches where both differ at their ends.
func common(a, b []int32, from int) (all [][2]int) {
	width := len(b) + 1
	if len(a) == 0 || len(b) == 0 || (len(a)+1)*width > maxAligned {
		return nil
	}
	// longest[i][k] is the length for a[i:] and b[k:].
	longest := make([]int32, (len(a)+1)*width)
	for i := len(a) - 1; i >= 0; i-- {
		for k := len(b) - 1; k >= 0; k-- {
			if a[i] == b[k] {
				longest[i*width+k] = longest[(i+1)*width+k+1] + 1
			} else {
				longest[i*width+k] = max(longest[(i+1)*width+k], longest[i*width+k+1])
			}
		}
	}
	for i, k := 0, 0; i < len(a) && k < len(b); {
		switch {
		case a[i] == b[k]:
			all = append(all, [2]int{from + i, from + k})
			i, k = i+1, k+1
		case longest[(i+1)*width+k] >= longest[i*width+k+1]:
			i++
		default:
			k++
		}
	}
	return all
}

// between pairs connections of which none lives as before: those to the same port, in
// their order.
func between(was, is []rememberedLife) (all []pair) {
	taken := make([]bool, len(is))
	for i := range was {
		p := pair{was: &was[i]}
		for k := range is {
			if !taken[k] && is[k].port() == was[i].port() {
				taken[k], p.is = true, &is[k]
				break
			}
		}
		all = append(all, p)
	}
	for k := range is {
		if !taken[k] {
			all = append(all, pair{is: &is[k]})
		}
	}
	return all
}
