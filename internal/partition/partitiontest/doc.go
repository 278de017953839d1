// Package partitiontest is a storage engine in memory for tests: the test decides when what was appended becomes durable, and whether the
// disk is full, slow or broken.
// Tests of partition, replica and broker call it; it calls storage and record. It has no crash consistency of its own and is slow.
//
// How it is tested: by its use.
package partitiontest
