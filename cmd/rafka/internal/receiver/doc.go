// Package receiver is a member of a share group (KIP-932) that never holds a message it was not asked for. The client library's own share
// consumer fetches ahead: what it holds when it ends goes back to the queue with a delivery count that is one higher, though nobody ever
// saw the message, and what waits behind a long piece of work is kept from other receivers.
// It is called by `rafka queue receive`; it calls the client library for connections, metadata and the decoding of batches.
//
// What holds:
//
//	RCV-1  Take(n) lets brokers acquire at most n messages, by one request at a time; a broker of Kafka 4.1, which counts in whole batches,
//	       may acquire more, and then the rest is what the next Take gives.
//	RCV-2  Every message that a broker says is acquired is given out, settled as a gap, or released.
//	RCV-3  A message is settled only in the share session that acquired it: one that was lost since has released it.
//	RCV-4  While a Receiver is open the group hears of it, however long the work on a message takes.
//
// A session lives as long as its connection, so the connection must not be closed for being idle: Options and LongestRest see to that.
// To wait for messages of several brokers it asks one after another, each for its share of half a second.
//
// How it is tested: against a broker in the process (commands of the queue scripts, on Rafka and on the client library's fake), and the
// decoding of what was acquired by a table and a fuzz target.
package receiver
