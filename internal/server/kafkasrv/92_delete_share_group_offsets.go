package kafkasrv

// DeleteShareGroupOffsets: v0
//
// Behaviour: forgets topics of an empty share group.
// Left out: nothing.
var deleteShareGroupOffsets = verb(Broker.DeleteShareGroupOffsets)
