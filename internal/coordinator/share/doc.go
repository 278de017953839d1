// Package share decides what share groups deliver (KIP-932): Partition says who holds which record, Shard keeps what must survive a restart.
// internal/queue asks a Partition for each group and topic-partition that is led here (how, stands above the type); coordinator.Runtime runs
// Shard over __share_group_state, and the share coordinator's verbs ask it through that. Partition calls nothing; Shard calls timeline and wire.
//
// A Partition is a window over the log, from the first record that is not done to the last that has been read. It is kept in chunks of up to
// 512 offsets, each one slot for all of them until they differ: a batch that is taken and accepted as a whole costs one entry. Beyond Kafka it
// keeps records of one key in order, lets released records rest, and holds back records until a time that their producer named. It learns of
// keys and times as the host reads the log on; after a restart the window is read again, so neither has to be written anywhere.
//
// What holds:
//
//	SHR-1  Every record between start and end offset is Available, Acquired, Acknowledged, Archiving or Archived.
//	SHR-2  An acquired record belongs to one member until acknowledgement, release or the end of its lock. What an acknowledgement asks for
//	       happens when it is durable, and not at all if the write fails; a record that came back by itself is available at once.
//	SHR-3  The delivery count rises once per acquisition and archives at the limit.
//	SHR-4  The start offset only rises; the coordinator keeps the higher one when a write comes late. An administrator lowers it with a new
//	       state epoch (Initialize), which needs a new Partition.
//	SHR-5  Ordered by key, a record is delivered only when every earlier record of its key is done: no two of one key are in flight at once.
//	SHR-6  A record whose accept was confirmed is never delivered again; any other is delivered until it is accepted or archived.
//	COR-3  The state of a Shard is the fold of its records; a failed append leaves no trace.
//
// What is bounded: records in flight (MaxLocks), offsets remembered one by one (MaxWindow: then nothing new is read), stretches that a restart
// remembers (MaxFragments: then only the beginning of the window goes on, so that the start rises; and maxStateBatches, where Write refuses),
// locks and dead letters by the records in flight, one write under way.
//
// How it is tested: every operation in random order, with failed and lost writes and restarts, against an oracle of one struct per offset;
// transcripts of the graph of states in testdata; records and the merging of batches against what Kafka 4.4's own classes wrote; fuzzing of
// the decoder and of whatever hosts and clients may say.
//
// Files: partition.go, settings.go, state.go (states and their graph), batch.go (what a host reads), next.go (where to read), learn.go (what is
// new to the window), acquire.go, acknowledge.go, release.go (locks that end, members that leave, logs that are trimmed), persist.go (writes),
// deadletter.go, stats.go; below them window.go and chunk.go (records), keys.go, lock.go. shard.go and persister.go (the coordinator's verbs),
// records.go, combine.go (how batches are laid over each other).
package share
