package main

import (
	"os"
	"strings"
	"testing"
)

// The page on settings has all of them, and its example is one.
func TestSettingsDocs(t *testing.T) {
	text, err := os.ReadFile("../../docs/settings.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range settingNames {
		for _, want := range []string{"| `" + name + "` |", "`" + settingVariable(name) + "`", "`--" + name + "`"} {
			if !strings.Contains(string(text), want) {
				t.Errorf("docs/settings.md does not have %s", want)
			}
		}
	}
	_, example, _ := strings.Cut(string(text), "```yaml\n")
	example, _, _ = strings.Cut(example, "```")
	s, err := parseSettings([]byte(example))
	if err != nil || s.values["tz"][0] != "Europe/Berlin" || len(s.values["profile"]) != 3 || len(s.profiles) != 1 || len(s.colors) != 1 {
		t.Errorf("%+v, %v", s, err)
	}
}

func TestConfigPath(t *testing.T) {
	for _, x := range []struct{ config, xdg, home, want string }{
		{"", "", "/h", "/h/.config/tcplife/config.yaml"},
		{"", "/x", "/h", "/x/tcplife/config.yaml"},
		{"", "relative", "/h", ""},
		{"other.yaml", "/x", "/h", "other.yaml"},
		{"none", "/x", "/h", ""},
		{"", "", "", ""},
	} {
		t.Setenv(configVariable, x.config)
		if x.config == "" {
			os.Unsetenv(configVariable)
		}
		t.Setenv("XDG_CONFIG_HOME", x.xdg)
		t.Setenv("HOME", x.home)
		if os.PathSeparator == '\\' {
			t.Skip("wants Unix paths")
		}
		if got, _ := configPath(); got != x.want {
			t.Errorf("%+v: %q", x, got)
		}
	}
}
