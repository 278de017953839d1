package kafkasrv

import "github.com/rafka-io/rafka/internal/wire"

// How requests of streams groups are laid out.
var (
	streamsGroupHeartbeatShape = wire.Shape{
		wire.Text(),   // group
		wire.Text(),   // member id
		wire.Fixed(4), // member epoch
		wire.Fixed(4), // endpoint information epoch
		wire.Text(),   // instance id
		wire.Text(),   // rack id
		wire.Fixed(4), // rebalance timeout
		wire.Optional( // topology
			wire.Fixed(4), // epoch
			wire.Array( // subtopologies
				wire.Text(),      // subtopology id
				wire.TextArray(), // source topics
				wire.TextArray(), // source topic regex
				wire.Array( // state changelog topics
					wire.Text(),   // topic
					wire.Fixed(4), // partition count
					wire.Fixed(2), // replication factor
					wire.Array( // configs
						wire.Text(), // key
						wire.Text(), // value
					),
				),
				wire.TextArray(), // repartition sink topics
				wire.Array( // repartition source topics
					wire.Text(),   // topic
					wire.Fixed(4), // partition count
					wire.Fixed(2), // replication factor
					wire.Array( // configs
						wire.Text(), // key
						wire.Text(), // value
					),
				),
				wire.Array( // copartition groups
					wire.FixedArray(2), // source topics
					wire.FixedArray(2), // source topic regex
					wire.FixedArray(2), // repartition source topics
				),
			),
		),
		wire.Array( // active tasks
			wire.Text(),        // subtopology id
			wire.FixedArray(4), // partitions
		),
		wire.Array( // standby tasks
			wire.Text(),        // subtopology id
			wire.FixedArray(4), // partitions
		),
		wire.Array( // warmup tasks
			wire.Text(),        // subtopology id
			wire.FixedArray(4), // partitions
		),
		wire.Text(), // process id
		wire.Optional( // user endpoint
			wire.Text(),   // host
			wire.Fixed(2), // port
		),
		wire.Array( // client tags
			wire.Text(), // key
			wire.Text(), // value
		),
		wire.Array( // task offsets
			wire.Text(),   // subtopology id
			wire.Fixed(4), // partition
			wire.Fixed(8), // offset
		),
		wire.Array( // task end offsets
			wire.Text(),   // subtopology id
			wire.Fixed(4), // partition
			wire.Fixed(8), // offset
		),
		wire.Fixed(1), // shutdown application
	}
	streamsGroupDescribeShape = wire.Shape{
		wire.TextArray(),       // groups
		wire.Fixed(1),          // include operations
		wire.Fixed(1).Since(1), // include topology description
	}
	streamsGroupTopologyDescriptionUpdateShape = wire.Shape{
		wire.Text(),   // group
		wire.Text(),   // member id
		wire.Fixed(4), // topology epoch
		wire.Struct( // topology
			wire.Array( // subtopologies
				wire.Text(),                 // subtopology id
				wire.Array(topologyNode...), // nodes
			),
			wire.Array( // global stores
				wire.Struct(topologyNode...), // source
				wire.Struct(topologyNode...), // processor
			),
		),
	}
	topologyNode = wire.Shape{
		wire.Text(),      // name
		wire.Fixed(1),    // type
		wire.TextArray(), // source topics
		wire.Text(),      // sink topic
		wire.TextArray(), // stores
		wire.TextArray(), // successors
	}
)
