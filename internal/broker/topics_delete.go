package broker

import (
	"context"

	"github.com/rafka-io/rafka/internal/controller"
)

// TopicRef names a topic by name, or by id if Name is empty.
type TopicRef = controller.TopicRef

// DeletedTopic answers a TopicRef with both.
type DeletedTopic = controller.DeletedTopic

// DeleteTopics deletes topics with their data and settings; each succeeds or fails on its own, and when it returns those that succeeded
// are no longer served here and their names are free. One answer for each, in order.
//
// Codes: UnknownTopicOrPartition, UnknownTopicID, InvalidRequest (named twice), TopicDeletionDisabled; RequestTimedOut, NotController,
// KafkaStorageError as CreateTopics.
func (a *admin) DeleteTopics(ctx context.Context, _ *Session, topics []TopicRef) []DeletedTopic {
	return a.opts.Controller.DeleteTopics(ctx, topics)
}
