package kafkasrv

// OffsetCommit: v2-10
//
// Behaviour: stores the offsets of a group. Every partition has its own error; one whose topic or number does not exist is not stored.
// v5 no retention time of its own · v6 leader epochs · v7 static members · v8 flexible · v9 members of KIP-848 groups · v10 topic ids
// Left out: v0 and v1, which Kafka 4 dropped. The throttle time is 0.
var offsetCommit = verb(Broker.OffsetCommit)
