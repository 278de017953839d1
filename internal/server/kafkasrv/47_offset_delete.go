package kafkasrv

// OffsetDelete: v0
//
// Behaviour: removes committed offsets of topics that no member subscribes to.
// Left out: nothing.
var offsetDelete = verb(Broker.OffsetDelete)
