package kafkasrv

// StreamsGroupTopologyDescriptionUpdate: v0
//
// Behaviour: a member tells what its topology looks like, for StreamsGroupDescribe.
// Left out: nothing.
var streamsGroupTopologyDescriptionUpdate = verb(Broker.StreamsGroupTopologyDescriptionUpdate)
