package report

import (
	"os"
	"strings"
	"testing"
)

func TestParseColors(t *testing.T) {
	for in, want := range map[string]string{
		"red": "31", "bright-red": "91", "bold red": "1;31", "208": "38;5;208", "none": "", "": "", "Underline White": "4;37", "faint": "2", "0": "38;5;0",
	} {
		if got, err := ParseColors(map[string]string{"error": in}); err != nil || got[red] != want {
			t.Errorf("%q: %q, %v", in, got, err)
		}
	}
	for in, want := range map[string]string{"redd": "did you mean red?", "256": "no colour", "-1": "no colour", "\x1b[31m": "no colour", "1;31": "no colour"} {
		if _, err := ParseColors(map[string]string{"error": in}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", in, err)
		}
	}
	if _, err := ParseColors(map[string]string{"errors": "red"}); err == nil || !strings.Contains(err.Error(), "did you mean error?") {
		t.Error(err)
	}
	c := canvas{color: true, colors: Colors{red: "35", blue: ""}}
	if got := c.paint(red, "a") + c.paint(blue, "b") + c.paint(cyan, "c"); got != "\x1b[35ma\x1b[0mb\x1b[36mc\x1b[0m" {
		t.Errorf("%q", got)
	}
	page, err := os.ReadFile("../docs/settings.md")
	if err != nil {
		t.Fatal(err)
	}
	for part := range colorParts {
		if !strings.Contains(string(page), "| `"+part+"` |") {
			t.Errorf("docs/settings.md does not have the part %s", part)
		}
	}
}
