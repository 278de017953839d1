package broker

import (
	"context"

	"github.com/rafka-io/rafka/internal/controller"
)

// MorePartitions asks that a topic has Total partitions. Assignment: replicas of each new one, or nil.
type MorePartitions = controller.MorePartitions

// CreatePartitions adds partitions to topics; each succeeds or fails on its own, and when it returns the new partitions are served
// here. One error or nil for each, in order.
//
// Codes: UnknownTopicOrPartition, InvalidPartitions (not more than there are), InvalidReplicaAssignment, InvalidReplicationFactor,
// InvalidRequest (named twice), PolicyViolation; RequestTimedOut, NotController, KafkaStorageError as CreateTopics.
func (a *admin) CreatePartitions(ctx context.Context, _ *Session, topics []MorePartitions, validateOnly bool) []error {
	return a.opts.Controller.CreatePartitions(ctx, topics, validateOnly)
}
