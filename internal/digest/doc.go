// Package digest compares what the replicas of a partition hold, by checksums of their batches, and has the words in which brokers ask each other for them.
// replica asks and answers; it calls record and kafka and nothing else. It is pure.
//
// Replicas hold the same batches, byte for byte, because followers append what their leader sent. Where a segment ends, what lies in a journal or in
// memory, and what codec a file system uses make no difference, so batches are what is compared: each by its place and by 64 bits of what is in
// it. Only compaction changes batches, on each replica in its own time: below the offset up to which some replica is compacted nothing is compared, and only
// every batch's own checksum is verified.
//
// What holds:
//
//	DIG-1  Replicas that hold the same batches are found equal, however each of them was asked and however far each answer went.
//	DIG-2  What differs between two offsets that were compared is found, with the first offset, and no replica is blamed that holds what most do, nor,
//	       where there is no majority, the leader.
//	DIG-3  A decoder reserves no memory for what is not there, and takes no bytes that an encoder does not make.
//
// How it is tested: random logs with one change, read in random pieces, against what was changed; fuzzing of the decoders.
package digest
