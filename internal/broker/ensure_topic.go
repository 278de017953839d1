package broker

import (
	"context"

	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/metadata"
)

// topicVerbs find topics and create them on first use.
type topicVerbs interface {
	Image() *metadata.Image
	EnsureTopics(ctx context.Context, s *Session, names []string) []error
}

// ensureTopic returns the topic, creating it as first use does.
func ensureTopic(ctx context.Context, verbs topicVerbs, s *Session, name string) (*metadata.Topic, error) {
	if topic := verbs.Image().Topics.ByName(name); topic != nil {
		return topic, nil
	}
	for _, err := range verbs.EnsureTopics(ctx, s, []string{name}) {
		if err != nil {
			return nil, explainTopic(err, name)
		}
	}
	if topic := verbs.Image().Topics.ByName(name); topic != nil {
		return topic, nil
	}
	return nil, explainTopic(kafka.UnknownTopicOrPartition, name)
}

// explainTopic gives an error that is only a code the words that a person needs.
func explainTopic(err error, name string) error {
	switch code := kafka.CodeOf(err); {
	case kafka.MessageOf(err) != "":
		return err
	case code == kafka.UnknownTopicOrPartition:
		return kafka.Errorf(code, "there is no topic %q; create it first, or allow auto.create.topics.enable", name)
	default:
		return kafka.Errorf(code, "topic %q: %w", name, err)
	}
}
