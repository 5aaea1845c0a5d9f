package pipeline

import (
	"flag"
	"os"
	"testing"

	_ "github.com/tcplife/tcplife/internal/property"
)

// TestMain sets how often a property is tried where nobody says otherwise. Each try
// here is several runs of the whole program over thousands of frames, from another
// seed in each test run: thirty take seconds, and who has changed what runs beside
// each other looks further with
//
//	go test ./pipeline -rapid.checks 1000
func TestMain(m *testing.M) {
	if _, ok := os.LookupEnv("RAPID_CHECKS"); !ok {
		checks := "30"
		if raced {
			// Ten times as slow; a race shows in the first run that has it.
			checks = "10"
		}
		if err := flag.Set("rapid.checks", checks); err != nil {
			panic(err)
		}
	}
	os.Exit(m.Run())
}
