// Package memlog is the storage engine that keeps partitions in memory.
// app opens it, partition uses its logs through package storage; it calls vfs if it is told to keep a write-ahead log.
//
// A log is a list of segments, a segment a list of chunks of up to 64 KiB with whole batches. Bytes that were written never change, so an
// extent aliases them and costs no copy; the garbage collector frees a chunk when neither the log nor an extent has it. What bounds the
// memory is the topic's retention.
//
// Without Options.Dir everything is durable as soon as it is appended, and forgotten at Close: OnDurable is called by Append, on the
// caller's goroutine. With it every change is written to a log of its own, synced in groups, and now and then everything is written to a
// snapshot, after which the log begins anew:
//
//	snapshot-00000000000000000003   all logs as they were when wal-3 began
//	wal-00000000000000000003        what changed since, in frames: length 4, CRC-32C 4, kind, log, content
//
// Opening reads the newest whole snapshot and the logs from it on. A torn frame at the end of the last is cut; anywhere else it is damage,
// and the engine does not open. Appends go to memory and to the log's buffer under one lock, so the order is the same in both, and what a
// crash loses is a suffix. Config.FlushMessages, FlushInterval, IndexInterval and Preallocate mean nothing here.
//
// What holds, beside what storage promises of every engine:
//
//	MEM-1  Bytes of a chunk never change once they can be read; a truncated chunk is not appended to.
//	MEM-2  A snapshot and the write-ahead log that begins with it are cut at one instant of all logs.
//	MEM-3  A write-ahead log is deleted only after a later snapshot is durable.
//
// Goroutines, with Options.Dir only: the committer, and one that writes a snapshot while there is one to write. Both end in Close.
// Locks: wal.telling, which TruncateTo takes so that no OnDurable from before it comes after it; Engine.mu; Engine.ops, shared by who
// changes a log and taken whole to cut a snapshot; Log.mu; wal.mu. All are held for memory work only, wal.telling for OnDurable too.
//
// A disk without room refuses appends early (storage.ErrFull, Options.ReserveBytes) and takes them again when there is room. A write or
// sync that fails takes all logs offline until the engine is opened again.
//
// How it is tested: logtest's conformance, metamorphic, crash and fault suites, with and without a write-ahead log; torn and damaged files.
//
// Files: engine, log, cut, read, lookup, segments, segment, sidecar · wal.go the buffer and who waits for it · commit.go writing it ·
// frame.go what is in it · snapshot.go and recover.go the whole state out and in.
package memlog
