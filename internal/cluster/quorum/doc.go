// Package quorum is the store of metadata records: Store is the seam, Local keeps the records of one node in a checksummed file, Cluster
// keeps those of several nodes in etcd, and Switch goes over from one to another while it is used.
// controller/loop commits to it and follows it, app opens it and hands its etcd the connections of the peer port; it calls metadata and
// vfs. quorumtest is part of the contract.
//
// What holds:
//
//	QUO-1  Commit returns nil only if the records are durable and every Follow of this node has taken them.
//	QUO-2  All nodes apply the same records in the same order.
//	QUO-3  A commit carries its term; a deposed leader's commit fails, it is not retried silently.
//
// Local has no goroutine of its own and costs nothing while nobody commits. Commits that wait at the same time share one fsync. Its
// file is metadata.log in the data directory (docs/format/metadata.md): a snapshot, then frames of committed batches. When it has
// grown, a new file with a snapshot takes its place by rename.
//
// Cluster has etcd embedded on voters and learners, and a client of them elsewhere. Every batch is a key, and every commit a transaction
// that compares and moves the key of the head. So two commits never take the same place (QUO-2), and the first commit of a term is the
// end of all terms before it (QUO-3). A node's own commits reach it by the watch that everybody has. The node whose etcd leads is the
// controller; it says so (Leadership.Here) only after it has everything that was committed before. etcd listens on two unix sockets,
// to which RaftConn and ClientConn connect. It ends the process if its disk fails: what a voter has promised must not be guessed.
//
// External is a Cluster whose etcd others run. It has no members of ours; who has put a key that its lease keeps decides, and the revision at
// which it did is the term.
//
// What is bounded: the tail of batches that followers may lag behind (64 MiB), the log behind a snapshot (4 MiB or 5,000 batches, or the
// size of the snapshot if that is more), the commits that share a transaction (256, and MaxBatchBytes), etcd's database (8 GiB).
//
// Goroutines, all of which have ended when Close returns: of a member the reader, the watch of the leadership, the committer and the
// compactor, and for a while one that tells the others a new address; of a client the first two; of an External the reader, the election,
// the committer and the compactor. etcd has its own. Locks:
// Switch.telling before Switch.mu; feed.mu, which guards also what Local and Cluster add to the feed, and embedded.mu and said.mu are
// leaves; watcher.mu is held while somebody is told of a leadership; Cluster.asking and embedded.handling are held for reading while etcd
// is asked, and taken to end it.
//
// How it is tested: quorumtest against both kinds of Local, against a Cluster, and against a Switch before and after it went over. Local:
// a crash of the in-memory file system at every one of its sync points, with unsynced blocks lost, kept or torn, after which every
// acknowledged commit must be there (QUO-1); every byte of a log flipped and every length cut; disk errors in every call in turn.
// Cluster: three real etcds in the test's process, joined through TCP as peer ports join them, whose leader is killed or cut off, of which one
// gets a vote and loses it; an etcd as others run it. Fuzzed
// decoders of everything that is read.
//
// Files: store.go (the seam), feed.go and follow.go (what all stores share); local.go, commit.go, log_file.go, log_file_replace.go,
// frame.go (Local); cluster.go, cluster_start.go, cluster_read.go, cluster_commit.go, cluster_leader.go, cluster_compact.go,
// cluster_client.go (Cluster), keys.go (its layout), ask.go (what may be asked again), voters.go, membership.go and ids.go (who belongs to it), import.go,
// marker.go (which directories count), etcd.go and logger.go (the embedded etcd), external.go (an etcd of others); switch.go and
// switch_seat.go (Switch).
package quorum
