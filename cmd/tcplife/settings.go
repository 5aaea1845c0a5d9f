package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"go.yaml.in/yaml/v3"

	"github.com/tcplife/tcplife/reassembly"
	"github.com/tcplife/tcplife/report"
)

// What somebody wants every time stands in a file or in the environment. The command
// line comes first, then the environment, then the file, then what the program itself
// thinks best. Flags that say what a report is about, or in which format it is, are not
// among them: the same command line means the same for everybody.

// settingNames are the flags that may be set so, as they are called in the file.
var settingNames = []string{"color", "fail-on", "jobs", "profile", "times", "tz", "width"}

// settingVariable is the environment's name of a flag.
func settingVariable(name string) string {
	return "TCPLIFE_" + strings.ToUpper(strings.ReplaceAll(name, "-", "_"))
}

// configVariable names another file, or none.
const configVariable = "TCPLIFE_CONFIG"

// settings is a configuration file, and what was taken from it and the environment.
type settings struct {
	path   string
	values map[string][]string
	// profiles are those that the file defines, colors those of text.
	profiles map[string]reassembly.Profile
	colors   report.Colors
	// origin says where the value of a flag comes from, for those that the command line
	// lacks.
	origin map[string]string
}

// configPath is where the file is looked for; must says that it was named.
func configPath() (path string, must bool) {
	if v, ok := os.LookupEnv(configVariable); ok {
		if v == "none" {
			v = ""
		}
		return v, true
	}
	dir := os.Getenv("XDG_CONFIG_HOME")
	switch {
	case dir != "":
	case runtime.GOOS == "windows":
		dir, _ = os.UserConfigDir()
	default:
		// Also on macOS, where people keep such files where Linux has them.
		if home, _ := os.UserHomeDir(); home != "" {
			dir = filepath.Join(home, ".config")
		}
	}
	if !filepath.IsAbs(dir) {
		return "", false // the XDG specification: a relative path is to be ignored
	}
	return filepath.Join(dir, "tcplife", "config.yaml"), false
}

// withSettings are the options of a command that heeds the settings.
type withSettings interface {
	// use takes over what is no flag: before validate, which may say on s what it finds.
	use(*settings, *streams)
	validate() error
	run(context.Context, *streams, []string) error
}

// runWithSettings runs a command with the flags that the command line leaves to the
// environment and the file; where one of those is wrong, the error says whose it is.
func runWithSettings(c *cobra.Command, s *streams, o withSettings, args []string) error {
	own, err := readSettings()
	if err != nil {
		return err
	}
	if err := own.apply(c.Flags()); err != nil {
		return err
	}
	o.use(own, s)
	if err := o.validate(); err != nil {
		return own.blame(err)
	}
	own.say(s, c.Flags())
	return own.blame(o.run(c.Context(), s, args))
}

// readSettings reads the file, if there is one.
func readSettings() (*settings, error) {
	path, must := configPath()
	if path == "" {
		return &settings{origin: map[string]string{}}, nil
	}
	text, err := readText(path, mostText)
	if errors.Is(err, fs.ErrNotExist) && !must {
		return &settings{origin: map[string]string{}}, nil
	}
	var s *settings
	if err == nil {
		s, err = parseSettings(text)
	}
	if err != nil {
		var path *fs.PathError // it has the name already
		if errors.As(err, &path) {
			return nil, usage("configuration: %w (%s=none goes without)", err, configVariable)
		}
		return nil, usage("configuration %s: %w (%s=none goes without)", configName(), err, configVariable)
	}
	s.path = path
	return s, nil
}

func configName() string {
	path, _ := configPath()
	return path
}

// parseSettings reads a configuration file.
func parseSettings(text []byte) (*settings, error) {
	s := &settings{values: map[string][]string{}, profiles: map[string]reassembly.Profile{}, origin: map[string]string{}}
	var root yaml.Node
	if err := yaml.NewDecoder(bytes.NewReader(text)).Decode(&root); errors.Is(err, io.EOF) {
		return s, nil
	} else if err != nil {
		return nil, err
	}
	top := root.Content[0]
	if top.Kind == yaml.ScalarNode && top.Tag == "!!null" {
		return s, nil
	}
	if top.Kind != yaml.MappingNode {
		return nil, fmt.Errorf("line %d: settings are lines such as 'tz: Europe/Berlin'", top.Line)
	}
	for i := 0; i+1 < len(top.Content); i += 2 {
		key, value := top.Content[i], top.Content[i+1]
		if err := s.set(key.Value, value); err != nil {
			return nil, fmt.Errorf("line %d: %w", key.Line, err)
		}
	}
	return s, nil
}

func (s *settings) set(name string, value *yaml.Node) error {
	switch {
	case name == "colors":
		words := map[string]string{}
		if err := value.Decode(&words); err != nil {
			return errors.New("colors: give lines such as 'warning: yellow'")
		}
		colors, err := report.ParseColors(words)
		s.colors = colors
		return err
	case name == "profiles":
		return s.setProfiles(value)
	case !slices.Contains(settingNames, name):
		all := append([]string{"colors", "profiles"}, settingNames...)
		if hint := didYouMean(name, all); hint != "" {
			return fmt.Errorf("there is no setting %q%s", name, hint)
		}
		return fmt.Errorf("there is no setting %q: there are %s", name, strings.Join(all, ", "))
	case value.Kind == yaml.ScalarNode:
		s.values[name] = []string{value.Value}
		return nil
	case name == "profile" && value.Kind == yaml.SequenceNode:
		var list []string
		err := value.Decode(&list)
		s.values[name] = list
		return err
	}
	return fmt.Errorf("%s: give one value", name)
}

func (s *settings) setProfiles(value *yaml.Node) error {
	if value.Kind != yaml.MappingNode {
		return errors.New("profiles: give names, and below each what a profile's file holds")
	}
	for i := 0; i+1 < len(value.Content); i += 2 {
		name := value.Content[i].Value
		text, err := yaml.Marshal(value.Content[i+1])
		if err != nil {
			return fmt.Errorf("profile %s: %w", name, err)
		}
		p, err := parseProfile(append(text, "\nname: "+strconv.Quote(name)+"\n"...))
		if err != nil {
			return fmt.Errorf("profile %s: %w", name, err)
		}
		s.profiles[name] = p
	}
	return nil
}

// apply sets the flags that the command line lacks.
func (s *settings) apply(f *pflag.FlagSet) error {
	for _, name := range settingNames {
		if f.Lookup(name) == nil || f.Changed(name) {
			continue
		}
		values, from := s.values[name], s.path
		if v := os.Getenv(settingVariable(name)); v != "" {
			values, from = []string{v}, settingVariable(name)
			if name == "profile" {
				values = strings.Fields(v)
			}
		}
		if name == "color" && from == s.path && colorWished() {
			continue // the environment comes before the file, under these names too
		}
		for _, v := range values {
			if err := f.Set(name, v); err != nil {
				var invalid *pflag.InvalidValueError
				if errors.As(err, &invalid) || strings.Contains(err.Error(), "parsing") {
					err = fmt.Errorf("give %s", valueKinds[f.Lookup(name).Value.Type()])
				}
				return usage("%s: %s %s: %w", from, name, v, err)
			}
			s.origin[name] = from
		}
	}
	return nil
}

// blame adds to an error about a flag where its value comes from, if the command line
// is innocent.
func (s *settings) blame(err error) error {
	var e *exitError
	if !errors.As(err, &e) || e.err == nil {
		return err
	}
	for name, from := range s.origin {
		if strings.HasPrefix(e.err.Error(), "--"+name+" ") {
			return &exitError{e.code, fmt.Errorf("%w (set by %s)", e.err, from)}
		}
	}
	return err
}

// say tells those who ask which settings count.
func (s *settings) say(to *streams, f *pflag.FlagSet) {
	var words []string
	for _, name := range settingNames {
		if from := s.origin[name]; from != "" {
			words = append(words, fmt.Sprintf("%s %s (%s)", name, strings.Trim(f.Lookup(name).Value.String(), "[]"), from))
		}
	}
	if s.path != "" && len(s.colors) > 0 {
		words = append(words, "colors ("+s.path+")")
	}
	if len(words) > 0 {
		to.note("settings: %s", strings.Join(words, ", "))
	}
}
