package kafkasrv

// DescribeShareGroupOffsets: v0-1
//
// Behaviour: where share groups begin to read, by partition.
// v1 lag
// Left out: nothing.
var describeShareGroupOffsets = verb(Broker.DescribeShareGroupOffsets)
