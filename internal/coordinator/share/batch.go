package share

import "github.com/rafka-io/rafka/internal/kafka"

// Batch is what the host read of the log: one record batch, or a stretch in which there is none. Batches come in the order of offsets.
type Batch struct {
	First, Last kafka.Offset
	// IsGone: there is nothing in it for a consumer (control batch, aborted transaction). Offsets that the log has no more between two
	// batches of one Acquire, or between what the Partition has seen and the first batch, need not be mentioned: they are archived too.
	IsGone bool
	// Records are the batch's records in the order of offsets, where the group orders by key or the batch has records with a time. nil: all
	// offsets from First to Last are plain records; those of them that compaction has removed the clients then acknowledge as gaps. Offsets that a non-nil Records leaves out are gone. Read only for offsets that are new
	// to the Partition (>= End). Not kept.
	Records []Record
}

// Record is what ordering and delay need to know of a record.
type Record struct {
	Offset    kafka.Offset
	Key       uint64          // hash of the key; 0: no key, in nobody's way
	NotBefore kafka.Timestamp // deliver not before, in ms since 1970; 0 or less: at once. Of no account once the record has been delivered
	IsGone    bool            // archive it unseen
}
