package kafkasrv

// InitializeShareGroupState: v0
//
// Behaviour: begins the state of share partitions at an offset. Brokers ask it of a share coordinator.
// Left out: nothing.
var initializeShareGroupState = verb(Broker.InitializeShareGroupState)
