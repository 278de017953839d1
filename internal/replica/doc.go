// Package replica holds the partitions that live on this node: it makes, reconfigures and removes them as the metadata says, finds them
// for the verbs, copies from their leaders those that are led elsewhere, and keeps house in the background.
// app starts and closes it, controller/loop tells it each image, broker looks partitions up; it calls partition and storage, and through
// Options other brokers and the controller.
//
// What holds:
//
//	REP-1  The set and roles of partitions change only in Apply, on one goroutine, in record order. A lookup reads one immutable
//	       table behind an atomic pointer. Apply waits for no other broker.
//	REP-2  Exactly one fetcher appends to a follower, that of the broker which leads it. Before a partition gets a new leader epoch, its fetcher
//	       is told to let go of it, and what that has under way for the old epoch is refused by the partition, under the lock that appends.
//	       The leader is told of an offset only when all below it is durable here.
//	REP-3  A failed directory takes offline its partitions and no others: a fetcher sets aside what it cannot write and goes on with the rest.
//	REP-4  A fetch from a fenced or unknown broker epoch changes nothing. Fetches from here carry the epoch of this broker's registration as of
//	       the moment they are made; who leads compares (isr).
//
// A fetcher copies from one broker with one request under way: fetch, append to each partition, make durable what was appended (one wait for the
// disk as a rule, since the engine commits for all), and the next fetch tells the leader. Nothing in this circle waits for a timer or another
// goroutine, and where nothing changed it allocates nothing. Requests name only what changed (KIP-227). A partition of which something went wrong
// rests a little and is taken out of the session meanwhile, so that the leader does not take it for in sync.
//
// On followers: the log start follows the leader's, retention deletes nothing by itself; segments are rolled and logs compacted as on the leader;
// delayed records are released by the leader, and by this broker from the moment when it leads. Throttles of replication
// (leader.replication.throttled.replicas, follower.replication.throttled.replicas and their rates) do not act yet.
//
// Damage on disk: the engine verifies what it reads from files, the scrub (scrub.go) reads what nobody else does, and both tell of damage by a note. One goroutine takes
// the notes and has the partition filled from another replica in sync (mend.go; PAR-9). Other brokers' repairs and comparisons are answered by Methods, and Compare
// compares the replicas of a partition wherever they are (compare.go). The controller is told of logs and directories that failed (failed.go), and of partitions
// in directories that are full and that others have in sync (room.go): nothing is fetched into such a directory until it has had room for a while, so that the
// replica is not taken for in sync before it can keep up.
//
// Goroutines, started by Start and ended by Close: the scrub, repairs, word of failed logs and of full directories, retention (retention, roll by age, producers that expired), checkpoints (snapshots
// of producers), the cleaner (compaction), the delivery of delayed records (delays.go), which opens at the start only partitions of topics whose
// settings allow delays, proposals of replicas in sync, and a fetcher for each broker that leads something which is followed here, as long as it does.
// Locks: Manager.mu guards the counters of topics that are gone, schedule.mu the times of delayed records, fetchers.mu who follows what and what
// fetchers are told (limit.mu is taken under it), mender.mu the notes of damage, proposals.mu the partitions that have something to propose. All are held for memory work;
// schedule.mu, mender.mu and proposals.mu are taken under locks of partitions.
//
// What is remembered is bounded: a fetcher and its requests by the partitions that are followed, an answer by Options.FetchMaxBytes and one batch,
// proposals by the partitions that are led, notes of damage by the partitions and notedMost places of each, a repair by 128 MiB, one at a time.
//
// How it is tested: images folded by package metadata applied over memlog; every change of topics, settings and leaders; a log that
// fails beside one that does not; background work on a fake clock (testing/synctest); goroutines counted (goleak). Three managers that fetch from each
// other over faulty connections: single cases, and random histories (seeds) of elections, deaths, late metadata, lost answers and broken disks, after
// which all replicas are equal and have all that was acknowledged, once.
//
// Files: manager.go, table.go and apply.go (the set of partitions), directories.go, settings.go, stats.go; background.go, cleaner.go and delays.go;
// fetchers.go (who fetches what), fetcher.go (the circle), fetch_request.go, fetch_answer.go, fetch_failure.go, followed.go (one partition of it),
// throttle.go, limit.go, backoff.go and peers.go; loads.go (what partitions have to do); proposals.go and heard.go (who is in sync); scrub.go, mend.go and compare.go (damage); failed.go and room.go (disks).
package replica
