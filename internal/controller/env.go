package controller

import (
	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/metadata"
)

// Env is what decisions depend on beside the image and the request.
type Env struct {
	// Partitions and Replication are what a topic gets that asks for neither (num.partitions, default.replication.factor).
	Partitions  int32
	Replication int16
	// DeleteTopics: delete.topic.enable.
	DeleteTopics bool
	// MaxPartitions is the most partitions that one request may make and that the cluster may have; 0: DefaultMaxPartitions.
	MaxPartitions int
	// NewTopicID gives ids that nothing had before (CTL-5); kafka.NewUUID outside tests.
	NewTopicID func() kafka.UUID
	// Inherited is the value a setting of a resource has while nothing is set for the resource itself: what the dynamic settings of
	// the image, the configuration of the node and the table of defaults say. OpAppend and OpSubtract start from it.
	Inherited func(img *metadata.Image, r metadata.Resource, name string) string
	// MinISR is min.insync.replicas of a topic; nil: 1. It says when the eligible leader replicas are kept (KIP-966), so it must not be more
	// than what the leaders go by.
	MinISR func(img *metadata.Image, topic string) int
	// Unclean is unclean.leader.election.enable of a topic; nil: false.
	Unclean func(img *metadata.Image, topic string) bool
	// Loads are the busiest partitions, each once; nil: nobody knows. Upkeep spreads them.
	Loads []Load
	// Restless: brokers or topics have just come, and more may come. Upkeep does not even out then, or it would move what is being set up.
	Restless bool
	// Supports is the highest level of a feature that a broker has said it understands; known is false while it has said nothing. nil:
	// whoever is registered understands what this node does.
	Supports func(id kafka.BrokerID, feature string) (level int16, known bool)
}

// DefaultMaxPartitions bounds the partitions of one request and of the cluster: each costs memory and files on every replica, and a
// request of a few bytes can ask for any number.
const DefaultMaxPartitions = 200_000

func (e *Env) maxPartitions() int {
	if e.MaxPartitions > 0 {
		return e.MaxPartitions
	}
	return DefaultMaxPartitions
}
