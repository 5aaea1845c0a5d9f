package reassembly

import (
	"testing"
	"time"
)

// What was idle and answered, and what was idle and was not.
func TestIdle(t *testing.T) {
	const quick, idle = 10 * time.Millisecond, 7 * time.Second
	s := newScript().handshake().client(psh, 1, 1, payload(10)).server(psh, 1, 11, payload(20)).client(ack, 11, 21)
	s.after(idle).client(psh, 11, 21, payload(10)).after(quick).server(psh, 21, 21, payload(20)).client(ack, 21, 41)
	c := s.only(t)
	want(t, "survived", c.Idle.Survived, idle)
	want(t, "pending", c.Idle.Pending(Client), 0)
	want(t, "last", c.Idle.For, idle)

	// The pauses between its repetitions are not what the segment had waited for.
	s.after(2*idle).client(psh, 21, 41, payload(10)).after(3*idle).client(psh, 21, 41, payload(10))
	c = s.only(t)
	want(t, "survived", c.Idle.Survived, idle)
	want(t, "pending", c.Idle.Pending(Client), 2*idle)
	want(t, "pending by the other side", c.Idle.Pending(Server), 0)

	// A RST is no answer.
	c = s.after(quick).server(rst, 41, 0).only(t)
	want(t, "pending before a RST", c.Idle.Pending(Client), 2*idle)

	// A server that thinks for long has broken the silence itself.
	s = newScript().handshake().client(psh, 1, 1, payload(10)).server(ack, 1, 11).after(idle).server(psh, 1, 11, payload(20))
	c = s.only(t)
	want(t, "pending, broken by the server", c.Idle.Pending(Server), idle)
	c = s.after(quick).client(ack, 11, 21).only(t)
	want(t, "survived, broken by the server", c.Idle.Survived, idle)
}
