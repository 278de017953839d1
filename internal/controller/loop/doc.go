// Package loop runs the controller: it turns requests into committed records and committed records into images, on one node or, with others,
// on whichever of them leads the store. broker's administrative verbs and replica call it and app starts it; it calls controller, quorum and
// metadata, and other nodes through cluster/peer.
//
// One goroutine decides: it takes every request that waits, lets the pure controller decide each on the image as the ones before it
// will leave it, and commits all their records as one batch, so that a hundred topics asked for at the same time cost one fsync. One
// goroutine follows the store: it folds each batch into the next Image and tells the publishers, in their fixed order. A request is
// answered when the image of this node has its records and every publisher has returned: you read what you wrote.
//
// In a cluster the node that leads the store claims its term by a record and decides; every other one sends what it is asked to that node, and
// answers when its own image is as far as that one's was. Every broker, the controller's own too, sends heartbeats to the controller, which
// keeps their leases in memory, fences who has lost one, unfences who has caught up, and does its upkeep.
//
// What holds:
//
//	LOP-1  A request is answered after the image of this node has its records and every publisher has returned, wherever it was decided.
//	LOP-2  Publishers are called one at a time, in the order of the records, each with a delta that begins where the last one ended.
//	LOP-3  Requests decided together are committed all or none; what was decided in an older term or on an older image is void. The
//	       request may be decided anew, by whoever decides then. A controller that was deposed answers nothing with a success, not even a
//	       question.
//	LOP-4  A request whose caller gave up happens as a whole or not at all.
//	LOP-5  An answer is true: success has been committed, a refusal has not happened and will not, and only REQUEST_TIMED_OUT may be either.
//	       What may have happened is asked again only where asking twice does no harm.
//	LOP-6  A broker that is alive knows that its lease has ended before the controller of its time, or any later one, fences it for its silence; and
//	       it has a lease again only after its image has the fencing. Clocks need to run at the same speed, not to agree.
//	LOP-7  Nobody but the controller fences, by a record. A process that is gone is fenced at once, when its connection breaks or a controller
//	       begins; one that keeps silent when its lease has ended; and each comes back by registering or by being heard of, without an operator.
//
// Locks: Loop.mu, membership.mu, keeper.mu and leases.mu are leaves, held for memory work only. Goroutines, all ended when Close returns: the
// decider, the follower, and with others the keeper, the sender of heartbeats, at most two heartbeats on their way, one that acts on what the
// keeper saw, one that asks the store whether this node still decides, one that registers anew, and one probe for each broker at a time.
//
// What is bounded: 256 requests that wait, 8 MiB of records of one request and of its bytes between nodes, 5,000 changes of ISRs in one call,
// 30 s for a request whose caller has no patience of its own, one lease for each registered broker.
//
// How it is tested: against the in-memory store and one that fails, is slow or is taken away; random concurrent requests whose answers
// are checked against the image that the caller sees next; fsyncs counted. Several loops in one process, in the time of a synctest bubble, over
// a store that all share and a network between them, both with random delays: the leadership moves under load and answers get lost; nodes are
// cut off, killed, stopped, started again, hung and left behind, by scripts and at random, and at every millisecond whoever is fenced must
// know that it has no lease. What other nodes send is fuzzed.
//
// Files: loop.go (the loop), request.go (deciding), follow.go (images), lead.go (who decides, and commits), errors.go; forward.go, wire.go
// and methods.go (asking others and being asked), verbs.go, verbs_partitions.go, verbs_brokers.go; member.go and heartbeat.go (this node as
// a broker); leases.go, loads.go, keeper.go, probe.go and upkeep.go (what the controller does beside requests).
package loop
