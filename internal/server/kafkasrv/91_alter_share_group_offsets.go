package kafkasrv

// AlterShareGroupOffsets: v0
//
// Behaviour: sets where an empty share group begins to read.
// Left out: nothing.
var alterShareGroupOffsets = verb(Broker.AlterShareGroupOffsets)
