package queue

import (
	"context"

	"github.com/rafka-io/rafka/internal/coordinator/group"
)

// Groups is what a Manager asks of the groups' coordinator.
type Groups interface {
	// ShareStateInitialized says that the states of partitions have begun: members may be assigned them.
	ShareStateInitialized(ctx context.Context, name string, topics []group.TopicIDPartitions) error
	// ShareStateDeleted says that the states of partitions are gone.
	ShareStateDeleted(ctx context.Context, name string, topics []group.TopicIDPartitions) error
	// SharePartitions lists the partitions whose states have begun. GroupIDNotFound if there is no such share group.
	SharePartitions(ctx context.Context, name string) ([]group.TopicIDPartitions, error)
	// AlterShareState prepares the states of partitions to begin anew, and creates the group if there is none. epoch is the state epoch to begin
	// with. NonEmptyGroup while the group has members.
	AlterShareState(ctx context.Context, name string, topics []group.TopicIDPartitions) (epoch int32, err error)
	// DeleteShareState prepares the states of topics to go, and returns their partitions. A topic of which there is none is left out.
	// GroupIDNotFound, NonEmptyGroup.
	DeleteShareState(ctx context.Context, name string, topics []string) ([]group.TopicIDPartitions, error)
}
