// Package txn is the state machine of transactions: one Shard holds the transactional ids of one partition of __transaction_state.
// The verbs of broker ask it through coordinator.Runtime, which commits its records; txnmarker carries out its effects. It calls nothing but
// the containers of timeline. It is pure: time and the image come with each operation, producer ids with each request.
//
// A producer gets its id and epoch (InitProducerID), its partitions are added by itself or by the brokers it writes to (AddPartitions), and it
// ends the transaction (EndTransaction). Then markers are written to the partitions, and the transaction is complete (MarkersWritten). Both
// protocols work side by side, even for one producer in turn: with version 2 (KIP-890; EndTxn v5) every end of a transaction raises the
// epoch, so that nothing late can land in the next one.
//
// What holds:
//
//	TXN-1  States follow the graph (states in state.go); Shard.move is the only place that emits a transaction.
//	TXN-2  The decision is committed before the first marker leaves: SendMarkers is an effect of the operation that decides.
//	TXN-3  A decision never changes: from Prepare… the only way leads to the Complete… of the same kind.
//	TXN-4  Complete… is emitted only when every marker is written, or there is none to write.
//	TXN-5  An older epoch of the producer can neither add partitions nor end a transaction, nor disturb the one that followed it.
//	TXN-6  A transaction past its time-out is aborted and its producer fenced by raising the epoch.
//
// Where Kafka answers CONCURRENT_TRANSACTIONS while the markers of the last transaction are on their way, here the request waits and goes on
// in the operation that completes it, within limits (waiting.go). What follows is better than Kafka on purpose: the producer that names its
// own id and epoch in InitProducerId while its transaction is open gets the next epoch instead of PRODUCER_FENCED; one that was fenced
// cannot abort its successor's transaction by asking; an EndTxn that repeats another instance's is refused; a repeated InitProducerId is
// known after a load too (a tagged field of ours, which Kafka's tools pass over).
//
// How it is tested: transcripts of every request in every state, a seeded random run of many producers of both protocols with crashes,
// lost marker acknowledgements, time-outs and fencing against an oracle, the bytes of Kafka's own classes, a fuzz target for the decoder.
//
// Files: state.go and transaction.go (what a transactional id goes through), record.go (the log's format), shard.go, one file for each
// request (init_producer_id.go, add_partitions.go, end_txn.go, list.go), markers.go, waiting.go, timeout.go (time-outs and expiry).
package txn
