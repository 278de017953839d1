package kafkasrv

// AddOffsetsToTxn: v0-4
//
// Behaviour: adds the partition of a group's offsets to a transaction; clients of transaction version 2 leave it out.
// v3 flexible · v4 TRANSACTION_ABORTABLE
// Left out: the throttle time is 0.
var addOffsetsToTxn = verb(Broker.AddOffsetsToTxn)
