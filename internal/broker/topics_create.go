package broker

import (
	"context"

	"github.com/rafka-io/rafka/internal/controller"
	"github.com/rafka-io/rafka/internal/kafka"
)

// NewTopic asks for a topic.
type NewTopic = controller.NewTopic

// ConfigEntry is a setting of a new topic.
type ConfigEntry = controller.ConfigEntry

// CreatedTopic answers a NewTopic. With an error Partitions and Replication are -1.
type CreatedTopic struct {
	Err         error
	Name        string
	ID          kafka.UUID
	Partitions  int32
	Replication int16
	Configs     []DescribedConfig // effective settings
}

// CreateTopics creates topics; each succeeds or fails on its own, and when it returns those that succeeded are served here. With
// validateOnly nothing is created and the answer says what would have been. One answer for each topic, in order.
//
// Codes: InvalidTopicException, TopicAlreadyExists, InvalidPartitions, InvalidReplicationFactor, InvalidReplicaAssignment,
// InvalidConfig, InvalidRequest, PolicyViolation; RequestTimedOut when ctx ends first, NotController and KafkaStorageError when nothing
// can be changed at present.
func (a *admin) CreateTopics(ctx context.Context, _ *Session, topics []NewTopic, validateOnly bool) []CreatedTopic {
	decided := a.opts.Controller.CreateTopics(ctx, topics, validateOnly)
	img := a.opts.Controller.Image()
	answers := make([]CreatedTopic, len(decided))
	for i, d := range decided {
		answers[i] = CreatedTopic{Err: d.Err, Name: d.Name, ID: d.ID, Partitions: d.Partitions, Replication: d.Replication}
		if d.Err == nil {
			answers[i].Configs = a.describeNewTopic(img, &topics[i])
		}
	}
	return answers
}
