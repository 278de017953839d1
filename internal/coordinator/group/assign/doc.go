// Package assign decides which member of a group gets which partitions. The package group calls it; it calls nothing and keeps nothing:
// every function is pure, and what it gives out must not be written to, for unchanged parts are shared with what came in.
//
// Uniform and Range are the assignors of consumer groups (KIP-848) and Simple is that of share groups (KIP-932). None looks at racks, as none
// of Kafka 4.4's does.
//
// What holds:
//
//	GRP-5  An assignment depends only on the members (ids, instance ids, subscriptions, what they had before) and the topics: not on the
//	       order in which the members come, nor on time or chance.
//
// And, of each assignor, what its comment promises: exactly one owner of a partition (Uniform, Range), loads that differ by at most one where
// all subscribe to the same (Uniform, Simple), and no partition moved that need not (Uniform, Simple).
//
// How it is tested: seeded random groups against those promises, with joins, leaves, growing topics and changed subscriptions in between; tables
// for the small cases that people reason about; benchmarks of 10,000 partitions with 1,000 members.
//
// Files: partitions.go (sorted sets of partitions), input.go (members and topics), uniform.go (all subscribe to the same) and
// uniform_mixed.go (they do not), range.go, simple.go.
package assign
