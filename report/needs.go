package report

import (
	"slices"
	"strings"
)

// Needs says what a format reads of connections. What nobody reads is not computed:
// most of what can be said of a connection is not in the text report.
type Needs struct {
	// Names: Connection.UID, CommunityID, PreviousUID and NextUID, and Digest.UID.
	Names bool
	// Peers: Connection.Peers, and the numbers of Wireshark's streams.
	Peers bool
	// Durations: Summary.Durations.
	Durations bool
	// Events: Conn.Events and Endpoint.Response of every connection; otherwise of those on
	// which a rule has something to look at.
	Events bool
	// Sieve, if set, makes what says which connections Encode and Add are called for;
	// otherwise they are for all. Each worker has one of its own.
	Sieve func() Sieve
}

// Sieve picks connections for a format. It sees those that one worker settles, in no
// particular order.
type Sieve interface {
	// Pick reports whether the format may print the connection. Stamps are in the
	// order of the connections' numbers, which are not known yet.
	Pick(stamp uint64, c *Connection) bool
}

// Needer is a Format that does not read everything. Needs is called once, after Begin.
type Needer interface {
	Needs() Needs
}

// NeedsOf returns what a format reads: everything, if it does not say.
func NeedsOf(f Format) Needs {
	if n, ok := f.(Needer); ok {
		return n.Needs()
	}
	return Needs{Names: true, Peers: true, Durations: true, Events: true}
}

// None picks no connection.
type None struct{}

// Pick returns false.
func (None) Pick(uint64, *Connection) bool { return false }

// NoNeeds are those of a format that prints nothing but the summary, and that without
// durations.
func NoNeeds() Needs { return Needs{Sieve: func() Sieve { return None{} }} }

// columnNeeds is what columns read, of the parts of a connection that are not always
// there.
func columnNeeds(columns []Column) (n Needs) {
	for i := range columns {
		if columns[i].peer != nil {
			n.Peers = true
		} else {
			n.read(columns[i].field)
		}
	}
	// What other tools would say is read from the log.
	n.Events = n.Events || n.Peers
	return n
}

// read adds what a field reads.
func (n *Needs) read(f *Field) {
	n.Names = n.Names || slices.Contains(namingFields, f.Name)
	n.Peers = n.Peers || f.watched || f.Stream
	n.Events = n.Events || f.watched || f.Name == "events" || f.Name == "dropped_events" || strings.HasPrefix(f.Name, "response.")
}

// namingFields are those that Needs.Names is about.
var namingFields = []string{"uid", "community_id", "previous", "next"}
