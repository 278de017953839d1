// Package route answers the verbs of doors whose clients know one broker only, in a cluster: what is led or coordinated here is asked here, the rest
// where it is.
// textsrv and grpcsrv call it in the place of broker.Broker; it calls that, and other brokers by a small interface that app fills with
// cluster/lanes. Kafka's clients find leaders and coordinators themselves, so kafkasrv does without.
//
// What holds:
//
//	RTE-1  Messages that are published to one partition are stored in the order in which they came, each once, also when its leader moves
//	       or an answer is lost: they go by an idempotent producer. A message that is answered with an error that says so may be stored.
//	RTE-2  What concerns only partitions without other replicas that are led here goes straight to this broker, as on a node of its own.
//	RTE-3  A fetch under way at one broker is not begun anew because another has answered.
//	RTE-4  A member of a share group holds no more records than it asked for: one broker after the other is asked.
//	RTE-5  Who cannot be reached is answered for with an error that the doors try again: NETWORK_EXCEPTION of partitions,
//	       COORDINATOR_NOT_AVAILABLE of groups.
//
// Bounds (P6): messages that wait to be stored, maxWaitingBytes in all and maxStreamBytes of one partition, at which Produce waits; one fetch for each
// broker and Tail, of its MaxBytes; one connection for each broker and member of a share group.
//
// Goroutines, ended by Close: one for each partition that is being published to; one for each broker that a Tail is waiting for, ended by
// the Tail's Close. Groups learn the id and host of this broker, not of its client.
//
// How it is tested: other brokers in memory behind the seam, which move leaders, lose answers and answer twice, on a fake clock
// (testing/synctest); a seeded test of publishing while leaders move.
//
// Files: verbs.go; produce.go, stream.go and stream_send.go (publishing); fetch.go and fetch_poll.go (Tails); list_offsets.go; groups.go; share.go,
// share_member.go and share_peer.go (members of share groups).
package route
