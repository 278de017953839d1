// Package partition is one replica of one partition: its role, its offsets, the producers it knows and who waits for it.
// replica makes and reconfigures it and feeds the followers, broker calls its verbs; it calls record, isr and a storage.Log and nothing above.
//
// A Partition costs a few hundred bytes until its first use opens its log, and it loads what it knows of producers and leader epochs
// only when something must be appended or compared.
//
// What holds:
//
//	PAR-1  Client data is appended only by the leader of the current epoch, and the epoch is checked under the lock that appends.
//	PAR-2  A follower truncates by leader-epoch divergence, never by watermark: a fetch that names the epoch it last saw is told
//	       where that epoch ended here. A cut below the high watermark happens only where the leader's epochs ask for it, with an error in the log.
//	PAR-3  Per (producer, epoch) sequences are contiguous; a repeat of one of the last five batches answers with its first
//	       offset, once that batch is as durable as asked; an older epoch is fenced. A transaction begins only with a guard that was taken
//	       before its coordinator was asked and that no marker has voided since (T8).
//	PAR-4  Last stable offset <= high watermark <= log end, and neither of the first two falls (but by such a cut). Who reads committed records gets nothing
//	       at or above the last stable offset and is told every aborted transaction in what it gets.
//	PAR-5  Each waiter completes exactly once: satisfied, expired, or the partition is no longer led here.
//	PAR-6  No wait for network, replicas or fsync under a lock; no foreign function is called under the waiters' lock. The
//	       waits under the append lock are the back-pressure of storage.Log.Append, which by design holds up the partition's writers, and a
//	       follower's cut, which has no writers. Who deletes records waits up to a second for followers, under locks for I/O only.
//	PAR-7  Producer state after a restart, open and aborted transactions included, equals the fold of the log (snapshot + what follows it). So it does
//	       after a cut: a snapshot is not written before all it tells of is committed, and one beyond a cut is deleted first.
//	PAR-8  A delayed record is seen once and never before its time. What waits equals the fold of the log, so it is so after any crash; neither
//	       retention nor a trim deletes it.
//
//	PAR-9  Damage in a log's files is mended by what another replica in sync has in its place, and only where that is proven to be what was there;
//	       meanwhile the rest is served, and nothing is taken away before what follows it is on disk.
//	PAR-10 A deletion of records (TrimTo) is answered when every replica in sync has made it, so that none of them, as leader, has the records again. A log
//	       start falls only with the log: where a follower's parts from its leader's below it, or is empty and behind all that the leader has.
//
// With other replicas, a leader keeps an isr.Leader (ISR-1..5): the high watermark is the smallest log end over all that are in sync, acks=1 waits for the
// leader's own disk only, and a leader without a lease (Host.Lease) takes nothing and lets nothing become committed. A follower's verbs are FollowPoint,
// AppendAsFollower, SyncFollower, LeaderSaid, TruncateTo and StartAt, called by one fetcher at a time; its log is a leader's in waiting: everything
// that is known is folded from what comes, and a role change reads nothing. A single replica is its own ISR and pays for none of this.
//
// Locks, in their order: Partition.compacting, Partition.maintenance (retention, trims, checkpoints), Partition.opening,
// Partition.delivering (delayed records), Partition.mu (appends), Partition.waiting.Mutex (high watermark, last stable offset and waiters; a leaf). Readers take none. The package starts no goroutine.
//
// What is remembered is bounded (P6): maxProducers, maxOpen transactions, maxGuards, maxAborted, mostUnwaited,
// Settings.MaxDelayed; each says what happens at it.
//
// How it is tested: a seeded model of producers against a naive oracle with restarts in between (PAR-3, PAR-7), the same with transactions
// and what consumers of both isolations see, compaction under transactions against an oracle, waiters under every order of append,
// durability, expiry and loss of leadership, retention as a table of cases, fuzzing of the snapshot decoders;
// delayed records against an oracle that knows what each may do, over crashes, restarts, damaged sidecars and trims (PAR-8); three replicas with
// a controller that never errs, over lossy messages, crashes and false alarms (ISR-1..5, PAR-1..8), in which known protocol bugs, put in, are found;
// the same with goroutines for the race detector.
//
// Files: partition.go (the replica), role.go, isr.go (a leader's followers), follower.go and truncate.go (a follower's verbs), open.go (first use),
// append.go, append_marker.go and append_internal.go with guard.go,
// durable.go (the high watermark) and stable.go (the last stable offset), watch.go, ack_waiter.go and ack_queue.go (who waits for an append),
// fetch_waiter.go, news.go (followers' sessions), read.go and read_all.go, inspect.go (files against checksums, digests for other replicas), mend.go and mend_fetch.go, list_offsets.go, trim.go and trim_wait.go, retention.go and retain.go, compaction.go, producers.go,
// producers_txn.go and producers_snapshot.go, aborted.go, epochs.go and epochs_snapshot.go, checkpoint.go, settings.go, stats.go;
// delayed records: delay.go (what waits), delay_heap.go, delay_due.go and delay_snapshot.go, delay_append.go, delay_deliver.go, delay_ready.go,
// delay_fetch.go and delay_move.go.
package partition
