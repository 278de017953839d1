package kafkasrv

// DeleteGroups: v0-3
//
// Behaviour: removes groups of any kind that have no members, with their offsets. Each group has its own error.
// v2 flexible · v3 messages
// Left out: nothing.
var deleteGroups = verb(Broker.DeleteGroups)
