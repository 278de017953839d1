// Package controller decides every change of the cluster's metadata: from an image, a request and what Env holds it makes records and
// an answer. It is called by controller/loop, which commits the records, and it calls config for the rules of settings. It starts no
// goroutine, reads no clock, rolls no dice and touches no disk (ids come from Env).
//
// What holds:
//
//	CTL-1  Pure: same image, request, time and ids give the same records.
//	CTL-2  Every leader is in the ISR, or the record says unclean.
//	CTL-3  The leader epoch rises by one at each leader change; the partition epoch at each ISR or replica change.
//	CTL-4  A fenced or shutting-down broker leads nothing new.
//	CTL-5  A topic id is never reused.
//	CTL-6  One answer's records are committed all or none.
//
// Codes and messages are Apache Kafka's, word for word where tools and people know them.
//
// How it is tested: a table of every refusal with its code and message, seeded random requests against random images whose records
// must fold and whose result must satisfy CTL-2 to CTL-5, and the same request twice (CTL-1).
//
// Files: env.go (what decisions depend on), one file per decision (topics_create.go, topics_delete.go, partitions_add.go,
// configs_alter.go, producer_ids.go, bootstrap.go), names.go, placement.go, settings.go (the rules they share).
package controller
