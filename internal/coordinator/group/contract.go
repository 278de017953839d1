package group

// CONTRACT. One Shard holds the groups of one partition of __consumer_offsets. Three people write this package at the same time:
//   classic   owns: doc.go shard.go group.go records.go offsets_*.go classic_*.go list.go describe.go delete.go expire.go
//   consumer  owns: consumer_*.go (KIP-848), share_*.go (membership of share groups), regex.go, the package group/assign (uniform, range, simple)
//   streams   owns: streams_*.go (KIP-1071), the package group/assign/tasks
// Requests and answers are kmsg's structs as they came from the wire, whatever the version (the door has filled defaults): the package needs
// no vocabulary of its own for what Kafka's protocol defines, and gRPC and text doors build the same structs.
// An answer has its error code set; nothing here returns a Go error to verbs.
//
// Env, Client, Shard: shard.go. kind, group, named, replayed: group.go. record, decoders (enter yours in an init function of your file): records.go.
//
// Shard methods still to come (those of classic groups and offsets are in their files; exact names; the type of `later` answers is *coordinator.Reply[*kmsg.XResponse]):
//
//	streams (owner: streams)
//	  StreamsGroupHeartbeat(op, Client, *kmsg.StreamsGroupHeartbeatRequest) *kmsg.StreamsGroupHeartbeatResponse
//	  DescribeStreamsGroup(v, group string) kmsg.StreamsGroupDescribeResponseGroup
//	  StreamsGroupTopologyDescriptionUpdate(op, …)
//
// Classic members in a consumer group (a group that is being upgraded or downgraded): classic's verbs look at the kind of the group first and
// hand over to consumer_classic.go (owner: consumer): consumerJoin, consumerSync, consumerHeartbeat, consumerLeave; the conversions
// (upgrade when a ConsumerGroupHeartbeat reaches a classic group whose members all use "consumer" protocol type; downgrade when the last
// consumer-protocol member leaves) are consumer's too; classic offers newClassicGroup / prepareRebalance as they need it.
