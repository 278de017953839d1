// Package replica holds the partitions that live on this node: it makes, reconfigures and removes them as the metadata says, finds them
// for the verbs, and keeps house in the background.
// app starts and closes it, controller/loop tells it each image, broker looks partitions up; it calls partition and storage.
//
// What holds:
//
//	REP-1  The set and roles of partitions change only in Apply, on one goroutine, in record order. A lookup reads one immutable
//	       table behind an atomic pointer.
//	REP-2  Exactly one fetcher appends to a follower. No partition follows yet: on one node this broker leads what it has.
//	REP-3  A failed directory takes offline its partitions and no others.
//	REP-4  A fetch from a fenced or unknown broker epoch changes nothing: a fetch that claims to come from a broker is refused.
//
// Goroutines, started by Start and ended by Close: retention (retention, roll by age, producers that expired), checkpoints (snapshots
// of producers), the cleaner (compaction) and the delivery of delayed records (delays.go), which opens at the start only partitions of topics whose
// settings allow delays.
// Locks: Manager.mu guards the counters of topics that are gone, schedule.mu the times of delayed records; both are leaves.
//
// How it is tested: images folded by package metadata applied over memlog; every change of topics, settings and leaders; a log that
// fails beside one that does not; background work on a fake clock (testing/synctest); goroutines counted (goleak).
package replica
