package main

import (
	"fmt"
	"io"
	"io/fs"
	"os"
)

// mostText is how long the files of settings, rules and expectations may be, and
// mostBaseline a baseline, as check has it. Memory has to hold them whole, and a device
// never ends.
const (
	mostText     = 16 << 20
	mostBaseline = 64 << 20
)

// readText reads a whole file that has at most so many octets. Errors have its name.
func readText(path string, most int64) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, most+1))
	if err == nil && int64(len(text)) > most {
		err = &fs.PathError{Op: "read", Path: path, Err: fmt.Errorf("it has more than %d MiB, which no such file has: is it the right one?", most>>20)}
	}
	return text, err
}
