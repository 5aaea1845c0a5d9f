// Package record writes captures: the packets of chosen connections, with comments at
// those where something happens to them; the same without addresses, names and payload
// ([Anonymizer]); and what a running capture has of a connection when a finding comes up
// ([Recorder]).
//
// What is written reads as what was read: the frames are the same octets of the same
// link types, in the same order, unless they are to be anonymised. An anonymised frame
// is made from nothing: it holds what is known to be needed ([wire.Layout]) and no more,
// and is then decoded as the original was, to see that it says the same.
package record
