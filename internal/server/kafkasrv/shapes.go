package kafkasrv

import "github.com/rafka-io/rafka/internal/wire"

// How requests are laid out, field by field, in all versions that we speak. Produce and Fetch are decoded by hand and have none.
var (
	listOffsetsShape = wire.Shape{
		wire.Fixed(4),          // replica id
		wire.Fixed(1).Since(2), // isolation
		wire.Array(
			wire.Text(), // topic
			wire.Array(
				wire.Fixed(4),          // partition
				wire.Fixed(4).Since(4), // current leader epoch
				wire.Fixed(8),          // timestamp
			),
		),
		wire.Fixed(4).Since(10), // timeout
	}
	metadataShape = wire.Shape{
		wire.Array(
			wire.Fixed(16).Since(10), // topic id
			wire.Text(),              // topic
		),
		wire.Fixed(1).Since(4),           // allow auto creation
		wire.Fixed(1).Since(8).Until(10), // include cluster operations
		wire.Fixed(1).Since(8),           // include topic operations
	}
	apiVersionsShape = wire.Shape{
		wire.Text().Since(3),   // software name
		wire.Text().Since(3),   // software version
		wire.Text().Since(5),   // cluster id
		wire.Fixed(4).Since(5), // node id
	}
	createTopicsShape = wire.Shape{
		wire.Array(
			wire.Text(),   // topic
			wire.Fixed(4), // partitions
			wire.Fixed(2), // replication factor
			wire.Array(
				wire.Fixed(4),      // partition
				wire.FixedArray(4), // replicas
			),
			wire.Array(
				wire.Text(), // config name
				wire.Text(), // value
			),
		),
		wire.Fixed(4), // timeout
		wire.Fixed(1), // validate only
	}
	deleteTopicsShape = wire.Shape{
		wire.TextArray().Until(5), // topics
		wire.Array(
			wire.Text(),    // topic
			wire.Fixed(16), // topic id
		).Since(6),
		wire.Fixed(4), // timeout
	}
	deleteRecordsShape = wire.Shape{
		wire.Array(
			wire.Text(), // topic
			wire.Array(
				wire.Fixed(4), // partition
				wire.Fixed(8), // offset
			),
		),
		wire.Fixed(4), // timeout
	}
	initProducerIDShape = wire.Shape{
		wire.Text(),            // transactional id
		wire.Fixed(4),          // transaction timeout
		wire.Fixed(8).Since(3), // producer id
		wire.Fixed(2).Since(3), // producer epoch
	}
	offsetForLeaderEpochShape = wire.Shape{
		wire.Fixed(4).Since(3), // replica id
		wire.Array(
			wire.Text(), // topic
			wire.Array(
				wire.Fixed(4), // partition
				wire.Fixed(4), // current leader epoch
				wire.Fixed(4), // leader epoch
			),
		),
	}
	describeConfigsShape = wire.Shape{
		wire.Array(
			wire.Fixed(1),    // resource type
			wire.Text(),      // resource name
			wire.TextArray(), // config names
		),
		wire.Fixed(1),          // include synonyms
		wire.Fixed(1).Since(3), // include documentation
	}
	alterConfigsShape = wire.Shape{
		wire.Array(
			wire.Fixed(1), // resource type
			wire.Text(),   // resource name
			wire.Array(
				wire.Text(), // config name
				wire.Text(), // value
			),
		),
		wire.Fixed(1), // validate only
	}
	incrementalAlterConfigsShape = wire.Shape{
		wire.Array(
			wire.Fixed(1), // resource type
			wire.Text(),   // resource name
			wire.Array(
				wire.Text(),   // config name
				wire.Fixed(1), // operation
				wire.Text(),   // value
			),
		),
		wire.Fixed(1), // validate only
	}
	describeLogDirsShape = wire.Shape{
		wire.Array(
			wire.Text(),        // topic
			wire.FixedArray(4), // partitions
		),
	}
	createPartitionsShape = wire.Shape{
		wire.Array(
			wire.Text(),   // topic
			wire.Fixed(4), // count
			wire.Array(
				wire.FixedArray(4), // replicas
			),
		),
		wire.Fixed(4), // timeout
		wire.Fixed(1), // validate only
	}
	describeClusterShape = wire.Shape{
		wire.Fixed(1),          // include operations
		wire.Fixed(1).Since(1), // endpoint type
		wire.Fixed(1).Since(2), // include fenced brokers
	}
	describeProducersShape = wire.Shape{
		wire.Array(
			wire.Text(),        // topic
			wire.FixedArray(4), // partitions
		),
	}
	listConfigResourcesShape = wire.Shape{
		wire.FixedArray(1).Since(1), // resource types
	}
	describeTopicPartitionsShape = wire.Shape{
		wire.Array(
			wire.Text(), // topic
		),
		wire.Fixed(4), // partition limit
		wire.Optional(
			wire.Text(),   // cursor: topic
			wire.Fixed(4), // cursor: partition
		),
	}
)
