// Package group is the state machine of groups: one Shard holds the groups and committed offsets of one partition of __consumer_offsets.
// coordinator.Runtime runs it and broker asks it through that; it calls config, metadata, kafka, wire and the assignors below it.
//
// A Shard answers requests as Kafka's structures have them (kmsg), whatever their version, with the error code set. Everything it decides is
// a record, which folds itself into the state the moment it is emitted and again when the log is loaded; what no record tells (who waits,
// how far a rebalance is) lives in timeline containers too, so that it reverts when an append fails. Nothing of a request's bytes is kept.
//
// What holds:
//
//	GRP-1  At any member epoch or generation a partition has at most one owner: the answers of a generation are given only after the
//	       assignment they come from is committed, and a member of an older generation is refused.
//	GRP-2  Group epoch >= target epoch >= member epochs, and a classic group's generation rises with every rebalance; none falls. The
//	       generation of a rebalance that a restart cut off is not in the log, and its number is used again.
//	GRP-3  A commit of an unknown, fenced or stale member is refused.
//	GRP-4  Offsets staged by a transaction are invisible until its marker, and who asks for stable offsets is told to wait.
//	GRP-5  An assignment depends only on sorted members, their subscriptions and the image.
//	GRP-6  A group is reconstructible from its records; timers are no state: sessions begin anew when a shard has been loaded.
//
// What is bounded: members by the settings (group.max.size and its like), ids given to joiners of a classic group who have not come back
// (maxPending), protocols a member offers (maxProtocols), names (maxName, for records can hold no longer ones), the topology of a streams
// group and the tags of its members (maxTopology, maxTags), metadata of an offset
// (offset.metadata.max.bytes); the rest of a request by its frame.
//
// How it is tested: conversations written down in testdata for the whole graph of states; random clients, restarts and failed appends against
// oracles that know only what was answered; records byte for byte against those that Kafka wrote; fuzzing of every decoder.
//
// Files: shard.go, group.go what every kind of group is, records.go how records are told apart; offset_store.go and offsets_*.go committed
// offsets, expire.go, delete.go, list.go, describe.go what is the same for all kinds; classic_*.go groups whose leader assigns, of which
// classic_group.go is the state and its fold, classic_rebalance.go the graph of states; consumer_*.go, regex.go the groups of KIP-848,
// share_*.go members of share groups, streams_*.go the groups of KIP-1071.
package group
