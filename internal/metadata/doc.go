// Package metadata holds what the cluster knows: typed records and the immutable Image that is their fold.
// Every subsystem reads one Image per request; controller makes records, quorum stores them, controller/loop folds them and tells
// publishers of each new Image. It calls kafka and nothing else.
//
// What holds:
//
//	MET-1  An Image never changes; a request uses one Image from start to end.
//	MET-2  image(n) is the fold of records 1..n; snapshot + tail gives the same image.
//	MET-3  A record type or version this node does not know stops the node before it is applied.
//	MET-4  Feature levels only rise.
//
// How it is tested: seeded random histories against a plain map as the oracle, snapshots taken at every point and continued (MET-2),
// every older image compared with its copy after later folds (MET-1), a golden file of each record's bytes, a fuzzed decoder, and
// the cost of a topic with 10,000 partitions counted in bytes.
//
// Files: image.go (Image), topics.go (Topics, Topic, Partition), configs.go (Resource, Configs), shards.go (the copy-on-write table),
// records.go (the records), encode.go and decode.go (their bytes, docs/format/metadata.md), fold.go and fold_topics.go (Fold),
// delta.go (Delta, Publisher), between.go (the Delta over a snapshot), snapshot.go (Snapshot), features.go (what this build understands).
package metadata
