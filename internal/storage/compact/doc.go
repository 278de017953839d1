// Package compact decides what log compaction removes from a segmented log, and removes it.
// The replica manager's cleaner calls it; it calls storage.Segmented and record. It keeps no clock, no goroutine and no state: what
// is known of a log comes in with State, and what is to be remembered goes out with Result.
//
// What holds:
//
//	CMP-1  Order and offsets never change; a batch that is kept keeps its first and last offset and its producer's sequence.
//	CMP-2  The latest record of a key below the cut always survives; a tombstone survives at least the retention.
//	CMP-3  Nothing at or above min(high watermark, last stable offset, active segment) is touched.
//	CMP-4  Producer state and transaction markers stay reconstructible: a marker stays while data of its transaction is there, an abort
//	       marker also while readers are still told of the transaction (State.Aborted), and the last batch of an active producer stays,
//	       without records if need be.
//	CMP-5  A crash at any step leaves the old or the new segment, never a mix (the engine's ReplaceSegments).
//
// It follows Kafka's log cleaner: dirty ratio and compaction lags decide when; a map from key to latest offset is built over the dirty part
// and everything below is filtered by it; tombstones and markers of vanished transactions get a delete horizon in their batch when they
// are first met and go after it (KIP-534); aborted records go at once; records without a key go. Two more strategies keep a
// time window; see Strategy.
//
// How it is tested: against a map as oracle with random histories, transactions and crashes, over the in-memory engine; each rule by itself.
//
// Files: policy.go and plan.go when and what · run.go passes and groups of segments · keymap.go and index.go the latest offset of each key ·
// filter.go batch by batch · transactions.go which are aborted and which have vanished.
package compact
