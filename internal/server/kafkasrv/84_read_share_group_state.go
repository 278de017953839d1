package kafkasrv

// ReadShareGroupState: v0
//
// Behaviour: the state of share partitions, for the broker that begins to lead them. Brokers ask it of a share coordinator.
// Left out: nothing.
var readShareGroupState = verb(Broker.ReadShareGroupState)
