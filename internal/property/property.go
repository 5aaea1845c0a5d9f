// Package property is imported, for its effect alone, by every test package that
// tries properties with rapid: where TCPLIFE_CI is set it fixes the seed. What the
// continuous integration says of a commit must not depend on luck, or a rare input
// that an old property fails on stops a change that has nothing to do with it.
// Everywhere else each run tries new inputs, and make explore tries many.
package property

import (
	"flag"
	"os"

	_ "pgregory.net/rapid" // registers the flag
)

// seed is any number but 0, which stands for a new one in each run.
const seed = "1"

func init() {
	if os.Getenv("TCPLIFE_CI") == "" {
		return
	}
	if err := flag.Set("rapid.seed", seed); err != nil {
		panic(err)
	}
}
