//go:build unix

package main

import (
	"os"
	"path/filepath"
	"testing"
)

// TestScreensOfLive looks around in a capture while it is written: half of it is there
// when the screens open, the rest comes later. What the clock has in it is not compared.
func TestScreensOfLive(t *testing.T) {
	capture := unpacked(t, pcapDir+"/mixed.pcap.gz")
	path := filepath.Join(t.TempDir(), "growing.pcap")
	// Up to the 19th connection of 178.
	half := parts(capture, 6)[0]
	if err := os.WriteFile(path, half, 0o644); err != nil {
		t.Fatal(err)
	}
	for _, size := range [][2]int{{80, 24}, {200, 50}} {
		if size[0] == 200 {
			half = capture // what the other one has left behind
		}
		x := openTerminal(t, size[0], size[1], "tcplife live --ui --file "+path)
		x.press("2").sees("[2 Connections]", "10.0.0.6:20000", "10.0.0.1:443")
		x.press("4").sees("[4 Census]", "CLOSE_WAIT", "TIME_WAIT")
		if size[0] == 80 {
			x.press("1").sees("What happened", "half-closed-for-long")
			f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := f.Write(capture[len(half):]); err != nil {
				t.Fatal(err)
			}
			if err := f.Close(); err != nil {
				t.Fatal(err)
			}
		}
		x.press("1").sees("178 connections", "21 failed", "closed-port-reset", "What to do")
		x.press("3").sees("[3 Listeners]", "10.0.0.5:6379")
		x.press("2", "/").sees("filter:")
		x.typed(`dwell("server", "CLOSE_WAIT") > 1`).press("Enter").sees("dwell is not kept of each connection while a run goes on")
		x.press("C-u").typed(`server.port == 8080 && open`).press("Enter").sees("only: server.port == 8080 && open", "FIN_WAIT_2", "CLOSE_WAIT", "1/14")
		// One that is open, drawn as it stands.
		x.press("Enter").sees("Connection #4", "It has not settled: what is said of it may change.", "half-closed-for-long")
		x.press("G").sees("FIN_WAIT_2", "CLOSE_WAIT", "Flags:")
		x.press("e").sees("tcplife explain half-closed-for-long", "What it is")
		x.press("q", "q").sees("only:")
		// The report comes when the screens are gone, with what many connections show.
		x.press("q").sees("it ended with 0", "more connections: --limit or --all")
	} // A capture on standard input: the keys come from the terminal all the same.
	x := openTerminal(t, 80, 24, "cat "+path+" | tcplife live --ui -")
	x.sees("178 connections", "the source has ended", "close-wait-leak")
	x.press("2").sees("1/178")
	x.press("q").sees("it ended with 0", "more connections: --limit or --all")
}
