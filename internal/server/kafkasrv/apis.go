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
	maxKey         int16 = 94 // of Kafka 4.4
)

// api is one API as we speak it (WIR-2).
type api struct {
	key, min, max int16
	told          int16 // the oldest version that ApiVersions tells: min but for produce, see there
	name          string
	flexible      int16 // the first version in the compact encoding with tags (KIP-482)

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
		{key: keyApiVersions, min: 0, max: 5, shape: apiVersionsShape, handle: typed(apiVersions)},
		{key: 19, min: 2, max: 7, shape: createTopicsShape, cost: createTopicsCost, handle: typed(createTopics)},
		{key: 20, min: 1, max: 6, shape: deleteTopicsShape, handle: typed(deleteTopics)},
		{key: 21, min: 0, max: 2, shape: deleteRecordsShape, handle: typed(deleteRecords)},
		{key: 22, min: 0, max: 5, shape: initProducerIDShape, handle: typed(initProducerID)},
		{key: 23, min: 2, max: 4, shape: offsetForLeaderEpochShape, handle: typed(offsetForLeaderEpoch)},
		{key: 32, min: 1, max: 4, shape: describeConfigsShape, cost: describeConfigsCost, handle: typed(describeConfigs)},
		{key: 33, min: 0, max: 2, shape: alterConfigsShape, handle: typed(alterConfigs)},
		{key: 35, min: 1, max: 5, shape: describeLogDirsShape, cost: describeLogDirsCost, handle: typed(describeLogDirs)},
		{key: 37, min: 0, max: 3, shape: createPartitionsShape, handle: typed(createPartitions)},
		{key: 44, min: 0, max: 1, shape: incrementalAlterConfigsShape, handle: typed(incrementalAlterConfigs)},
		{key: 60, min: 0, max: 2, shape: describeClusterShape, handle: typed(describeCluster)},
		{key: 61, min: 0, max: 0, shape: describeProducersShape, handle: typed(describeProducers)},
		{key: 74, min: 0, max: 1, shape: listConfigResourcesShape, cost: listConfigResourcesCost, handle: typed(listConfigResources)},
		{key: 75, min: 0, max: 0, shape: describeTopicPartitionsShape, cost: describeTopicPartitionsCost, handle: typed(describeTopicPartitions)},
	}
	for _, a := range t.list {
		a.name = kmsg.NameForKey(a.key)
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
