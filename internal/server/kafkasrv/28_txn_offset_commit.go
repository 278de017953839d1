package kafkasrv

// TxnOffsetCommit: v0-6
//
// Behaviour: stores offsets of a group that count when the transaction commits.
// v2 leader epochs · v3 flexible, checks of the member (KIP-447) · v4 TRANSACTION_ABORTABLE · v5 adds the group to the transaction by itself
// (KIP-890) · v6 topic ids
// Left out: the throttle time is 0.
var txnOffsetCommit = verb(Broker.TxnOffsetCommit)
