package kafkasrv

// DeleteShareGroupState: v0
//
// Behaviour: forgets share partitions. Brokers ask it of a share coordinator.
// Left out: nothing.
var deleteShareGroupState = verb(Broker.DeleteShareGroupState)
