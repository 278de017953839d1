// Package queue gives the records of partitions to share groups: it runs share.Partition for the partitions that this node leads.
// broker calls its verbs, app makes it; it calls share (which decides), partition and replica (the logs), and by two small interfaces the
// coordinators: Persister keeps the states, Groups has the members.
//
// A share partition is a share group's view of one partition. It is made when a member first fetches, from the state that the share coordinator has,
// and thrown away when the group has no session here, when the node does not lead the partition any more, or when the share coordinator says that
// somebody else has changed the state. Losing it loses nothing but locks: what is not durably acknowledged is delivered again.
//
// What holds:
//
//	QUE-1  A share session belongs to one member and one connection; its requests follow each other by epoch, and there are as many as
//	       group.share.max.share.sessions at most. When it ends, also because the connection does, what its member holds is given back.
//	QUE-2  An acknowledgement is answered when the share coordinator has it. If it could not be written it did not happen: the member
//	       still holds the record.
//	QUE-3  After a restart nothing is delivered whose acceptance was answered, and everything else is. Where a group begins is durable
//	       before the first record is given out.
//	QUE-4  A dead letter is durable in its topic before its record is archived, and is tried until it is, unless settings forbid it.
//	QUE-5  A share partition works for one leader epoch of its partition. Whoever is fenced throws it away.
//	QUE-6  With share.ordering=key no two records of one key are held at once, and a record of a key is given out only when the earlier
//	       ones of that key are done.
//	QUE-7  Records in answers stay within AnswerBytes until AnswerWritten, but for the last batch of each that were read at the same moment.
//	QUE-8  What the groups' coordinator asks of the share coordinator happens in the order in which it was asked, one after the other.
//
// The locks of records, delivery counts and limits are share's: SHR-1 to SHR-4.
//
// Goroutines, started by Start and ended by Close: 16 that read states of the share coordinator and write changes to it, two that write dead letters, one for the effects of
// the groups' coordinator, one for all times (locks that end, records that have rested, attempts that are due). None per group or partition; a
// fetch that waits does so in its caller's. A question that several brokers have to answer takes one for each, ended with it.
//
// In a cluster share partitions are where their partition is led, and states where the partition of __share_group_state is led that they belong to:
// ClusterStates asks there. What goes to other brokers beside that: dead letters, to the leader of their partition, and questions for log ends.
// Locks, in their order: sharePartition.reading (I/O happens under it), sharePartition.mu, then leaves: sessions.mu, Manager.mu, timers.mu, pending.mu,
// effects.mu, answers.mu before room.mu.
//
// How it is tested: over logs and a share coordinator in memory on a fake clock (testing/synctest), with writes that fail, hang and are fenced; a
// seeded test in which many consumers accept, release, forget and vanish while the manager is restarted, checked against what each of them saw; and
// over the share coordinator itself.
//
// Files: manager; session; fetch (the request), fetch_wait (waiting), take (one partition of it), look and aborted (what is in a batch), answers; acknowledge;
// leave; share_partition with load, changes (writes), waiters, timers and pending; deadletter with deadletter_topic and deadletter_record; effects and groups;
// offsets_describe with offsets_ends, offsets_alter, offsets_delete; persister, states and states_elsewhere (with its verbs); room; stats.
package queue
