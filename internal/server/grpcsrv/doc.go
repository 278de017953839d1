// Package grpcsrv serves rafka.BrokerService, with reflection and the standard health service beside it.
// internal/app gives it a listener; it calls the verbs of broker. api/rafka/rafka.proto is the contract, docs/guide/grpc.md shows its use.
//
// What holds:
//
//	RPC-1  An answer to Publish means that the message is stored, at the offset it names.
//	RPC-2  Consume replays and then follows; gRPC's flow control is its back-pressure, and it ends only as asked, by the client,
//	       by the end of its topic or by a shutdown.
//	RPC-3  A call that is not served answers UNIMPLEMENTED and says what to do instead.
//	RPC-4  An answer to Acknowledge or UpdateOffset means that the offset is committed; Consume for a group goes on at its offsets.
//	RPC-5  Members of a group are members as Kafka's clients are, and a stream of a member ends when its group rebalances.
//
// How it is tested: a real client over an in-memory listener and the broker in memory.
package grpcsrv
