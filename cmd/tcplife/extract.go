package main

import (
	"bufio"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/tcplife/tcplife/capture"
	"github.com/tcplife/tcplife/finding"
	"github.com/tcplife/tcplife/incident"
	"github.com/tcplife/tcplife/pipeline"
	"github.com/tcplife/tcplife/reassembly"
	"github.com/tcplife/tcplife/record"
	"github.com/tcplife/tcplife/report"
	"github.com/tcplife/tcplife/wire"
)

const extractExit = `EXIT STATUS, the first that applies:
  130  interrupted; everything written so far can be read
  2    the command line is wrong
  4    an input could not be opened; of the others everything is written
  5    the capture could not be written
  3    an input is damaged; everything that can be read of it is written
  0    done; also when nothing was picked, which standard error says`

// extractOptions are the flags of extract. Those of analyze that it shares are in
// analyzeOptions, of which it uses what opens and selects.
type extractOptions struct {
	analyzeOptions
	write, writeFormat string
	connections        []string
	alone, noComments  bool
	anonymize          bool
	keepLength         bool
	keyFile            string
}

func (o *extractOptions) addFlags(f *pflag.FlagSet) {
	f.StringVarP(&o.write, "write", "w", "", "write the packets to this `file`; - is standard output")
	f.StringVar(&o.writeFormat, "format", record.Formats()[0], "the `format` to write: "+strings.Join(record.Formats(), ", ")+"; pcap has no comments and one link type")
	f.StringArrayVarP(&o.connections, "connection", "c", nil, "only this `connection`: its number, frame:N (frame:FILE:N), or 'IP:PORT IP:PORT'; may be repeated")
	o.selection.addFlags(f)
	f.BoolVar(&o.alone, "alone", false, "not the earlier and later connections of the same addresses and ports, where they do not overlap")
	f.BoolVar(&o.noComments, "no-comments", false, "no comments at packets")
	f.BoolVar(&o.anonymize, "anonymize", false, "map addresses to others, keeping which have a prefix in common, and leave out payload, names and keys")
	f.BoolVar(&o.keepLength, "keep-length", false, "with --anonymize: payload becomes zeros of its length instead of being cut off, so that checksums can be checked")
	f.StringVar(&o.keyFile, "anonymize-key", "", "take the key of the mapping from this `file`, so that several captures fit each other; it is made if it is missing")
	f.StringVar(&o.filesFrom, "files-from", "", "read the names of further captures from this `file`, one a line; - is standard input")
	f.BoolVarP(&o.null, "null", "0", false, "the names of --files-from end with a zero octet, as find -print0 writes them")
	f.BoolVar(&o.mergeEncap, "merge-encap", false, "equal tuples in different VLANs or tunnels are one connection")
	f.StringArrayVar(&o.profiles, "profile", nil, "the `profile` of the hosts' timers: "+strings.Join(profileNames(), ", ")+" or a file, or NETWORK=one of these; may be repeated")
	f.StringVar(&o.screen.tz, "tz", "", "the time `zone` of --since and --until: UTC, local or a name such as Europe/Berlin")
	f.BoolVar(&o.quiet, "quiet", false, "no progress and no warnings on standard error: only what went wrong")
	f.BoolVar(&o.verbose, "verbose", false, "say on standard error how much was written, and which settings are not from the command line")
	f.IntVarP(&o.jobs, "jobs", "j", 0, "goroutines that track connections, 0 for one per core; the output is the same for any number")
	f.SortFlags = false
}

func newExtract(s *streams) *cobra.Command {
	var o extractOptions
	c := &cobra.Command{
		Use:   "extract CAPTURE... -w FILE",
		Short: "Write the packets of chosen connections, commented or anonymised",
		Long: `Writes the packets of the chosen connections to a capture of their own, in their
order and unchanged, with everything that belongs to their addresses and ports: earlier
and later connections of the same ones, ICMP errors about them, fragments. Comments
(frame.comment in Wireshark) say at which packet a state changes or a finding shows.
Without a choice, everything is written.

With --anonymize the capture can be shown to others: addresses are mapped to others so
that those with a prefix in common still have one, of the same length; payload, names,
comments, keys and cookies are left out, and checksums are right where they were. Ports,
sequence numbers, times and the names of the encapsulations stay: the report is the same
but for the addresses. Who knows the key, or what some hosts did and when, may still
recognise them.`,
		Example: `  tcplife extract capture.pcap --connection 1 -w one.pcapng
  tcplife extract capture.pcap --finding warning -w trouble.pcapng
  tcplife extract capture.pcap --filter 'close.reason == "abort"' -w - | tshark -r -
  tcplife extract capture.pcap --anonymize -w public.pcapng
  tcplife extract rotated.pcap* --port 443 --anonymize --anonymize-key key.txt -w out.pcapng`,
		Annotations:       map[string]string{exitNote: extractExit},
		Args:              captureArgs("capture files", &o.filesFrom),
		ValidArgsFunction: completeCapture,
		RunE:              func(c *cobra.Command, args []string) error { return runWithSettings(c, s, &o, args) },
	}
	o.addFlags(c.Flags())
	o.addCompletion(c)
	return c
}

func (o *extractOptions) use(own *settings, s *streams) {
	o.settings = own
	s.quiet, s.verbose = o.quiet, o.verbose
}

// validate checks what can be checked without opening anything.
func (o *extractOptions) validate() (err error) {
	switch {
	case o.write == "":
		return usage("extract: say where to write: -w FILE, or -w - for standard output")
	case !slices.Contains(record.Formats(), o.writeFormat):
		return usage("--format %q: there are %s%s", o.writeFormat, strings.Join(record.Formats(), ", "), didYouMean(o.writeFormat, record.Formats()))
	case o.jobs < 0:
		return usage("--jobs %d: give 0 or more", o.jobs)
	case o.quiet && o.verbose:
		return usage("--quiet and --verbose: give one of the two")
	case o.null && o.filesFrom == "":
		return usage("--null says how the list of --files-from is written, and there is none")
	case o.keyFile != "" && !o.anonymize:
		return usage("--anonymize-key is for --anonymize: give that too")
	case o.keepLength && !o.anonymize:
		return usage("--keep-length is for --anonymize: give that too")
	case len(o.connections) > 0 && o.selection.given():
		return usage("--connection says itself what is wanted: leave --filter and its like out")
	case o.alone && len(o.connections) == 0 && !o.selection.given():
		return usage("--alone leaves out the neighbours of what was chosen, and nothing was: give --connection or --filter")
	}
	if o.screen.zone, err = zone(o.screen.tz); err != nil {
		return err
	}
	for _, c := range o.connections {
		if _, err := parseSelector(c); err != nil {
			return err
		}
	}
	return o.selection.validate(o.screen.zone)
}

func (o *extractOptions) run(ctx context.Context, s *streams, args []string) error {
	in, err := o.expand(s, args)
	if err != nil {
		return err
	}
	if err := in.twice("extract"); err != nil {
		return err
	}
	for _, c := range in.candidates {
		if sameFile(o.write, c.Name) {
			return usage("--write %s is the capture itself, which would be overwritten: give another name", o.write)
		}
	}
	if o.write == "-" && isTerminal(s.out) {
		return usage("--write -: a capture is no text for a terminal; send it elsewhere (| tshark -r -) or give a file")
	}
	x := &extraction{extractOptions: o, s: s, in: in}
	if x.profile, x.networks, err = hosts(o.profiles, o.settings.profiles); err != nil {
		return err
	}
	if o.anonymize {
		key, err := readKey(o.keyFile)
		if err != nil {
			return err
		}
		x.anonymizer = record.NewAnonymizer(key)
		x.anonymizer.KeepLength = o.keepLength
	}
	if err := x.look(ctx); err != nil {
		return err
	}
	if err := x.save(ctx); err != nil {
		return err
	}
	switch {
	case ctx.Err() != nil:
		return &exitError{exitInterrupted, fmt.Errorf("interrupted: %d frames were written", x.written)}
	case len(in.unread) > 0:
		return &exitError{code: exitOpen}
	case x.damaged:
		return &exitError{code: exitDamaged}
	}
	return nil
}

// extraction is one run.
type extraction struct {
	*extractOptions
	s        *streams
	in       *inputs
	profile  reassembly.Profile
	networks []reassembly.Network

	anonymizer *record.Anonymizer
	// choice is of what was chosen, nil for everything; spans, for --alone, has the
	// connections by their tuple.
	choice *record.Choice
	chosen uint64 // connections
	spans  map[wire.Tuple][]span
	notes  *record.Notes
	// What the first reading saw of the inputs.
	infos   []capture.Info
	frames  []uint64
	written uint64
	damaged bool
}

// span is the time of one connection.
type span struct{ start, end wire.Time }

// look reads the inputs for what is chosen, and for what is to be said of it. Two
// readings are needed where something is chosen: the neighbours of a connection are not
// chosen themselves, and come before it.
func (x *extraction) look(ctx context.Context) error {
	source, closeSource, err := x.in.open(ctx)
	if err != nil {
		return err
	}
	defer func() { closeSource() }()
	cfg := &pipeline.Config{Name: x.in.title(), Unread: x.in.unread, Jobs: x.jobs, MergeEncap: x.mergeEncap, Profile: x.profile, Networks: x.networks,
		Format: pipeline.Discard{}, Output: io.Discard, Incidents: []*incident.Rule{}}
	if x.selection.given() || len(x.connections) > 0 {
		x.choice, x.spans = record.NewChoice(), map[wire.Tuple][]span{}
		if x.alone {
			x.choice.Within = func(t wire.Tuple, at wire.Time) bool { return x.near(t, at, at) }
		}
		match, err := x.matcher(ctx)
		if err != nil {
			return err
		}
		if cfg.Source, err = x.selection.apply(ctx, cfg, x.in, source); err != nil {
			return err
		}
		cfg.Each = func(id uint64, d *report.Digest) {
			if match(id, d) {
				x.chosen++
				x.choice.Add(d.Tuple)
				if x.alone {
					k := record.Ends(d.Tuple)
					x.spans[k] = append(x.spans[k], span{d.Start, d.End})
				}
			}
		}
	} else {
		cfg.Source = source
	}
	if x.choice == nil && x.comments() {
		x.annotate(cfg)
	}
	if !x.comments() && len(x.selection.wish.Findings)+len(x.selection.wish.Filters) == 0 {
		cfg.Rules = []*finding.Rule{}
	}
	cfg.Source = x.s.startProgress(ctx, x.in, cfg.Source)
	sum, err := pipeline.Run(ctx, cfg)
	x.s.pause()
	if err != nil {
		return err
	}
	if made := x.selection.made; made != nil {
		if e := made.Fault(); e != nil {
			x.s.say(e)
		}
	}
	x.damaged = tellDamage(x.s, source)
	for i := range sum.Inputs {
		x.infos = append(x.infos, sum.Inputs[i].Info)
		x.frames = append(x.frames, sum.Inputs[i].Frames)
	}
	if x.choice == nil {
		x.chosen = sum.Connections
		return nil
	}
	if x.choice.Len() == 0 {
		if len(x.connections) > 0 {
			return usage("--connection %s: %s has no such connection among its %d", strings.Join(x.connections, ", "), cfg.Name, sum.All())
		}
		x.s.warn("none of the %d connections is one that was asked for: %s is an empty capture", sum.All(), x.write)
		return nil
	}
	if x.comments() {
		again := &pipeline.Config{Name: cfg.Name, Jobs: x.jobs, MergeEncap: x.mergeEncap, Profile: x.profile, Networks: x.networks,
			Output: io.Discard, Incidents: []*incident.Rule{}, Select: func() report.Picker { return tuplePicker{x} }}
		x.annotate(again)
		if err := x.again(ctx, func(src capture.Source) error {
			again.Source = src
			_, err := pipeline.Run(ctx, again)
			return err
		}); err != nil {
			return err
		}
	}
	if sum.Fragments.Frames+sum.Fragments.IncompleteFrames > 0 {
		return x.again(ctx, x.choice.Fragments)
	}
	return nil
}

// comments reports whether there are to be any.
func (x *extraction) comments() bool { return !x.noComments && x.writeFormat != "pcap" }

// annotate makes a run collect what is to be said of frames.
func (x *extraction) annotate(cfg *pipeline.Config) {
	x.notes = &record.Notes{Anonymous: x.anonymize}
	cfg.Format = x.notes
}

// tuplePicker picks the connections of what was chosen, and their neighbours.
type tuplePicker struct{ x *extraction }

// Pick reads the choice alone, which does not change any more.
func (p tuplePicker) Pick(c *report.Connection) (bool, func(id, stream uint64) bool) {
	return p.x.choice.HasTuple(c.Tuple) && p.x.near(c.Tuple, c.Start, c.End), nil
}

// near reports whether what is of a chosen tuple, from one time to another, is wanted:
// with --alone it must overlap with a connection that was chosen.
func (x *extraction) near(t wire.Tuple, from, to wire.Time) bool {
	return !x.alone || slices.ContainsFunc(x.spans[record.Ends(t)], func(s span) bool { return from <= s.end && to >= s.start })
}

// matcher returns what says whether a connection is one of --connection; all are where
// there is none.
func (x *extraction) matcher(ctx context.Context) (func(id uint64, d *report.Digest) bool, error) {
	var all []*selector
	for _, text := range x.connections {
		sel, err := parseSelector(text)
		if err != nil {
			return nil, err
		}
		if sel.frame != 0 {
			x.connection = text // for what resolve says of it
			if err := sel.locate(x.in.names()); err != nil {
				return nil, err
			}
			if err := x.resolve(ctx, x.in, sel); err != nil {
				return nil, err
			}
		}
		all = append(all, sel)
	}
	return func(id uint64, d *report.Digest) bool {
		return len(all) == 0 || slices.ContainsFunc(all, func(s *selector) bool { return s.matches(id, d) })
	}, nil
}

// again reads as much of the inputs as the first reading did.
func (x *extraction) again(ctx context.Context, do func(capture.Source) error) error {
	src, err := x.in.again()
	if err != nil {
		return &exitError{exitOpen, err}
	}
	defer src.Close()
	defer context.AfterFunc(ctx, func() { src.Close() })()
	return do(newPrefix(ctx, src, x.frames))
}

// save writes what was picked.
func (x *extraction) save(ctx context.Context) error {
	to, err := x.create()
	if err != nil {
		return err
	}
	out := bufio.NewWriterSize(to, 1<<16)
	var w interface {
		record.Writer
		End() error
	}
	if x.writeFormat == "pcap" {
		w = record.NewPcap(out)
	} else {
		w = record.NewPcapng(out, record.PcapngOptions{Comment: x.origin(), Interface: record.Interfaces(x.infos, x.anonymize)})
	}
	err = x.again(ctx, func(src capture.Source) error {
		e := record.Extract{Source: src, Choice: x.choice, Notes: x.notes, Anonymizer: x.anonymizer, To: w}
		var err error
		x.written, err = e.Run()
		return err
	})
	for _, finish := range []func() error{w.End, out.Flush} {
		if err == nil {
			err = finish()
		}
	}
	if to != x.s.out {
		if e := to.(io.Closer).Close(); err == nil {
			err = e
		}
	}
	if err != nil {
		var e *exitError
		if errors.As(err, &e) {
			return err
		}
		if x.write == "-" && readerGone(err) {
			return nil
		}
		return &exitError{exitOutput, fmt.Errorf("writing %s: %w", x.write, err)}
	}
	x.tell()
	return nil
}

// tell says how it went.
func (x *extraction) tell() {
	x.s.note("%s: %d frames, chosen for %d connections", x.write, x.written, x.chosen)
	if x.notes != nil && x.notes.Left > 0 {
		x.s.warn("%d connections have no comments: the others' take all the room there is (choose fewer)", x.notes.Left)
	}
	if a := x.anonymizer; a != nil && a.Changed > 0 {
		x.s.warn("of %d frames nothing but the length was kept, since they cannot be read without what was taken out; %d of them held TCP", a.Changed, a.Lost)
	}
}

// origin is what the capture says of itself.
func (x *extraction) origin() string {
	if x.anonymize {
		return "Anonymised by tcplife " + version() + "."
	}
	names := x.in.names()
	for i, n := range names {
		names[i] = filepath.Base(n)
	}
	const most = 20
	if len(names) > most {
		names = append(names[:most:most], fmt.Sprintf("and %d more", len(names)-most))
	}
	return fmt.Sprintf("Extracted by tcplife %s from %s. Connections in comments have the numbers that 'tcplife analyze' gives them there.", version(), strings.Join(names, ", "))
}

// create opens what is written to.
func (x *extraction) create() (io.Writer, error) {
	if x.write == "-" {
		return x.s.out, nil
	}
	f, err := os.Create(x.write)
	if err != nil {
		var pe *fs.PathError
		if errors.As(err, &pe) {
			err = pe.Err
		}
		return nil, &exitError{exitOutput, fmt.Errorf("--write: create %s: %w (check the folder and its permissions)", x.write, err)}
	}
	return f, nil
}

// readKey reads a key of 64 hexadecimal digits, or makes one, which is kept if it has a
// file.
func readKey(path string) (key [record.KeySize]byte, err error) {
	if path != "" {
		text, err := readText(path, mostText)
		if err == nil {
			if n, e := hex.Decode(key[:], []byte(strings.TrimSpace(string(text[:min(len(text), 4*record.KeySize)])))); e != nil || n != len(key) {
				return key, usage("--anonymize-key %s: it does not hold a key: %d hexadecimal digits (name a file that does not exist, and a key is made)", path, 2*record.KeySize)
			}
			return key, nil
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return key, usage("--anonymize-key: %w", err)
		}
	}
	rand.Read(key[:]) // never fails (crypto/rand)
	if path == "" {
		return key, nil
	}
	// Whoever has the key can turn the mapping round.
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err == nil {
		_, err = fmt.Fprintln(f, hex.EncodeToString(key[:]))
		if e := f.Close(); err == nil {
			err = e
		}
	}
	if err != nil {
		return key, usage("--anonymize-key: %w (check the folder and its permissions)", err)
	}
	return key, nil
}
