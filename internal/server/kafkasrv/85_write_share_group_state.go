package kafkasrv

// WriteShareGroupState: v0-1
//
// Behaviour: stores a change of share partitions. Brokers ask it of a share coordinator.
// v1 count of records done, for the lag
// Left out: nothing.
var writeShareGroupState = verb(Broker.WriteShareGroupState)
