package main

import (
	"fmt"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/tcplife/tcplife/capture"
	"github.com/tcplife/tcplife/capture/bpf"
	"github.com/tcplife/tcplife/confine"
)

// interfaceOptions are the flags of live that say how an interface is read, and as whom.
type interfaceOptions struct {
	packets      packetFilterOptions
	snapLen      int
	ring         int
	promiscuous  bool
	hardwareTime bool
	direction    string
	user         string
}

// directions are the values of --direction.
var directions = map[string]capture.Direction{"both": capture.InOut, "in": capture.In, "out": capture.Out}

func (o *interfaceOptions) addFlags(f *pflag.FlagSet) {
	o.packets.addFlags(f)
	f.IntVar(&o.snapLen, "snaplen", capture.DefaultSnapLen, "keep so many octets of a frame: headers are all that is looked at")
	f.IntVar(&o.ring, "ring", capture.DefaultRing>>20, "how many MiB of frames the kernel may hold for tcplife; what does not fit is dropped, and counted")
	f.BoolVar(&o.promiscuous, "promiscuous", false, "ask the interface also for frames that are not meant for this host")
	f.BoolVar(&o.hardwareTime, "hardware-time", false, "use the time stamps of the interface's hardware")
	f.StringVar(&o.direction, "direction", "both", "only frames that this host gets or sends: in, out or both")
	f.StringVar(&o.user, "user", "", "started as root, go on as this `user` when everything is open (default "+confine.DefaultUser+")")
}

// validate checks what can be checked before anything is opened.
func (o *interfaceOptions) validate() error {
	if _, ok := directions[o.direction]; !ok {
		return usage("--direction %q: give in, out or both", o.direction)
	}
	if o.snapLen < 1 {
		return usage("--snaplen %d: give 1 or more", o.snapLen)
	}
	if least, most := capture.MinRing>>20, capture.MaxRing>>20; o.ring < least || o.ring > most {
		return usage("--ring %d: give from %d to %d (MiB)", o.ring, least, most)
	}
	_, err := o.packets.compiler()
	return err
}

// compiler returns the filter of the flags or of the command line's end.
func (o *interfaceOptions) compiler(expression string) (bpf.Compiler, error) {
	packets := o.packets
	if expression != "" {
		if packets.expression != "" {
			return nil, usage("a filter stands behind the input, and another one behind --capture-filter: give one of the two")
		}
		packets.expression = expression
	}
	return packets.compiler()
}

// open opens interfaces.
func (o *interfaceOptions) open(names []string, expression string) (capture.Live, error) {
	filter, err := o.compiler(expression)
	if err != nil {
		return nil, err
	}
	return capture.OpenInterfaces(names, capture.InterfaceOptions{
		Filter: filter, SnapLen: o.snapLen, RingBytes: o.ring << 20, Promiscuous: o.promiscuous, HardwareTime: o.hardwareTime, Direction: directions[o.direction],
	})
}

// filter leaves out frames of another source that the filter does not select.
func (o *interfaceOptions) filter(src capture.Live, expression string) (capture.Live, error) {
	filter, err := o.compiler(expression)
	if err != nil || filter == nil {
		return src, err
	}
	return capture.Filtered(src, filter).(capture.Live), nil
}

// confine gives away the rights that it took to open everything. A file, which may be
// rotated, goes on being read as whoever began, unless another user is named.
func (o *interfaceOptions) confine(s *streams, t *target, output string, others []attachment) error {
	if t.file != "" && o.user == "" {
		return nil
	}
	var folders []string
	if output != "" {
		folders = append(folders, filepath.Dir(output))
	}
	for _, a := range others {
		if w, ok := a.(interface{ folders() []string }); ok {
			folders = append(folders, w.folders()...)
		}
	}
	done, err := confine.Drop(confine.Limits{User: o.user, Folders: folders})
	if err != nil {
		return &exitError{exitOpen, fmt.Errorf("give rights away: %w", err)}
	}
	if len(done.Closed) > 0 {
		s.warn("user %s may not make files in %s: what is to be written there later will fail (chown the folder to that user, or name another one with --user)",
			done.User, strings.Join(done.Closed, ", "))
	}
	if done.User != "" {
		s.note("goes on as user %s, without capabilities", done.User)
	}
	if !done.Landlock {
		s.note("this kernel has no Landlock: the user's rights alone say where may be written")
	}
	return nil
}

func (o *interfaceOptions) addCompletion(c *cobra.Command) {
	if err := c.RegisterFlagCompletionFunc("direction", cobra.FixedCompletions([]cobra.Completion{"in", "out", "both"}, cobra.ShellCompDirectiveNoFileComp)); err != nil {
		panic(err) // no such flag: a mistake in the program
	}
	for _, flag := range []string{"snaplen", "ring", "user", "capture-filter", "bpf"} {
		if err := c.RegisterFlagCompletionFunc(flag, cobra.NoFileCompletions); err != nil {
			panic(err)
		}
	}
}
