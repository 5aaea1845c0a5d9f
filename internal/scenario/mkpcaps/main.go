// Command mkpcaps compiles every script of testdata/scenarios to a capture in
// testdata/pcaps and renews the table in the README there. It runs from the top
// of the repository, as `make pcaps`.
package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"

	"github.com/tcplife/tcplife/internal/scenario"
)

func main() {
	if err := run("testdata/scenarios", "testdata/pcaps"); err != nil {
		fmt.Fprintln(os.Stderr, "mkpcaps:", err)
		os.Exit(1)
	}
}

func run(from, to string) error {
	scripts, err := scenario.Load(from)
	if err != nil {
		return err
	}
	readme, err := os.ReadFile(filepath.Join(to, "README.md"))
	if err != nil {
		return fmt.Errorf("reading the captures' README: %w", err)
	}
	files, err := scenario.Generated(scripts, readme)
	if err != nil {
		return err
	}
	for name, want := range files {
		path := filepath.Join(to, name)
		if have, err := os.ReadFile(path); err == nil && bytes.Equal(have, want) {
			continue
		}
		if err := os.WriteFile(path, want, 0o644); err != nil {
			return fmt.Errorf("writing a capture: %w", err)
		}
		fmt.Println(path)
	}
	return nil
}
