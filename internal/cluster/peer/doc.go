// Package peer carries everything between brokers over one port: calls of ours, Kafka frames, what etcd says to etcd, and streams of gossip.
// app makes a Server and Peers; controller/loop, replica and txnmarker use Peers. It calls wire and kmsg, and knows no topic and no role.
//
// A Server tells the five protocols apart by the first bytes of a connection. Peers dials: one connection for calls, multiplexed, and one
// for Kafka requests, pipelined, to each broker, and as many Kafka connections of their own as fetchers ask for. The protocol of calls is
// in docs/format/peer.md. Who connects is believed what it says: the peer port belongs into a network of brokers only.
//
// What holds:
//
//	LNK-1  The first bytes decide what a connection speaks, and whoever serves it gets them: nothing that came in is missing.
//	LNK-2  Each call has exactly one result: the answer to it and to no other, its handler's error, or an error that says whether the
//	       other side can have been asked. A slow call holds up no other call.
//	LNK-3  Lengths are checked before memory is reserved for them, and memory is reserved as bytes come.
//	LNK-4  A connection for calls over which nothing came for 3 s is broken, at both sides; while it is idle, pings come every second.
//	LNK-5  OnClosed is told once of each connection that a broker meant to keep, whatever ended it.
//	LNK-6  Nothing is asked of a broker of another cluster, or of another broker that has got the address.
//	LNK-7  A broker that cannot be reached costs its callers nothing while the circuit is open; one dial at a time tries it again.
//	LNK-8  All of a broker's addresses are tried, the one that worked last first. A silent one holds up the others for 200 ms.
//	       A Probe is refused only if all of them refuse.
//	LNK-9  The bytes of a FetchFrame stay as they are until Release: builds with the tag "invariants" scribble over released buffers.
//
// What is remembered is bounded (P6): MaxConnections, maxHandlers for each connection, leastCallBytes of calls, outboxLimit, maxCalls and
// maxPipelined for each broker, maxKafkaFrame; each says what happens at it. Stats tells how much of it is used.
//
// Locks: Server.mu, session.mu, limiter.mu (leaves); Peers.mu → link.mu → outbox.mu; Peers.mu → pipeline.mu; outbox.mu → pipeline.mu. They are
// held for memory work, and for closing a connection, which does not wait.
//
// Goroutines: a Server has one for each listener and each connection, for connections with calls one that writes and one for each call under
// way, for those of etcd one more. Peers has two for each shared connection and some for each dial. All have ended when Close returns.
//
// How it is tested: loopback sockets; thousands of calls at a time against an oracle (LNK-2); every kind of first bytes, whole and a byte at a
// time; virtual time over connections in memory for pings and silence; breakers with a passed-in clock; released frames scribbled over; fuzzing
// of hellos, frames and the answers to fetches; goroutines counted (goleak).
//
// Files: server.go with first.go (which protocol), session.go (calls at the server's side), relay.go (etcd), limiter.go; hello.go and frame.go (the
// protocol of calls), outbox.go (writing), buffer.go (pooled memory), socket.go; peers.go with call.go, link.go (calls at the caller's side),
// remote.go (the connections to one broker), dial.go, breaker.go, errors.go; kafka_frame.go, kafka_conn.go, pipeline.go, fetch_frame.go (Kafka).
package peer
