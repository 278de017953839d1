package kafkasrv

import "github.com/rafka-io/rafka/internal/wire"

// How requests about groups and their offsets are laid out.
var (
	offsetCommitShape = wire.Shape{
		wire.Text(),            // group
		wire.Fixed(4),          // generation
		wire.Text(),            // member id
		wire.Text().Since(7),   // instance id
		wire.Fixed(8).Until(4), // retention time
		wire.Array( // topics
			wire.Text().Until(9),     // topic
			wire.Fixed(16).Since(10), // topic id
			wire.Array( // partitions
				wire.Fixed(4),          // partition
				wire.Fixed(8),          // offset
				wire.Fixed(4).Since(6), // leader epoch
				wire.Text(),            // metadata
			),
		),
	}
	offsetFetchShape = wire.Shape{
		wire.Text().Until(7), // group
		wire.Array( // topics
			wire.Text(),        // topic
			wire.FixedArray(4), // partitions
		).Until(7),
		wire.Array( // groups
			wire.Text(),            // group
			wire.Text().Since(9),   // member id
			wire.Fixed(4).Since(9), // member epoch
			wire.Array( // topics
				wire.Text().Until(9),     // topic
				wire.Fixed(16).Since(10), // topic id
				wire.FixedArray(4),       // partitions
			),
		).Since(8),
		wire.Fixed(1).Since(7), // require stable
	}
	findCoordinatorShape = wire.Shape{
		wire.Text().Until(3),      // key
		wire.Fixed(1).Since(1),    // type of the keys
		wire.TextArray().Since(4), // keys
	}
	joinGroupShape = wire.Shape{
		wire.Text(),            // group
		wire.Fixed(4),          // session timeout
		wire.Fixed(4).Since(1), // rebalance timeout
		wire.Text(),            // member id
		wire.Text().Since(5),   // instance id
		wire.Text(),            // protocol type
		wire.Array( // protocols
			wire.Text(),  // name
			wire.Bytes(), // metadata
		),
		wire.Text().Since(8), // reason
	}
	heartbeatShape = wire.Shape{
		wire.Text(),          // group
		wire.Fixed(4),        // generation
		wire.Text(),          // member id
		wire.Text().Since(3), // instance id
	}
	leaveGroupShape = wire.Shape{
		wire.Text(),          // group
		wire.Text().Until(2), // member id
		wire.Array( // members
			wire.Text(),          // member id
			wire.Text(),          // instance id
			wire.Text().Since(5), // reason
		).Since(3),
	}
	syncGroupShape = wire.Shape{
		wire.Text(),          // group
		wire.Fixed(4),        // generation
		wire.Text(),          // member id
		wire.Text().Since(3), // instance id
		wire.Text().Since(5), // protocol type
		wire.Text().Since(5), // protocol
		wire.Array( // group assignment
			wire.Text(),  // member id
			wire.Bytes(), // member assignment
		),
	}
	describeGroupsShape = wire.Shape{
		wire.TextArray(),       // groups
		wire.Fixed(1).Since(3), // include operations
	}
	listGroupsShape = wire.Shape{
		wire.TextArray().Since(4), // states
		wire.TextArray().Since(5), // types
	}
	deleteGroupsShape = wire.Shape{
		wire.TextArray(), // groups
	}
	offsetDeleteShape = wire.Shape{
		wire.Text(), // group
		wire.Array( // topics
			wire.Text(), // topic
			wire.Array( // partitions
				wire.Fixed(4), // partition
			),
		),
	}
	consumerGroupHeartbeatShape = wire.Shape{
		wire.Text(),          // group
		wire.Text(),          // member id
		wire.Fixed(4),        // member epoch
		wire.Text(),          // instance id
		wire.Text(),          // rack id
		wire.Fixed(4),        // rebalance timeout
		wire.TextArray(),     // subscribed topic names
		wire.Text().Since(1), // subscribed topic regex
		wire.Text(),          // server assignor
		wire.Array( // topics
			wire.Fixed(16),     // topic id
			wire.FixedArray(4), // partitions
		),
	}
	consumerGroupDescribeShape = wire.Shape{
		wire.TextArray(), // groups
		wire.Fixed(1),    // include operations
	}
)
