// Package join finds the cluster that a node belongs to, or founds it together with the nodes it was told of.
// app asks it before anything else of a node is opened, and serves its methods on the peer port; it calls vfs, and other nodes through a
// function that app gives it.
//
// The same command line on every node (--join A,B,C --bootstrap-expect 3), in any order and any number of times, gives one cluster. A fresh
// node asks all addresses who they are. If one of them belongs to a cluster, it asks to be admitted there. If all are fresh and there are as many as expected, the
// one with the lowest address asks each of the others for its promise, writes down what it founds, and tells them.
//
// What holds:
//
//	JOI-1  A data directory belongs to one cluster and one node id for good; both are durable before the node acts as such.
//	JOI-2  A fresh node is promised to one founder at a time, durably. A founder founds only with the promises, given in one round, of as many nodes
//	       as are expected and of more than half of the addresses that it was told to join: so two founders never found side by side.
//	JOI-3  What a founder has written down is final: whoever promised itself gets the same answer however often it asks.
//	JOI-4  A promise ends only when its founder is seen, by a question asked after it was given, not to be founding any more, or to have lost its disk.
//
// A name among the addresses may stand for several; it is resolved anew before each look. For JOI-2 it counts as one address, so that who is
// told nothing but one name must expect more than half of those behind it.
//
// How it is tested: the exchange as a random model of nodes that start, stop, lose their disks and miss messages (JOI-1..4); the identity file at
// every crash point of the in-memory file system; fuzzing of the decoder.
//
// Files: identity.go (what a data directory knows of itself), messages.go, node.go (the methods that others call), find.go (the search), found.go
// (founding).
package join
