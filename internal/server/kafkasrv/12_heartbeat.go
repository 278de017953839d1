package kafkasrv

// Heartbeat: v0-4
//
// Behaviour: says that a member of a classic group is alive, and tells it when the group rebalances. While the group is being loaded it is answered
// without an error, as by Kafka: nobody can say yet that the member is gone.
// v3 static members · v4 flexible
// Left out: the throttle time is 0.
var heartbeat = verb(Broker.Heartbeat)
