//go:build !linux

package capture

import (
	"runtime"
	"strings"
	"testing"
)

// TestLiveNeedsLinux: elsewhere the program builds, and says what an interface needs.
func TestLiveNeedsLinux(t *testing.T) {
	_, err := OpenInterfaces([]string{"eth0"}, InterfaceOptions{})
	if err == nil || !strings.Contains(err.Error(), "live capture needs Linux, and this is "+runtime.GOOS) || !strings.Contains(err.Error(), "tcplife live -") {
		t.Errorf("%v", err)
	}
}
