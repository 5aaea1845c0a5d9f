package ui

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/tcplife/tcplife/finding"
	"github.com/tcplife/tcplife/reassembly"
	"github.com/tcplife/tcplife/report"
)

// expand turns a word that is no expression into the one that is meant by it: somebody
// who types an address wants the connections that have it.
func expand(s string) string {
	if a, err := netip.ParseAddr(s); err == nil {
		return fmt.Sprintf("host(%q)", a)
	}
	if p, err := netip.ParsePrefix(s); err == nil {
		return fmt.Sprintf("net(%q)", p)
	}
	if p, err := netip.ParseAddrPort(s); err == nil {
		return fmt.Sprintf("host(%q) && port(%d)", p.Addr(), p.Port())
	}
	if n, err := strconv.ParseUint(s, 10, 16); err == nil {
		return fmt.Sprintf("port(%d)", n)
	}
	if finding.Lookup(strings.ToLower(s)) != nil || slices.Contains([]string{"info", "warning", "error"}, strings.ToLower(s)) {
		return fmt.Sprintf("finding(%q)", strings.ToLower(s))
	}
	if slices.Contains(reassembly.CloseReasons(), strings.ToLower(s)) {
		return fmt.Sprintf("close.reason == %q", strings.ToLower(s))
	}
	if state := strings.ReplaceAll(strings.ToUpper(s), "-", "_"); slices.Contains(report.LookupField("final.client").Words, state) {
		return fmt.Sprintf("final.client == %q || final.server == %q", state, state)
	}
	return s
}
