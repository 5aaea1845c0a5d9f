//go:build linux && !race

package main

import (
	"net"
	"testing"
)

// TestScreensOfInterface watches a connection of the kernel while it moves: it opens, one
// side closes, then the other; the list and the drawing follow without a key.
func TestScreensOfInterface(t *testing.T) {
	ownNetwork(t)
	x := openTerminal(t, 80, 24, "tcplife live --ui lo")
	x.press("2").sees("[2 Connections]")
	ln, err := net.ListenTCP("tcp4", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	client, err := net.DialTCP("tcp4", nil, ln.Addr().(*net.TCPAddr))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	server, err := ln.AcceptTCP()
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	if _, err := client.Write([]byte("hello")); err != nil {
		t.Fatal(err)
	}
	// What is not read makes a RST of the close.
	if _, err := server.Read(make([]byte, 10)); err != nil {
		t.Fatal(err)
	}
	x.sees("1 connection", ln.Addr().String(), "ESTABLISHED ESTABLISHED")
	x.press("Enter").sees("Connection #1", "open-at-end", "Handshake: complete")
	x.press("G").sees("As of the end", "client ESTABLISHED,", "server ESTABLISHED.")
	if err := client.Close(); err != nil {
		t.Fatal(err)
	}
	x.sees("client FIN_WAIT_2,", "server CLOSE_WAIT.")
	x.press("q").sees("FIN_WAIT_2", "CLOSE_WAIT", "1/1")
	if err := server.Close(); err != nil {
		t.Fatal(err)
	}
	x.sees("TIME_WAIT", "CLOSED", "success, orderly", "closed first by the client (FIN)")
	x.press("1").sees("1 ended well")
	x.press("q").sees("it ended with 0")
}
