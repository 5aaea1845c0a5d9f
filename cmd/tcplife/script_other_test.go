//go:build !linux

package main

import "github.com/rogpeppe/go-internal/testscript"

// Scripts that need pipes and signals begin with [!linux] skip.
var pipeCommands map[string]func(*testscript.TestScript, bool, []string)
