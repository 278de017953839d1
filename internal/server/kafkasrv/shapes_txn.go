package kafkasrv

import "github.com/rafka-io/rafka/internal/wire"

// How requests of transactions are laid out.
var (
	addPartitionsToTxnShape = wire.Shape{
		wire.Text().Until(3),   // transactional id
		wire.Fixed(8).Until(3), // producer id
		wire.Fixed(2).Until(3), // producer epoch
		wire.Array( // topics
			wire.Text(),        // topic
			wire.FixedArray(4), // partitions
		).Until(3),
		wire.Array( // transactions
			wire.Text(),   // transactional id
			wire.Fixed(8), // producer id
			wire.Fixed(2), // producer epoch
			wire.Fixed(1), // verify only
			wire.Array( // topics
				wire.Text(),        // topic
				wire.FixedArray(4), // partitions
			),
		).Since(4),
	}
	addOffsetsToTxnShape = wire.Shape{
		wire.Text(),   // transactional id
		wire.Fixed(8), // producer id
		wire.Fixed(2), // producer epoch
		wire.Text(),   // group
	}
	endTxnShape = wire.Shape{
		wire.Text(),   // transactional id
		wire.Fixed(8), // producer id
		wire.Fixed(2), // producer epoch
		wire.Fixed(1), // commit
	}
	writeTxnMarkersShape = wire.Shape{
		wire.Array( // markers
			wire.Fixed(8), // producer id
			wire.Fixed(2), // producer epoch
			wire.Fixed(1), // committed
			wire.Array( // topics
				wire.Text(),        // topic
				wire.FixedArray(4), // partitions
			),
			wire.Fixed(4),          // coordinator epoch
			wire.Fixed(1).Since(2), // transaction version
		),
	}
	txnOffsetCommitShape = wire.Shape{
		wire.Text(),            // transactional id
		wire.Text(),            // group
		wire.Fixed(8),          // producer id
		wire.Fixed(2),          // producer epoch
		wire.Fixed(4).Since(3), // generation
		wire.Text().Since(3),   // member id
		wire.Text().Since(3),   // instance id
		wire.Array( // topics
			wire.Text().Until(5),    // topic
			wire.Fixed(16).Since(6), // topic id
			wire.Array( // partitions
				wire.Fixed(4),          // partition
				wire.Fixed(8),          // offset
				wire.Fixed(4).Since(2), // leader epoch
				wire.Text(),            // metadata
			),
		),
	}
	describeTransactionsShape = wire.Shape{
		wire.TextArray(), // transactional ids
	}
	listTransactionsShape = wire.Shape{
		wire.TextArray(),       // states
		wire.FixedArray(8),     // producer ids
		wire.Fixed(8).Since(1), // shortest duration
		wire.Text().Since(2),   // pattern of transactional ids
	}
)
