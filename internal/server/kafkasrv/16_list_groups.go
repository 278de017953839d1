package kafkasrv

// ListGroups: v0-5
//
// Behaviour: the groups of every kind that this broker coordinates. While some are being loaded the whole answer is
// COORDINATOR_LOAD_IN_PROGRESS, so that nobody takes a part for all.
// v3 flexible · v4 states and a filter by them · v5 kinds and a filter by them
// Left out: nothing.
var listGroups = verb(Broker.ListGroups)
