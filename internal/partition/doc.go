// Package partition is one replica of one partition: its role, its offsets, the producers it knows and who waits for it.
// replica makes and reconfigures it, broker calls its verbs; it calls record and a storage.Log and nothing above.
//
// A Partition costs a few hundred bytes until its first use opens its log, and it loads what it knows of producers and leader epochs
// only when something must be appended or compared.
//
// What holds:
//
//	PAR-1  Client data is appended only by the leader of the current epoch, and the epoch is checked under the lock that appends.
//	PAR-2  A follower truncates by leader-epoch divergence, never by watermark: a fetch that names the epoch it last saw is told
//	       where that epoch ended here.
//	PAR-3  Per (producer, epoch) sequences are contiguous; a repeat of one of the last five batches answers with its first
//	       offset, once that batch is as durable as asked; an older epoch is fenced.
//	PAR-4  Last stable offset <= high watermark <= log end, and the high watermark never falls.
//	PAR-5  Each waiter completes exactly once: satisfied, expired, or the partition is no longer led here.
//	PAR-6  No wait for network, replicas or fsync under a lock; no foreign function is called under the waiters' lock. The one
//	       wait under the append lock is the back-pressure of storage.Log.Append, which by design holds up the partition's writers.
//	PAR-7  Producer state after a restart equals the fold of the log (snapshot + what follows it).
//
// Locks, in their order: Partition.compacting, Partition.maintenance (retention, trims, checkpoints), Partition.opening, Partition.mu
// (appends), Partition.waiting.Mutex (high watermark and waiters; a leaf). Readers take none. The package starts no goroutine.
//
// How it is tested: a seeded model of producers against a naive oracle with restarts in between (PAR-3, PAR-7), waiters under every
// order of append, durability, expiry and loss of leadership, retention as a table of cases, fuzzing of the snapshot decoders.
//
// Files: partition.go (the replica and its role), open.go (first use), append.go, durable.go (the high watermark), ack_waiter.go and
// ack_queue.go (who waits for an append), fetch_waiter.go, read.go, list_offsets.go, trim.go, retention.go and retain.go,
// compaction.go, producers.go
// and producers_snapshot.go, epochs.go and epochs_snapshot.go, checkpoint.go, settings.go, stats.go.
package partition
