package kafkasrv

import "github.com/rafka-io/rafka/internal/wire"

// How requests about brokers, replicas and the quorum are laid out.
var (
	electLeadersShape = wire.Shape{
		wire.Fixed(1).Since(1), // election type
		wire.Array(
			wire.Text(),        // topic
			wire.FixedArray(4), // partitions
		),
		wire.Fixed(4), // timeout
	}
	alterReassignmentsShape = wire.Shape{
		wire.Fixed(4),          // timeout
		wire.Fixed(1).Since(1), // allow replication factor change
		wire.Array(
			wire.Text(), // topic
			wire.Array(
				wire.Fixed(4),      // partition
				wire.FixedArray(4), // replicas
			),
		),
	}
	listReassignmentsShape = wire.Shape{
		wire.Fixed(4), // timeout
		wire.Array(
			wire.Text(),        // topic
			wire.FixedArray(4), // partitions
		),
	}
	describeQuorumShape = wire.Shape{
		wire.Array(
			wire.Text(), // topic
			wire.Array(
				wire.Fixed(4), // partition
			),
		),
	}
	updateFeaturesShape = wire.Shape{
		wire.Fixed(4), // timeout
		wire.Array(
			wire.Text(),   // feature
			wire.Fixed(2), // level
			wire.Fixed(1), // allow downgrade, or from version 1 upgrade type
		),
		wire.Fixed(1).Since(1), // validate only
	}
	unregisterBrokerShape = wire.Shape{
		wire.Fixed(4), // broker
	}
	addRaftVoterShape = wire.Shape{
		wire.Text(),    // cluster id
		wire.Fixed(4),  // timeout
		wire.Fixed(4),  // voter
		wire.Fixed(16), // its directory
		wire.Array(
			wire.Text(),   // listener
			wire.Text(),   // host
			wire.Fixed(2), // port
		),
		wire.Fixed(1).Since(1), // answer when committed
	}
	removeRaftVoterShape = wire.Shape{
		wire.Text(),    // cluster id
		wire.Fixed(4),  // voter
		wire.Fixed(16), // its directory
	}
)
