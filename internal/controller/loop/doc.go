// Package loop runs the controller: it turns requests into committed records and committed records into images. broker's
// administrative verbs call it and app starts it; it calls controller, quorum and metadata.
//
// One goroutine decides: it takes every request that waits, lets the pure controller decide each on the image as the ones before it
// will leave it, and commits all their records as one batch, so that a hundred topics asked for at the same time cost one fsync. One
// goroutine follows the store: it folds each batch into the next Image and tells the publishers, in their fixed order. A request is
// answered when the image of this node has its records and every publisher has returned: you read what you wrote.
//
// What holds:
//
//	LOP-1  A request is answered after the image of this node has its records and every publisher has returned.
//	LOP-2  Publishers are called one at a time, in the order of the records, each with a delta that begins where the last one ended.
//	LOP-3  Requests decided together are committed all or none; what was decided in an older term or on an older image is void and
//	       not tried again.
//	LOP-4  A request whose caller gave up happens as a whole or not at all.
//
// How it is tested: against the in-memory store and one that fails, is slow or is taken away; random concurrent requests whose answers
// are checked against the image that the caller sees next; fsyncs counted.
package loop
