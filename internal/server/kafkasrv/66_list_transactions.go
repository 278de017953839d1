package kafkasrv

// ListTransactions: v0-2
//
// Behaviour: the transactional ids that this broker coordinates, by state, producer, age and pattern.
// v1 age · v2 pattern
// Left out: nothing.
var listTransactions = verb(Broker.ListTransactions)
