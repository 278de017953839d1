package kafkasrv

// ConsumerGroupHeartbeat: v0-1
//
// Behaviour: joins a KIP-848 group, stays in it, tells what the member owns, learns what it is assigned, and leaves.
// v1 regular expressions, member ids made by clients (KIP-1082)
// Left out: the throttle time is 0.
var consumerGroupHeartbeat = verb(Broker.ConsumerGroupHeartbeat)
