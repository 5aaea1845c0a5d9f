//go:build linux

// Command rivals times tcplife beside other programs on the same captures, in turn and in
// one run, so that a slow moment of the machine meets them all:
//
//	go run ./internal/rivals -tcplife bin/tcplife CAPTURE...
//
// Of each program it prints the median of wall and processor seconds, the most memory,
// and how tcplife's wall time compares with its own: below 1, tcplife is faster. Quote
// the ratios, not the seconds. Programs that are not installed are left out.
package main

import (
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"time"
)

// program is a command line; CAPTURE stands for the file.
type program struct{ name, line string }

// capinfos and tcpdump are the bare loop that reads, of libwiretap and libpcap.
var programs = []program{
	{"capinfos", "capinfos -c CAPTURE"},
	{"tcpdump", "tcpdump -n -r CAPTURE -w /dev/null"},
	{"argus", "argus -r CAPTURE -w /dev/null"},
	{"tcptrace", "tcptrace -n -l CAPTURE"},
	{"tshark", "tshark -n -r CAPTURE -T fields -e tcp.stream -e tcp.completeness"},
}

// cost is what one run took.
type cost struct {
	wall, processor time.Duration
	memory          int64 // most resident, in octets
}

func main() {
	bin := flag.String("tcplife", "bin/tcplife", "the program to compare")
	rounds := flag.Int("rounds", 5, "how often each program runs")
	only := flag.String("only", "", "names of the programs to compare with, divided by commas (default all)")
	flag.Parse()
	if flag.NArg() == 0 || *rounds < 1 {
		flag.Usage()
		os.Exit(2)
	}
	all := []program{{"tcplife", *bin + " analyze CAPTURE"}, {"tcplife ndjson", *bin + " analyze --format ndjson CAPTURE"}}
	for _, p := range programs {
		name, _, _ := strings.Cut(p.line, " ")
		if _, err := exec.LookPath(name); err == nil && (*only == "" || slices.Contains(strings.Split(*only, ","), p.name)) {
			all = append(all, p)
		}
	}
	for _, capture := range flag.Args() {
		if err := compare(all, capture, *rounds); err != nil {
			fmt.Fprintf(os.Stderr, "rivals: %v\n", err)
			os.Exit(1)
		}
	}
}

// compare runs all programs on a capture, and prints a line for each.
func compare(all []program, capture string, rounds int) error {
	if err := cache(capture); err != nil {
		return err
	}
	costs := make([][]cost, len(all))
	for range rounds {
		for i, p := range all {
			c, err := run(strings.Fields(p.line), capture)
			if err != nil {
				return fmt.Errorf("%s on %s: %w", p.name, capture, err)
			}
			costs[i] = append(costs[i], c)
		}
	}
	fmt.Printf("%s, median of %d\n", capture, rounds)
	for i, p := range all {
		var ratios []float64
		for k := range rounds {
			ratios = append(ratios, costs[0][k].wall.Seconds()/costs[i][k].wall.Seconds())
		}
		wall := median(costs[i], func(c cost) time.Duration { return c.wall })
		processor := median(costs[i], func(c cost) time.Duration { return c.processor })
		most := slices.MaxFunc(costs[i], func(a, b cost) int { return int(a.memory - b.memory) }).memory
		slices.Sort(ratios)
		fmt.Printf("  %-15s wall %8.3f s  processor %8.3f s  memory %7.1f MiB  tcplife/this %6.2f\n", p.name, wall.Seconds(), processor.Seconds(), float64(most)/(1<<20), ratios[rounds/2])
	}
	return nil
}

// cache reads a file once, so that no program has to wait for the disk. It holds little
// of it: the kernel counts what we hold as the children's peak, too.
func cache(name string) error {
	f, err := os.Open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = io.Copy(io.Discard, f)
	return err
}

// run runs a program with its output thrown away.
func run(line []string, capture string) (cost, error) {
	for i, word := range line {
		if word == "CAPTURE" {
			line[i] = capture
		}
	}
	cmd := exec.Command(line[0], line[1:]...)
	start := time.Now()
	err := cmd.Run()
	c := cost{wall: time.Since(start)}
	if err != nil {
		return c, err
	}
	usage := cmd.ProcessState.SysUsage().(*syscall.Rusage)
	c.processor = cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
	c.memory = int64(usage.Maxrss) << 10 // Linux counts KiB
	return c, nil
}

func median(costs []cost, of func(cost) time.Duration) time.Duration {
	var all []time.Duration
	for _, c := range costs {
		all = append(all, of(c))
	}
	slices.Sort(all)
	return all[len(all)/2]
}
