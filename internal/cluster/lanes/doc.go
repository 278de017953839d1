// Package lanes asks other brokers over Kafka connections of which each carries one request at a time, so that no answer waits for another's.
// broker, queue, txnmarker and the verbs of doors call it, each by an interface of its own; app gives it the way to dial, which is peer's.
//
// Answers of a Kafka connection come in the order of the requests, and many of what brokers ask each other waits at the other side: for replicas,
// for the end of a transaction, for records. Two brokers that wait for each other's answers, each behind another one, would wait until a time-out.
//
// What holds:
//
//	LAN-1  A request is sent at once, or waits for its turn because there are as many under way to that broker as may be; never for one answer.
//
// A connection that is idle is used again, the last one first; after IdleTime it is closed, and so are all to a broker once one of them has failed,
// for they are likely to have failed too. At the limit (512 to a broker) a request waits for the next that ends.
//
// It has no goroutine; a timer closes what is idle.
//
// How it is tested: connections that the test answers, on a fake clock (testing/synctest).
package lanes
