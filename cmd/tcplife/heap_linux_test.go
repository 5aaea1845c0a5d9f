package main

import (
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// What is allocated after a large capture was opened lies in large pages, after a small one
// it does not. Each is tried in a process of its own: a heap remembers what it had.
func TestHeapInLargePages(t *testing.T) {
	const opened, used = "TCPLIFE_TEST_OPENED", 32 << 20
	if octets, err := strconv.ParseInt(os.Getenv(opened), 10, 64); err == nil {
		reserveHeap(octets)
		runtime.GC() // which a run does not wait for
		held := touched(used)
		fmt.Println("large:", largePages(t))
		runtime.KeepAlive(held)
		return
	}
	if mode, err := os.ReadFile("/sys/kernel/mm/transparent_hugepage/enabled"); err != nil || !strings.Contains(string(mode), "[madvise]") {
		t.Skip("wants a kernel that gives large pages to who asks for them, and to nobody else (/sys/kernel/mm/transparent_hugepage/enabled)")
	}
	in := func(octets int) int {
		child := exec.Command(os.Args[0], "-test.run=^TestHeapInLargePages$")
		child.Env = append(slices.DeleteFunc(os.Environ(), func(e string) bool {
			return strings.HasPrefix(e, "GOGC=") || strings.HasPrefix(e, "GOMEMLIMIT=")
		}), opened+"="+strconv.Itoa(octets))
		told, err := child.CombinedOutput()
		m := regexp.MustCompile(`large: (\d+)`).FindSubmatch(told)
		if err != nil || m == nil {
			t.Fatalf("%v\n%s", err, told)
		}
		n, _ := strconv.Atoi(string(m[1]))
		return n
	}
	if n := in(1 << 20); n > 0 {
		t.Errorf("%d octets lie in large pages, for a capture of a megabyte", n)
	}
	// The first and the last page may be shared with what is not reserved.
	if n := in(64 << 20); n < used-4<<20 {
		t.Errorf("%d of %d octets lie in large pages", n, used)
	}
}

// touched returns so many octets that were written to.
func touched(n int) []byte {
	b := make([]byte, n)
	for i := 0; i < n; i += 4096 {
		b[i] = 1
	}
	return b
}

// largePages returns how many octets of the process lie in large pages.
func largePages(t *testing.T) int {
	t.Helper()
	told, err := os.ReadFile("/proc/self/smaps_rollup")
	if err != nil {
		t.Skip("wants /proc/self/smaps_rollup, which tells of large pages:", err)
	}
	m := regexp.MustCompile(`AnonHugePages:\s+(\d+) kB`).FindSubmatch(told)
	if m == nil {
		t.Skip("wants AnonHugePages in /proc/self/smaps_rollup")
	}
	n, _ := strconv.Atoi(string(m[1]))
	return n << 10
}
