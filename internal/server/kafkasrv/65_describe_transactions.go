package kafkasrv

// DescribeTransactions: v0
//
// Behaviour: state, producer, times and partitions of transactional ids.
// Left out: nothing.
var describeTransactions = verb(Broker.DescribeTransactions)
