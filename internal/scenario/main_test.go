package scenario

import (
	"os"
	"runtime/debug"
	"testing"
)

// TestMain lets more garbage gather than a program would. Every script runs in all its
// variants, each with a tracker of its own, and collecting what they leave was a third
// of the time.
func TestMain(m *testing.M) {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(400)
	}
	os.Exit(m.Run())
}
