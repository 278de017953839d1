package kafkasrv

// ReadShareGroupStateSummary: v0-1
//
// Behaviour: start offset and epochs of share partitions, without their batches. Brokers ask it of a share coordinator.
// v1 count of records done, for the lag
// Left out: nothing.
var readShareGroupStateSummary = verb(Broker.ReadShareGroupStateSummary)
