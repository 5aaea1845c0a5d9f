package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/netip"
	"os"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/tcplife/tcplife/reassembly"
)

// profileNames are the built-in profiles, the default first.
func profileNames() (names []string) {
	for _, p := range reassembly.Profiles() {
		names = append(names, p.Name)
	}
	return names
}

// hosts reads the values of --profile: NAME or FILE for all hosts, NETWORK=NAME or
// NETWORK=FILE for some. Of several for all hosts, or for the same network, the last
// counts, as with other flags. own are the user's, by name, which come before built-in
// ones.
func hosts(values []string, own map[string]reassembly.Profile) (all reassembly.Profile, networks []reassembly.Network, err error) {
	all = reassembly.Linux
	for _, v := range values {
		network, name, some := strings.Cut(v, "=")
		if !some {
			if all, err = profile(v, own); err != nil {
				return all, nil, usage("--profile %s: %w", v, err)
			}
			continue
		}
		prefix, err := netip.ParsePrefix(network)
		if err != nil {
			addr, e := netip.ParseAddr(network)
			if e != nil {
				return all, nil, usage("--profile %s: %q is neither a network (10.0.0.0/8) nor an address", v, network)
			}
			prefix = netip.PrefixFrom(addr, addr.BitLen())
		}
		p, err := profile(name, own)
		if err != nil {
			return all, nil, usage("--profile %s: %w", v, err)
		}
		prefix = prefix.Masked()
		networks = slices.DeleteFunc(networks, func(n reassembly.Network) bool { return n.Prefix == prefix })
		networks = append(networks, reassembly.Network{Prefix: prefix, Profile: p})
	}
	return all, networks, nil
}

// profile returns the built-in profile of a name, or reads that of a file.
func profile(name string, own map[string]reassembly.Profile) (reassembly.Profile, error) {
	if p, ok := own[name]; ok {
		return p, nil
	}
	builtIn := reassembly.Profiles()
	if i := slices.IndexFunc(builtIn, func(p reassembly.Profile) bool { return p.Name == name }); i >= 0 {
		return builtIn[i], nil
	}
	text, err := readText(name, mostText)
	if errors.Is(err, os.ErrNotExist) && !strings.ContainsAny(name, "./\\") {
		names := append(profileNames(), slices.Sorted(maps.Keys(own))...)
		return reassembly.Profile{}, fmt.Errorf("no such profile (%s) or file%s", strings.Join(names, ", "), didYouMean(name, names))
	}
	if err != nil {
		return reassembly.Profile{}, err
	}
	return parseProfile(text)
}

// profileFile is a profile as it is written: times as in 7.5s or 2m; what is left out
// is taken from base.
type profileFile struct {
	Name       string    `yaml:"name"`
	Base       string    `yaml:"base"`
	TimeWait   *yamlTime `yaml:"time_wait"`
	Slack      *yamlTime `yaml:"timer_slack"`
	SYN        *yamlTime `yaml:"syn"`
	SYNACK     *yamlTime `yaml:"syn_ack"`
	FINRetries *yamlTime `yaml:"fin_retries"`
	FinWait2   *yamlTime `yaml:"fin_wait_2"`
	Data       *yamlTime `yaml:"data_retries"`
	Keepalive  *yamlTime `yaml:"keepalive"`
	MaxRTO     *yamlTime `yaml:"max_rto"`
}

type yamlTime time.Duration

// UnmarshalYAML implements yaml.Unmarshaler.
func (t *yamlTime) UnmarshalYAML(n *yaml.Node) error {
	d, err := time.ParseDuration(n.Value)
	if err != nil || d < 0 || d > 24*time.Hour {
		return fmt.Errorf("line %d: %q is no time from 0 to 24h, as 7.5s or 2m", n.Line, n.Value)
	}
	*t = yamlTime(d)
	return nil
}

func parseProfile(text []byte) (p reassembly.Profile, err error) {
	var f profileFile
	d := yaml.NewDecoder(bytes.NewReader(text))
	d.KnownFields(true)
	if err := d.Decode(&f); err != nil && !errors.Is(err, io.EOF) {
		return p, err
	}
	p = reassembly.Linux
	if f.Base != "" {
		i := slices.Index(profileNames(), f.Base)
		if i < 0 {
			return p, fmt.Errorf("base %q: give one of %s", f.Base, strings.Join(profileNames(), ", "))
		}
		p = reassembly.Profiles()[i]
	}
	if f.Name == "" {
		return p, errors.New("the profile has no name")
	}
	p.Name = f.Name
	for _, v := range []struct {
		to   *time.Duration
		from *yamlTime
	}{
		{&p.TimeWait, f.TimeWait}, {&p.TimerSlack, f.Slack}, {&p.SYNSpan, f.SYN}, {&p.SYNACKSpan, f.SYNACK},
		{&p.FINRetrySpan, f.FINRetries}, {&p.FinWait2, f.FinWait2}, {&p.DataRetrySpan, f.Data}, {&p.KeepaliveSpan, f.Keepalive}, {&p.MaxRTO, f.MaxRTO},
	} {
		if v.from != nil {
			*v.to = time.Duration(*v.from)
		}
	}
	return p, nil
}
