package kafkasrv

// StreamsGroupHeartbeat: v0-1
//
// Behaviour: joins a streams group (KIP-1071) with its topology, stays in it, learns its tasks, and leaves.
// v1 task offsets, topology descriptions
// Left out: the throttle time is 0.
var streamsGroupHeartbeat = verb(Broker.StreamsGroupHeartbeat)
