// Package coordinator runs the shards of groups, transactions and share groups: each partition of an internal topic is a state machine that folds
// the partition's records, decides on requests and appends what it decided.
// broker asks it (Ask, AskLater, Read), app wires it, tells it each metadata image and gives it the partitions of the topic; the shards are pure
// and lie above it.
//
// An operation runs on the goroutine of who asks, under the shard's lock: the shard decides, its records become one batch, the batch is
// appended, and the lock is free again. Who asked then waits for the high watermark, together with all others.
//
// What holds:
//
//	COR-1  A shard runs one operation at a time.
//	COR-2  An answer is released only after every record it depends on is committed.
//	COR-3  Shard state at offset o is the fold of the records up to o; a failed append reverts it to what was before.
//	COR-4  Phases follow the graph in host.go; only Active serves; Loading answers COORDINATOR_LOAD_IN_PROGRESS.
//	COR-5  A shard of an older leader epoch cannot append: the epoch goes along and is checked under the lock that appends.
//	COR-6  Timers enqueue operations; they never change a shard by themselves.
//	COR-7  A log that does not end where the shard left it is loaded again, never continued.
//	COR-8  What needs no commit, a read above all, is answered only while this node's lease lasts: nobody who was fenced, cut off or frozen tells what
//	       another coordinator has changed since. (Who is alive and is to lead no more may tell it until its image says so.)
//
// A new leader's log may end behind the high watermark. What is there was committed by the last leader or was not, and turns out to be so when the
// followers have fetched; until then the shard is Loading. So neither an answer nor a read ever tells of something that is taken back later, or
// misses something that was told before.
//
// Goroutines of a Runtime, ended by Close: one fires timers, one hands over effects, one for each load under way (two at once read
// their logs). Locks: host.mu, then the leaves commits.mu, timers.mu, effects.mu, Runtime.mu.
//
// How it is tested: a counter as a shard over a log in memory whose commits the test decides, on a fake clock (testing/synctest); random
// operations, failures and changes of leaders against a naive fold; goroutines counted (goleak). Shards are single-stepped by coordtest.
package coordinator
