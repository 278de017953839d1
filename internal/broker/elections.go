package broker

import (
	"context"
	"slices"

	"github.com/rafka-io/rafka/internal/controller"
	"github.com/rafka-io/rafka/internal/kafka"
)

// ElectedPartition answers for one partition of an election.
type ElectedPartition = controller.ElectedPartition

// Kinds of elections, with Kafka's codes.
const (
	PreferredElection = controller.PreferredElection // the first replica leads, if it is in sync
	UncleanElection   = controller.UncleanElection   // any live replica leads a partition that has no leader, whatever is lost by that
)

// ElectLeaders has the partitions led by whom they should be; nil means all partitions of the cluster, of which those that need no election are
// left out of the answer. The error is one of the whole request.
//
// Codes of the request: InvalidRequest for a kind that there is not, RequestTimedOut, NotController, KafkaStorageError as CreateTopics.
// Per partition: UnknownTopicOrPartition, ElectionNotNeeded, PreferredLeaderNotAvailable, EligibleLeadersNotAvailable.
func (a *admin) ElectLeaders(ctx context.Context, _ *Session, kind int8, partitions []kafka.TopicPartition) ([]ElectedPartition, error) {
	if kind != PreferredElection && kind != UncleanElection {
		return nil, kafka.Errorf(kafka.InvalidRequest, "Unknown election type %d", kind)
	}
	if partitions != nil && len(partitions) == 0 {
		return nil, nil
	}
	elected, err := a.opts.Controller.ElectLeaders(ctx, kind, partitions)
	if partitions == nil {
		elected = slices.DeleteFunc(elected, func(e ElectedPartition) bool { return kafka.CodeOf(e.Err) == kafka.ElectionNotNeeded })
	}
	return elected, err
}
