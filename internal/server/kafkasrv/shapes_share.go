package kafkasrv

import "github.com/rafka-io/rafka/internal/wire"

// How requests of share groups are laid out, those between coordinators too.
var (
	shareGroupHeartbeatShape = wire.Shape{
		wire.Text(),      // group
		wire.Text(),      // member id
		wire.Fixed(4),    // member epoch
		wire.Text(),      // rack id
		wire.TextArray(), // subscribed topic names
	}
	shareGroupDescribeShape = wire.Shape{
		wire.TextArray(), // groups
		wire.Fixed(1),    // include operations
	}
	shareFetchShape = wire.Shape{
		wire.Text(),            // group
		wire.Text(),            // member id
		wire.Fixed(4),          // share session epoch
		wire.Fixed(4),          // max wait
		wire.Fixed(4),          // min bytes
		wire.Fixed(4),          // max bytes
		wire.Fixed(4),          // max records
		wire.Fixed(4),          // batch size
		wire.Fixed(1).Since(2), // share acquire mode
		wire.Fixed(1).Since(2), // is renew ack
		wire.Array( // topics
			wire.Fixed(16), // topic id
			wire.Array( // partitions
				wire.Fixed(4), // partition
				wire.Array( // acknowledgement batches
					wire.Fixed(8),      // first offset
					wire.Fixed(8),      // last offset
					wire.FixedArray(1), // acknowledge types
				),
			),
		),
		wire.Array( // forgotten topics
			wire.Fixed(16),     // topic id
			wire.FixedArray(4), // partitions
		),
	}
	shareAcknowledgeShape = wire.Shape{
		wire.Text(),            // group
		wire.Text(),            // member id
		wire.Fixed(4),          // share session epoch
		wire.Fixed(1).Since(2), // is renew ack
		wire.Array( // topics
			wire.Fixed(16), // topic id
			wire.Array( // partitions
				wire.Fixed(4), // partition
				wire.Array( // acknowledgement batches
					wire.Fixed(8),      // first offset
					wire.Fixed(8),      // last offset
					wire.FixedArray(1), // acknowledge types
				),
			),
		),
	}
	initializeShareGroupStateShape = wire.Shape{
		wire.Text(), // group
		wire.Array( // topics
			wire.Fixed(16), // topic id
			wire.Array( // partitions
				wire.Fixed(4), // partition
				wire.Fixed(4), // state epoch
				wire.Fixed(8), // start offset
			),
		),
	}
	readShareGroupStateShape = wire.Shape{
		wire.Text(), // group
		wire.Array( // topics
			wire.Fixed(16), // topic id
			wire.Array( // partitions
				wire.Fixed(4), // partition
				wire.Fixed(4), // leader epoch
			),
		),
	}
	writeShareGroupStateShape = wire.Shape{
		wire.Text(), // group
		wire.Array( // topics
			wire.Fixed(16), // topic id
			wire.Array( // partitions
				wire.Fixed(4),          // partition
				wire.Fixed(4),          // state epoch
				wire.Fixed(4),          // leader epoch
				wire.Fixed(8),          // start offset
				wire.Fixed(4).Since(1), // delivery complete count
				wire.Array( // state batches
					wire.Fixed(8), // first offset
					wire.Fixed(8), // last offset
					wire.Fixed(1), // delivery state
					wire.Fixed(2), // delivery count
				),
			),
		),
	}
	deleteShareGroupStateShape = wire.Shape{
		wire.Text(), // group
		wire.Array( // topics
			wire.Fixed(16), // topic id
			wire.Array( // partitions
				wire.Fixed(4), // partition
			),
		),
	}
	readShareGroupStateSummaryShape = wire.Shape{
		wire.Text(), // group
		wire.Array( // topics
			wire.Fixed(16), // topic id
			wire.Array( // partitions
				wire.Fixed(4), // partition
				wire.Fixed(4), // leader epoch
			),
		),
	}
	describeShareGroupOffsetsShape = wire.Shape{
		wire.Array( // groups
			wire.Text(), // group
			wire.Array( // topics
				wire.Text(),        // topic
				wire.FixedArray(4), // partitions
			),
		),
	}
	alterShareGroupOffsetsShape = wire.Shape{
		wire.Text(), // group
		wire.Array( // topics
			wire.Text(), // topic
			wire.Array( // partitions
				wire.Fixed(4), // partition
				wire.Fixed(8), // start offset
			),
		),
	}
	deleteShareGroupOffsetsShape = wire.Shape{
		wire.Text(), // group
		wire.Array( // topics
			wire.Text(), // topic
		),
	}
)
