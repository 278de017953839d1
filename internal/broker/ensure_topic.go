package broker

import (
	"context"
	"time"

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
		awaitServed(ctx, verbs, topic)
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

// servedPatience is how long a topic that another connection is just creating is waited for.
const servedPatience = time.Second

// awaitServed waits until the partitions of a topic are there that the image has. The image comes first, by a moment: a client of Kafka's protocol
// is told to try again then, and a person is not.
func awaitServed(ctx context.Context, verbs topicVerbs, topic *metadata.Topic) {
	b, ok := verbs.(interface{ serves(*metadata.Topic) bool })
	if !ok || b.serves(topic) {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, servedPatience)
	defer cancel()
	pause := time.NewTicker(time.Millisecond)
	defer pause.Stop()
	for !b.serves(topic) {
		select {
		case <-pause.C:
		case <-ctx.Done(): // the verb says what is wrong
			return
		}
	}
}

// serves reports whether this broker knows a topic's partitions.
func (b *Broker) serves(topic *metadata.Topic) bool {
	_, err := b.opts.Replicas.ByID(topic.ID)
	return err == nil
}
