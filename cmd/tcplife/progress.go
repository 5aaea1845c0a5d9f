package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"

	"github.com/tcplife/tcplife/capture"
	"github.com/tcplife/tcplife/report"
	"github.com/tcplife/tcplife/wire"
)

// progressAfter is how long work takes before anybody wants to know how far it is.
const progressAfter = time.Second

// progress is a line on standard error that says how far the reading is. It is there
// when standard error is a terminal, and gone before anything else is written.
type progress struct {
	frames, octets atomic.Uint64
	over           atomic.Bool // everything was read
	total          int64       // octets of all inputs; 0 where that says nothing
	began          time.Time
	bars           *mpb.Progress
	bar            *mpb.Bar
	delay          chan struct{}
	end            func()
}

// startProgress draws how far the reading of source is, and returns the source to read
// from. Without a terminal that is the source itself.
func (s *streams) startProgress(ctx context.Context, in *inputs, source capture.Source) capture.Source {
	if s.quiet || s.terminal == nil || os.Getenv("TERM") == "dumb" || !isTerminal(s.terminal) {
		return source
	}
	p := newProgress(s.terminal, spoken(in.title()), totalSize(in, source), progressAfter)
	s.progress = p
	context.AfterFunc(ctx, func() { p.over.Store(true) })
	return &watched{source, p}
}

// spoken is how a name reads in a sentence.
func spoken(name string) string {
	if name == "-" {
		return "standard input"
	}
	return name
}

// pause takes the line away for good: something is to be written.
func (s *streams) pause() {
	if s.progress != nil {
		s.progress.end()
		s.progress = nil
	}
}

func newProgress(to *os.File, name string, total int64, after time.Duration) *progress {
	p := &progress{total: total, began: time.Now(), delay: make(chan struct{})}
	timer := time.AfterFunc(after, func() { close(p.delay) })
	p.bars = mpb.New(mpb.WithOutput(to), mpb.WithRefreshRate(200*time.Millisecond), mpb.WithRenderDelay(p.delay), mpb.WithAutoRefresh())
	style := mpb.BarStyle().Lbound("[").Filler("=").Tip(">").Padding(" ").Rbound("]")
	// An interrupt leaves ^C in the line, and the cursor behind it.
	head := decor.Name("\rreading "+report.ShortName(name)+" ", decor.WCSyncWidthR)
	says := decor.Any(func(decor.Statistics) string { return p.words(time.Since(p.began)) })
	if total > 0 {
		p.bar = p.bars.New(total, style, mpb.PrependDecorators(head), mpb.AppendDecorators(says), mpb.BarRemoveOnComplete())
	} else {
		p.bar = p.bars.New(0, mpb.NopStyle(), mpb.PrependDecorators(head, says), mpb.BarRemoveOnComplete())
	}
	tick := time.NewTicker(100 * time.Millisecond)
	stop := make(chan struct{})
	go func() {
		for {
			select {
			case <-tick.C:
				p.bar.SetCurrent(min(int64(p.octets.Load()), max(p.total-1, 0)))
			case <-stop:
				return
			}
		}
	}()
	p.end = sync.OnceFunc(func() {
		timer.Stop()
		tick.Stop()
		close(stop)
		p.bar.Abort(true)
		p.bars.Wait()
		select {
		case <-p.delay: // it was drawn
			fmt.Fprint(to, "\r\x1b[J")
		default:
		}
	})
	return p
}

// words says how much was read, how fast, and how long the rest will take.
func (p *progress) words(took time.Duration) string {
	frames, octets := p.frames.Load(), p.octets.Load()
	rate := float64(frames) / max(took.Seconds(), 0.001)
	s := fmt.Sprintf(" %s frames, %s/s", thousands(frames), thousands(uint64(rate)))
	if p.over.Load() {
		return " " + thousands(frames) + " frames read, finishing"
	}
	if p.total > 0 && octets > 0 {
		share := min(float64(octets)/float64(p.total), 1)
		left := time.Duration(float64(took) * (1 - share) / share)
		s = fmt.Sprintf(" %3.0f%%%s, %s left", share*100, s, left.Round(time.Second))
	}
	return s
}

func thousands(n uint64) string {
	s := strconv.FormatUint(n, 10)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// totalSize is the number of octets that the inputs' frames come to, if that can be
// known: not of a pipe, nor of what is compressed.
func totalSize(in *inputs, source capture.Source) (total int64) {
	for _, info := range capture.Infos(source) {
		if len(info.Packing) > 0 {
			return 0
		}
	}
	for _, name := range in.names() {
		st, err := os.Stat(name)
		if err != nil || !st.Mode().IsRegular() || packedName(name) {
			return 0
		}
		total += st.Size()
	}
	return total
}

// packedName guesses by its name that a file is compressed: those of a set are opened
// when their time comes, so their content is not known yet.
func packedName(name string) bool {
	for _, end := range []string{".gz", ".zst", ".lz4", ".xz", ".bz2"} {
		if strings.HasSuffix(name, end) {
			return true
		}
	}
	return false
}

// watched counts the frames of a source.
type watched struct {
	capture.Source
	p *progress
}

// recordHead is about what a container adds to a frame: 16 octets in pcap, some 32 in
// pcapng.
const recordHead = 16

func (w *watched) Next(f *wire.Frame) error {
	err := w.Source.Next(f)
	var damage *capture.DamageError
	switch {
	case err == nil:
		w.p.frames.Add(1)
		w.p.octets.Add(uint64(len(f.Data)) + recordHead)
	case !errors.As(err, &damage): // the end, also by an interruption
		w.p.over.Store(true)
	}
	return err
}

// Infos keeps the inputs apart for those who ask.
func (w *watched) Infos() []capture.Info { return capture.Infos(w.Source) }
