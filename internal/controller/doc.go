// Package controller decides every change of the cluster's metadata: from an image, a request and what Env holds it makes records and
// an answer. It is called by controller/loop, which commits the records, and it calls config for the rules of settings. It starts no
// goroutine, reads no clock, rolls no dice and touches no disk (ids come from Env).
//
// What holds:
//
//	CTL-1  Pure: same image, request, time and ids give the same records.
//	CTL-2  Every leader is in the ISR, or the record says unclean: then the leader alone is in the ISR.
//	CTL-3  The leader epoch rises by one at each leader change and when a replica is taken away; the partition epoch at each ISR or replica change.
//	CTL-4  A fenced or shutting-down broker leads nothing new.
//	CTL-5  A topic id is never reused.
//	CTL-6  One answer's records are committed all or none.
//
// Codes and messages are Apache Kafka's, word for word where tools and people know them.
//
// Partitions change by one rule, settle, whatever the reason: a broker dies, comes back, stops or has lost its disk, a leader proposes an
// ISR, an operator reassigns or elects, Upkeep evens out. So a partition never has no leader while somebody who may lead it is alive, a
// leader that was elected without unclean has everything that was acknowledged, and a reassignment takes nothing away before what replaces
// it is in sync. That rests on what leaders hold to: the watermark does not move while fewer are in sync, as committed, than
// min.insync.replicas asks for, nor while a member of the maximal ISR lacks the records (ISR-2, ISR-5).
//
// What one decision does is bounded (P6): maxChanges partitions, then the caller asks again; maxHandovers leaders and the caller's limit of
// reassignments in one call of Upkeep; Env.MaxPartitions of one request and of the cluster.
//
// How it is tested: a table of every refusal with its code and message; seeded random requests against random images whose records
// must fold and whose result must satisfy CTL-2 to CTL-5, and the same request twice (CTL-1); a model of a whole cluster in which brokers
// replicate, die, lose disks and come back while operators interfere, which knows what was acknowledged and looks whether each leader has
// it; Upkeep until it rests.
//
// Files: env.go (what decisions depend on), one file per decision (topics_create.go, topics_delete.go, partitions_add.go, configs_alter.go,
// producer_ids.go, bootstrap.go, claim.go, features_update.go, brokers_register.go, brokers_fence.go, brokers_leave.go, isr_alter.go,
// leaders_elect.go, reassign.go, upkeep.go with upkeep_replicas.go, upkeep_leaders.go, upkeep_load.go and balance.go); settle.go (the rule of partitions), changes.go
// (what a decision has changed so far), names.go, placement.go, settings.go (the rules they share).
package controller
