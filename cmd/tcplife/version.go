package main

import (
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"

	"github.com/tcplife/tcplife/report"
)

// Set by the linker (make build): the tag, or the distance from it, and the commit.
var release, revision string

func version() string {
	if release != "" {
		return release
	}
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		return info.Main.Version
	}
	return "(devel)"
}

// commit names the revision that the program was built from, as far as the build
// recorded it.
func commit() string {
	if revision != "" {
		return revision
	}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	set := map[string]string{}
	for _, s := range info.Settings {
		set[s.Key] = s.Value
	}
	c := set["vcs.revision"]
	switch {
	case c == "":
		return "unknown"
	case set["vcs.modified"] == "true":
		return c + ", modified"
	}
	return c
}

func newVersion() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print the version of the program, of Go and of the JSON schema",
		Long: `Prints the version of tcplife, the commit and the Go release that it was built
with, and the version of the JSON contract ("schema" in the formats json and
ndjson).`,
		Example:           "  tcplife version",
		Annotations:       map[string]string{exitNote: printExit},
		Args:              cobra.NoArgs,
		ValidArgsFunction: cobra.NoFileCompletions,
		Run: func(c *cobra.Command, _ []string) {
			fmt.Fprintf(c.OutOrStdout(), "tcplife %s\ncommit  %s\ngo      %s %s/%s\nschema  %d\n",
				version(), commit(), runtime.Version(), runtime.GOOS, runtime.GOARCH, report.Schema)
		},
	}
}
