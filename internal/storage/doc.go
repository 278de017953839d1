// Package storage is the seam below Kafka: an engine stores stamped batches by offset and knows nothing of producers, groups or
// replicas. partition, replica and compact call it; seglog and memlog implement it; logtest is part of the contract.
//
// What holds (every engine passes internal/storage/logtest):
//
//	STO-1  Offsets strictly rise; the log end is the last offset + 1.
//	STO-2  Read returns whole batches, first the one containing or following from; at least one batch if any exists below the
//	       limit.
//	STO-3  What Sync confirmed survives a crash; what it did not may vanish, only as a suffix.
//	STO-4  TruncateTo cuts on a batch boundary, is durable before the next append is, and no reader sees old bytes under new
//	       offsets.
//	STO-5  The log start never falls; an open Extent stays readable through TrimTo, compaction and roll.
//	STO-6  One writer at a time, readers never block it.
//	STO-7  After an I/O error the log refuses everything until reopened.
package storage
