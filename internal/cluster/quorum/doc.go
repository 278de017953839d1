// Package quorum is the store of metadata records: Store is the seam, Local keeps the records of one node in a checksummed file.
// controller/loop commits to it and follows it, app opens it; it calls metadata and vfs. A cluster implements Store over consensus;
// quorumtest is part of the contract.
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
// How it is tested: quorumtest against both kinds of Local; a crash of the in-memory file system at every one of its sync points,
// with unsynced blocks lost, kept or torn, after which every acknowledged commit must be there (QUO-1); every byte of a log flipped
// and every length cut; disk errors in every call in turn; a fuzzed frame decoder.
package quorum
