// Package kafka holds the words of the protocol: offsets, epochs, ids and error codes, spelt as Kafka spells them.
// Every other package may import it; it imports nothing of ours.
//
// What holds:
//
//	KAF-1  Every error that reaches a client has one ErrorCode; an error without one becomes UNKNOWN_SERVER_ERROR.
//	KAF-2  Codes, names and retriable flags equal Kafka 4.4's published table.
//	KAF-3  Offset, LeaderEpoch, ProducerEpoch and Sequence are distinct types; sequence arithmetic wraps at 2^31-1 in one
//	       function (Sequence.Add).
//
// How it is tested: the table against a golden file, arithmetic at its edges.
package kafka
