package kafkasrv

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/rafka-io/rafka/internal/wire"
)

// Keys that code asks for by name; the others are in the table only.
const (
	keyProduce     int16 = 0
	keyFetch       int16 = 1
	keyApiVersions int16 = 18
	keyShareFetch  int16 = 78
	maxKey         int16 = 94 // of Kafka 4.4
)

// api is one API as we speak it (WIR-2).
type api struct {
	key, min, max int16
	told          int16  // the oldest version that ApiVersions tells: min but for produce, see there
	name          string // Kafka's; kmsg's if it is left out
	flexible      int16  // the first version in the compact encoding with tags (KIP-482)

	// start decodes by hand what is too large or too frequent for generated code; the reader calls it. Otherwise shape, cost and handle:
	start func(r *request) error

	shape  wire.Shape
	cost   func(r *request) int64 // bytes of a large answer, roughly and from above; nil: no larger than the decoded request
	handle handler
}

// apiTable finds APIs by key.
type apiTable struct {
	list  []*api // by key
	byKey [maxKey + 1]*api
}

func (t *apiTable) find(key int16) *api {
	if key < 0 || key > maxKey {
		return nil
	}
	return t.byKey[key]
}

// newAPITable is the truth about what we speak: oldest and newest versions are those of Kafka 4.4.
func newAPITable() (t apiTable) {
	t.list = []*api{
		{key: keyProduce, min: 3, max: 13, start: startProduce},
		{key: keyFetch, min: 4, max: 18, start: startFetch},
		{key: 2, min: 1, max: 11, shape: listOffsetsShape, handle: typed(listOffsets)},
		{key: 3, min: 0, max: 13, shape: metadataShape, cost: metadataCost, handle: typed(describeMetadata)},
		{key: 8, min: 2, max: 10, shape: offsetCommitShape, handle: offsetCommit},
		{key: 9, min: 1, max: 10, shape: offsetFetchShape, cost: groupsCost, handle: typed(offsetFetch)},
		{key: 10, min: 0, max: 6, shape: findCoordinatorShape, handle: typed(findCoordinator)},
		{key: 11, min: 0, max: 9, shape: joinGroupShape, handle: typed(joinGroup)},
		{key: 12, min: 0, max: 4, shape: heartbeatShape, handle: heartbeat},
		{key: 13, min: 0, max: 5, shape: leaveGroupShape, handle: typed(leaveGroup)},
		{key: 14, min: 0, max: 5, shape: syncGroupShape, handle: typed(syncGroup)},
		{key: 15, min: 0, max: 6, shape: describeGroupsShape, cost: groupsCost, handle: typed(describeGroups)},
		{key: 16, min: 0, max: 5, shape: listGroupsShape, cost: groupsCost, handle: listGroups},
		{key: keyApiVersions, min: 0, max: 5, shape: apiVersionsShape, handle: typed(apiVersions)},
		{key: 19, min: 2, max: 7, shape: createTopicsShape, cost: createTopicsCost, handle: typed(createTopics)},
		{key: 20, min: 1, max: 6, shape: deleteTopicsShape, handle: typed(deleteTopics)},
		{key: 21, min: 0, max: 2, shape: deleteRecordsShape, handle: typed(deleteRecords)},
		{key: 22, min: 0, max: 5, shape: initProducerIDShape, handle: typed(initProducerID)},
		{key: 23, min: 2, max: 4, shape: offsetForLeaderEpochShape, handle: typed(offsetForLeaderEpoch)},
		{key: 24, min: 0, max: 5, shape: addPartitionsToTxnShape, handle: typed(addPartitionsToTxn)},
		{key: 25, min: 0, max: 4, shape: addOffsetsToTxnShape, handle: addOffsetsToTxn},
		{key: 26, min: 0, max: 5, shape: endTxnShape, handle: endTxn},
		{key: 27, min: 1, max: 2, shape: writeTxnMarkersShape, handle: writeTxnMarkers},
		{key: 28, min: 0, max: 6, shape: txnOffsetCommitShape, handle: txnOffsetCommit},
		{key: 32, min: 1, max: 4, shape: describeConfigsShape, cost: describeConfigsCost, handle: typed(describeConfigs)},
		{key: 33, min: 0, max: 2, shape: alterConfigsShape, handle: typed(alterConfigs)},
		{key: 35, min: 1, max: 5, shape: describeLogDirsShape, cost: describeLogDirsCost, handle: typed(describeLogDirs)},
		{key: 37, min: 0, max: 3, shape: createPartitionsShape, handle: typed(createPartitions)},
		{key: 42, min: 0, max: 3, shape: deleteGroupsShape, handle: deleteGroups},
		{key: 43, min: 0, max: 2, shape: electLeadersShape, cost: partitionsCost, handle: typed(electLeaders)},
		{key: 44, min: 0, max: 1, shape: incrementalAlterConfigsShape, handle: typed(incrementalAlterConfigs)},
		{key: 45, name: "AlterPartitionReassignments", min: 0, max: 1, shape: alterReassignmentsShape, handle: typed(alterReassignments)},
		{key: 46, min: 0, max: 0, shape: listReassignmentsShape, cost: partitionsCost, handle: typed(listReassignments)},
		{key: 47, min: 0, max: 0, shape: offsetDeleteShape, handle: offsetDelete},
		{key: 55, min: 0, max: 2, shape: describeQuorumShape, handle: typed(describeQuorum)},
		{key: 57, min: 0, max: 2, shape: updateFeaturesShape, handle: typed(updateFeatures)},
		{key: 60, min: 0, max: 2, shape: describeClusterShape, handle: typed(describeCluster)},
		{key: 61, min: 0, max: 0, shape: describeProducersShape, handle: typed(describeProducers)},
		{key: 64, min: 0, max: 0, shape: unregisterBrokerShape, handle: typed(unregisterBroker)},
		{key: 65, min: 0, max: 0, shape: describeTransactionsShape, handle: describeTransactions},
		{key: 66, min: 0, max: 2, shape: listTransactionsShape, cost: groupsCost, handle: listTransactions},
		{key: 68, min: 0, max: 1, shape: consumerGroupHeartbeatShape, handle: consumerGroupHeartbeat},
		{key: 69, min: 0, max: 1, shape: consumerGroupDescribeShape, cost: groupsCost, handle: typed(consumerGroupDescribe)},
		{key: 74, min: 0, max: 1, shape: listConfigResourcesShape, cost: listConfigResourcesCost, handle: typed(listConfigResources)},
		{key: 75, min: 0, max: 0, shape: describeTopicPartitionsShape, cost: describeTopicPartitionsCost, handle: typed(describeTopicPartitions)},
		{key: 76, min: 1, max: 1, shape: shareGroupHeartbeatShape, handle: shareGroupHeartbeat},
		{key: 77, min: 1, max: 1, shape: shareGroupDescribeShape, cost: groupsCost, handle: typed(shareGroupDescribe)},
		{key: keyShareFetch, min: 1, max: 2, shape: shareFetchShape, handle: typed(shareFetch)},
		{key: 79, min: 1, max: 2, shape: shareAcknowledgeShape, handle: typed(shareAcknowledge)},
		{key: 80, min: 0, max: 1, shape: addRaftVoterShape, handle: typed(addRaftVoter)},
		{key: 81, min: 0, max: 0, shape: removeRaftVoterShape, handle: typed(removeRaftVoter)},
		{key: 83, min: 0, max: 0, shape: initializeShareGroupStateShape, handle: initializeShareGroupState},
		{key: 84, min: 0, max: 0, shape: readShareGroupStateShape, handle: readShareGroupState},
		{key: 85, min: 0, max: 1, shape: writeShareGroupStateShape, handle: writeShareGroupState},
		{key: 86, min: 0, max: 0, shape: deleteShareGroupStateShape, handle: deleteShareGroupState},
		{key: 87, min: 0, max: 1, shape: readShareGroupStateSummaryShape, handle: readShareGroupStateSummary},
		{key: 88, min: 0, max: 1, shape: streamsGroupHeartbeatShape, handle: streamsGroupHeartbeat},
		{key: 89, min: 0, max: 1, shape: streamsGroupDescribeShape, cost: groupsCost, handle: typed(streamsGroupDescribe)},
		{key: 90, min: 0, max: 1, shape: describeShareGroupOffsetsShape, cost: groupsCost, handle: describeShareGroupOffsets},
		{key: 91, min: 0, max: 0, shape: alterShareGroupOffsetsShape, handle: alterShareGroupOffsets},
		{key: 92, min: 0, max: 0, shape: deleteShareGroupOffsetsShape, handle: deleteShareGroupOffsets},
		{key: 93, min: 0, max: 0, shape: streamsGroupTopologyDescriptionUpdateShape, handle: streamsGroupTopologyDescriptionUpdate},
	}
	for _, a := range t.list {
		if a.name == "" {
			a.name = kmsg.NameForKey(a.key)
		}
		if a.told = a.min; a.key == keyProduce {
			a.told = 0
		}
		a.flexible = firstFlexible(a.key, a.max)
		t.byKey[a.key] = a
	}
	return t
}

// firstFlexible is the first version of an API in the flexible encoding; one above max if none is.
func firstFlexible(key, newest int16) int16 {
	msg := kmsg.RequestForKey(key)
	for v := range newest + 1 {
		if msg.SetVersion(v); msg.IsFlexible() {
			return v
		}
	}
	return newest + 1
}
