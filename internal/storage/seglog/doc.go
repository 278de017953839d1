// Package seglog is the storage engine that keeps partitions on disk in Apache Kafka's own segment layout.
// app opens it, partition uses its logs through package storage; it calls vfs and nothing else.
//
// Three places hold a record on its way:
//
//	tail     memory of our own: every append lands here and is readable at once; recent data stays as a cache (pool.go, tail.go)
//	journal  one per data directory: small appends of all partitions, written together and made durable by one fsync
//	         (journal.go, journal_turn.go, journal_read.go, commit.go)
//	segment  the partition's .log file in Kafka's layout: large appends go here directly, small ones when enough of them
//	         have come together or their journal file is wanted again (flush.go)
//
// An append is durable when it is in the journal or in its segment. So a thousand partitions with a record each cost one write and one
// fsync, a stream of large batches is written once, by direct I/O from reused memory, and a partition that nobody writes to costs no
// file and no goroutine. docs/adr/0001-log-io.md has the measurements behind it.
//
// What holds:
//
//	SEG-1  A segment's file name is its base offset in 20 digits; segments are contiguous; exactly one is active.
//	SEG-2  Indexes are hints, rebuilt from the log at will, never trusted after an unclean stop.
//	SEG-3  Recovery scans from the recovery point and cuts the active tail at the first bad batch. Damage anywhere else is an error of who reads it,
//	       told to the owner (Config.OnRot), and never skipped or served: what comes from a file is checked on its way, by its checksum and by
//	       its place, which no checksum covers.
//	SEG-4  A rolled segment is immutable; replacements arrive by rename through .cleaned and .swap.
//	SEG-5  The clean-stop marker is removed before the first append.
//	SEG-6  Group commit: one fsync covers every append that finished before it began.
//	SEG-7  A journal file is used again only after everything in it is durable in its segments.
//	SEG-8  A segment's file is made only after the one before it is complete and durable, so only the last can be torn.
//
// Memory for what is in segments already grows with those who read from files (pool.go, Options.HotLeast).
//
// Goroutines, per data directory: the committer, one that turns the journal's files ahead of it, the flush workers (Options.Workers) and one janitor. All
// end in Close.
// Locks: Engine.mu, then Log.mu, then pool.mu, fileCache.mu, journal.mu and space.mu (leaves); journal.turning before journal.mu. No I/O under Log.mu.
//
// A disk without room takes nothing offline (room.go): what was not written is announced to nobody and kept in memory, appends are refused with
// storage.ErrFull, also those that wait for memory, reading goes on, and the janitor has everything written when there is room. After a sync that failed
// for want of space all that it was to make durable is written again through another open file; where that is not in memory any more, the log fails.
//
// Beside reads, Inspect and CheckIndex (inspect.go) go over files for the scrub and for comparisons of replicas.
//
// How it is tested: single bits flipped all over a log; no room for each kind of write, and for any at random, with crashes; logtest's conformance, metamorphic and crash suites over a file system that crashes on demand; torn tails at every
// byte; journal replay, also after a crash while it turned to another file; fuzzing of index, journal and checkpoint decoders.
package seglog
