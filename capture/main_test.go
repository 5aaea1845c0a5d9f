package capture

import (
	"os"
	"runtime/debug"
	"testing"
)

// TestMain lets more garbage gather than a program would. Thousands of small inputs are
// read here, each with a buffer of its own, and collecting those was a third of the time.
func TestMain(m *testing.M) {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(400)
	}
	os.Exit(m.Run())
}
