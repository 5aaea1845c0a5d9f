package main

import (
	"fmt"
	"io"

	"github.com/tcplife/tcplife/reassembly"
)

// topic is a closed list of words that reports use, with a sentence for each. A
// test compares the words with the constants they name.
type topic struct {
	name, title, about string
	words              []word
	// further prints what is no list of words.
	further func(w io.Writer)
}

type word struct{ name, meaning string }

func (t *topic) print(w io.Writer) {
	fmt.Fprintf(w, "%s\n\n", fill(t.title+". "+t.about, "", explainWidth))
	for _, x := range t.words {
		fmt.Fprintf(w, "%s\n%s\n", x.name, fill(x.meaning, "    ", explainWidth))
	}
	if t.further != nil {
		t.further(w)
	}
}

func topicNames() (names []string) {
	for _, t := range topics {
		names = append(names, t.name)
	}
	return names
}

var topics = []*topic{
	{"states", "The states of an endpoint",
		"They are those of RFC 9293 section 3.3.2, with underscores. Each endpoint has its own.", []word{
			{reassembly.Closed.String(), "The endpoint has no connection: not yet, or no longer. A listener that falls back to LISTEN is also CLOSED, because nothing of this connection is left."},
			{reassembly.Listen.String(), "A server waits for a SYN. No segment shows it, so no timeline holds it."},
			{reassembly.SynSent.String(), "The client has sent its SYN and waits for the answer."},
			{reassembly.SynReceived.String(), "A SYN has come and a SYN-ACK is the answer; the ACK of that is still to come."},
			{reassembly.Established.String(), "The handshake is complete: data flows in both directions."},
			{reassembly.FinWait1.String(), "This side has closed first: it sent its FIN, which is not acknowledged yet."},
			{reassembly.FinWait2.String(), "This side's FIN is acknowledged, and the peer's FIN is still to come. It may last: the peer may go on sending."},
			{reassembly.CloseWait.String(), "The peer has closed; the application on this side has not closed yet. A long stay means that the application does not read, or never calls close()."},
			{reassembly.Closing.String(), "Both sides sent their FIN before they had the other's; the ACK of this side's is still to come."},
			{reassembly.LastAck.String(), "This side has closed second and waits for the ACK of its FIN, the last segment of the connection."},
			{reassembly.TimeWait.String(), "Both FINs are acknowledged. This side keeps the pair of addresses and ports for 2MSL (60 seconds on Linux), to answer a repeated FIN and to let old segments die out."},
		}, nil},
	{"evidence", "How a transition is known",
		"A capture shows segments passing a tap, not their arrival, and no system call; so every state in a timeline says what it rests on.", []word{
			{reassembly.Sent.String(), "The endpoint's own segment shows it: who sends a FIN is in FIN_WAIT_1 or LAST_ACK."},
			{reassembly.Acked.String(), "A later segment of the endpoint proves that it had received the cause; proof names that segment's frame."},
			{reassembly.Passed.String(), "The cause passed the tap towards the endpoint, and nothing contradicts its arrival. This is a hypothesis: a later segment may prove it or refute it."},
			{reassembly.Timer.String(), "No segment caused it: a timer of the host must have fired, such as TIME_WAIT's."},
			{reassembly.Assumed.String(), "The capture began later; the state is the least that explains what is seen."},
		}, nil},
	{"close-reasons", "How a connection ended", "The words of close.reason.", []word{
		{reassembly.CloseUnknown.String(), "Too little was captured to tell."},
		{reassembly.CloseOrderly.String(), "Both sides sent a FIN, and both FINs were acknowledged."},
		{reassembly.CloseOrderlyUnconfirmed.String(), "Both sides sent a FIN, but nothing shows that the last ACK arrived, or that it was sent at all."},
		{reassembly.CloseHalfClosed.String(), "When the capture ended one side had sent its FIN and the other had not: it may still be sending."},
		{reassembly.CloseRefused.String(), "The SYN was answered by a RST: nobody listens on that port, or a firewall rejects it."},
		{reassembly.CloseUnanswered.String(), "Nothing ever answered the SYN."},
		{reassembly.CloseICMP.String(), "An ICMP error ended the attempt."},
		{reassembly.CloseHandshakeAbandoned.String(), "The handshake began and was never finished."},
		{reassembly.CloseAbort.String(), "An application or its kernel aborted the socket: a RST without a FIN, or in its place."},
		{reassembly.CloseAbortUnread.String(), "A socket was closed while data lay unread in it, or came right then, so its host sent a RST."},
		{reassembly.CloseLateDataReset.String(), "Data came for a socket that was fully closed, and its host answered with a RST."},
		{reassembly.CloseNoSocketReset.String(), "A host that has no such socket, because it rebooted or forgot it, answered with a RST."},
		{reassembly.CloseDeviceReset.String(), "A device on the path sent the RST in the name of an endpoint."},
		{reassembly.CloseKeepaliveDead.String(), "Keepalive probes went unanswered, and their sender gave up."},
		{reassembly.CloseRetransmitDead.String(), "Retransmissions went unanswered, and their sender gave up."},
		{reassembly.CloseZeroWindowDead.String(), "The receiver's window closed and never opened again, and the sender gave up."},
		{reassembly.CloseReplaced.String(), "The same pair of addresses and ports opened anew, though no close was seen."},
		{reassembly.CloseOpenAtEnd.String(), "The connection was open when the capture ended. That says nothing about its health."},
	}, nil},
	{"handshake-outcomes", "How an opening ended", "The words of handshake.outcome.", []word{
		{reassembly.HandshakeUnseen.String(), "The capture began later."},
		{reassembly.HandshakePending.String(), "The handshake was under way when the capture ended."},
		{reassembly.HandshakeComplete.String(), "Both sides reached ESTABLISHED."},
		{reassembly.HandshakeRefused.String(), "The SYN was answered by a RST."},
		{reassembly.HandshakeUnanswered.String(), "The SYN, repeated or not, got no answer."},
		{reassembly.HandshakeICMP.String(), "The SYN was answered by an ICMP error."},
		{reassembly.HandshakeReset.String(), "A RST came after the SYN-ACK, before the handshake was complete."},
		{reassembly.HandshakeAbandoned.String(), "The SYN-ACK was never acknowledged."},
	}, nil},
	{"fields", "The fields of a connection", "By these names --filter, --columns, --sort and --group-by know what the JSON says of a connection. " +
		"What a connection lacks is an empty text in a filter, or a number that compares with none; known(...) asks for it.", nil, listFields},
}
