package reassembly

import "github.com/tcplife/tcplife/wire"

// UIDKey is what a connection's uid is made of besides its encapsulation path's
// content: the same connection has the same key in every report.
type UIDKey struct {
	// Tuple runs from the client to the server.
	Tuple wire.Tuple
	Start wire.Time
	// ISN is the first segment's sequence number: the client's ISN unless the
	// capture began later.
	ISN wire.Seq
}
