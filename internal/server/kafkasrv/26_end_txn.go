package kafkasrv

// EndTxn: v0-5
//
// Behaviour: commits or aborts a transaction; answered when the decision is stored, before its markers are.
// v3 flexible · v4 TRANSACTION_ABORTABLE · v5 raises the epoch and tells the next one (KIP-890)
// Left out: the throttle time is 0.
var endTxn = verb(Broker.EndTxn)
