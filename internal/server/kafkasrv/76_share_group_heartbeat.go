package kafkasrv

// ShareGroupHeartbeat: v1
//
// Behaviour: joins a share group (KIP-932), stays in it, learns what the member is assigned, and leaves.
// Left out: the throttle time is 0.
var shareGroupHeartbeat = verb(Broker.ShareGroupHeartbeat)
