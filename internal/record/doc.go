// Package record reads, checks, stamps and builds record batches of Kafka's format v2 (magic 2, KIP-98).
// It is called by partition, compact, the doors and the command line; it calls nothing but the codecs.
//
// What holds:
//
//	REC-1  After Validate the bytes of a batch never change except by Stamp, which writes base offset (bytes 0-7) and leader
//	       epoch (12-15), both outside the CRC; only LogAppendTime topics also rewrite attributes and max timestamp and
//	       then recompute the CRC (StampAppendTime).
//	REC-2  No function panics, over-reads or allocates more than proportionally on any input. What is decompressed is bounded by
//	       what the caller allows; where batches are only walked (Validate, FindTimestamp, MaxTimestamp) memory is constant.
//	REC-3  For a producer's batch last offset delta = record count - 1; after compaction a batch keeps its first and last
//	       offset.
//	REC-4  Nothing is decompressed unless topic rules or a hook ask; which rules ask is one function (Rules.NeedsRecords).
//
// How it is tested: batches that franz-go writes and reads, round trips in every codec, decompression bombs whose allocations are counted,
// fuzzing of every decoder.
//
// Files: header is the fixed part and the walk over batches; check says whether one is whole; rules, validate and recompress are the produce
// path; stamp writes what the broker adds; records and walk read, build writes; codec, decompress, compress and snappy are the codecs; control
// is transaction markers; ask is what records of topics with delays ask for, held the batches in which they wait.
package record
