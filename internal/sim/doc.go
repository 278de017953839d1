// Package sim plays whole clusters in one goroutine, from a seed, and looks for what a cluster must never do. Only its own tests call it.
//
// Three to five brokers run the real cores: controller decides over metadata images, isr and partition lead, follow, truncate and keep producers and
// transactions, the shards of group, txn and share run as coordinator runs them, and share.Partition gives records to a share group. Around them, in place of
// the shells with their goroutines and sockets (controller/loop, replica, coordinator's runtime, txnmarker, queue, broker), stands a thin driver that calls the
// same functions in the same order. It has its own:
//
//   - time: a queue of events (world); every broker's clock is off, and runs up to two percent fast or slow;
//   - network: messages are lost, late, overtake each other and come twice; links are cut in one way or both (net);
//   - disks: one sync at a time makes durable what was there when it began; a crash loses the rest, or all of it but some whole batches, and may undo a
//     cut of the tail that no sync followed; a disk is lost now and then (disk);
//   - store of metadata in place of etcd: one log, a leader in terms, commits that are lost or of which nobody learns what became (store);
//   - clients: idempotent producers with several batches under way and careless ones, transactions over partitions and offsets, readers of both
//     isolations at leaders and followers, a consumer group whose members are slow at times, a share group whose members accept, reject, give back or say nothing.
//
// Processes crash, freeze, end in order; operators reassign, elect, drain, and delete records, mostly up to the middle of a batch. The plan of a run, and the theme of its faults, come from the seed (plan). In the
// end all faults stop, and everything has to come to rest.
//
// # What holds
//
//	SIM-1  What a client was told is committed is in the log, there, for ever.
//	SIM-2  What was written at an offset in a leader epoch is one batch, on whatever broker: there is one leader in an epoch, and it forgets nothing.
//	SIM-3  High watermarks never fall in the life of a process, and what is below one of them is the same on every replica; readers see nothing else.
//	SIM-4  Whoever the metadata hold to be in sync or eligible, and each new leader, has everything that is below any high watermark, durable.
//	SIM-5  Of each idempotent producer the batches below the high watermarks are in sequence: none doubled, lost or reordered. (Not where all that it wrote was
//	       deleted: a replica that begins behind that does not know it, and takes any sequence.)
//	SIM-6  Every record of a decision keeps the laws of epochs, and elects only who may lead.
//	SIM-7  Transactions are whole over partitions and offsets: readers of committed records see all of them that are committed, and nothing of others.
//	SIM-8  A partition has one owner in a group, and its committed offset is never told to be lower than it was told before, also by who was
//	       fenced. (A coordinator that is alive, was replaced and has not heard of it yet may tell an older one.)
//	SIM-9  When faults end, everything comes to rest: led, in sync, of one length, committed, no transaction open, every client done. One seed is one
//	       run, event by event.
//	SIM-10 Known protocol bugs, put in at the driver's seams, are found.
//	SIM-11 Nothing is deleted that nobody has asked to be deleted, by leaders or followers; what a log has deleted it does not have again; when a deletion is
//	       answered whoever is in sync has made it; readers pass over nothing else.
//	SIM-12 A record that a member was told is accepted or rejected is not delivered again by whoever leads; one leader in one epoch gives a record to one member at
//	       a time; the start offset that was written never goes back; in the end every record was accepted, rejected or deleted.
//
// Where records may be lost because the settings say so (unclean elections) only what does not depend on them is looked at. A leader of a share partition that
// is alive, was replaced and has not heard of it yet may deliver again what its successor was told is done (SIM-12).
//
// Not here: compaction, retention, delayed records, dead letters and ordering by key.
//
// # Running it
//
// `go test ./internal/sim` plays some hundred; RAFKA_SIM_SEEDS=5000 so many, and looks for every mutant. A violation is printed with its seed and the last events.
// RAFKA_SEED=n plays that one only, and RAFKA_SIM_TRACE=1 prints all its events:
//
//	RAFKA_SEED=11684443328814383128 RAFKA_SIM_TRACE=1 go test ./internal/sim -run ClusterHolds -count=1
//
// A seed means the same run only as long as neither the driver nor the order in which the cores act changes.
//
// Files: world (events, trace), net, disk, store; node (a broker's life), ctl (its part as controller), replicas (following, proposals), shards, shard and
// shard_ask (coordinators), share (share partitions), server (what clients ask for); clients and one file for each kind of them; plan, faults, operators (what goes wrong), play (a run
// and its end); truth and truth_share (the checkers); mutants.
package sim
