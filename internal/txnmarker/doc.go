// Package txnmarker writes the markers of decided transactions and tells the coordinator when all of them are written.
// The runtime of the transaction coordinator hands it decisions (Sender.OnEffect) and broker has it write markers for operators (Local); it
// calls partition through replica, the runtime of the groups for the partitions of __consumer_offsets, and other brokers (Remote) for the partitions
// that they lead.
//
// What holds:
//
//	TXN-2  The decision is committed before the first marker leaves: effects come only after that, and nothing else starts a marker.
//	TXN-4  A transaction is reported as written only after every marker is committed, or its partition exists no more.
//
// A marker that cannot be written now is tried again, ever more slowly, until it is written or this node no longer coordinates the
// transaction; whoever does then sends it again. So a partition may get a marker twice, which does nothing.
//
// Each decision is one job and there is one job for each transactional id, so that memory is bounded by the decided transactions the
// coordinator remembers. Markers go out in batches, one queue for each broker; a batch is written without waiting in between, and waits for
// its commit as a whole. A Sender has one goroutine and one for each batch under way, of which each broker has maxBatches at most.
//
// How it is tested: a fake coordinator and fake brokers that fail, delay and forget, on a fake clock (testing/synctest); Local over real
// partitions.
//
// Files: sender.go (jobs), batch.go (what a batch does), retry.go, local.go (this node's partitions), remote.go (others'),
// coordinator.go.
package txnmarker
