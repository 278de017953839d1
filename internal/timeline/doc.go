// Package timeline is maps and values whose past states can be returned to and read: the memory of a coordinator's shard.
// coordinator takes a snapshot before each operation, returns to it when the operation fails, and lets readers see what is committed; the
// shards keep their state in its containers. It calls nothing.
//
// Each container keeps, for each snapshot since which it changed, what it held then: a change costs the copy of one entry, a snapshot
// nothing, and returning costs what was changed since.
//
// What holds:
//
//	TML-1  Revert(o) yields exactly the state that was there at Snapshot(o).
//	TML-2  Reads at an epoch never see later writes.
//	TML-3  Memory is bounded by the writes since the oldest snapshot that was not released.
//
// A container may be made at any time, also inside a value of another Map. One that nothing refers to any more is gone when the snapshots since
// which it changed are released.
//
// How it is tested: random writes, snapshots, reverts and releases against a model that copies everything at each snapshot.
package timeline
