package broker

import (
	"context"

	"github.com/rafka-io/rafka/internal/controller"
)

// Reassignment asks that a partition has other replicas, or, with none named, that a change under way is given up.
type Reassignment = controller.Reassignment

// ReassigningPartition is a partition whose replicas are changing.
type ReassigningPartition = controller.ReassigningPartition

// AlterReassignments begins to move partitions to other replicas, or stops it; each succeeds or fails on its own. It returns when that is decided,
// not when the data has moved: see Reassigning. allowReplicationChange says whether a partition may get more or fewer replicas than it has. One
// error or nil for each, in order.
//
// Codes: UnknownTopicOrPartition, InvalidReplicaAssignment, InvalidReplicationFactor, NoReassignmentInProgress; RequestTimedOut, NotController,
// KafkaStorageError as CreateTopics.
func (a *admin) AlterReassignments(ctx context.Context, _ *Session, list []Reassignment, allowReplicationChange bool) []error {
	return a.opts.Controller.AlterReassignments(ctx, list, allowReplicationChange)
}

// Reassigning lists the partitions whose replicas are changing, as this node knows it.
func (a *admin) Reassigning(_ *Session) []ReassigningPartition {
	return controller.Reassigning(a.opts.Controller.Image())
}
