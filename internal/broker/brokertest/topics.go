package brokertest

import (
	"context"
	"strings"

	"github.com/rafka-io/rafka/internal/broker"
	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/metadata"
)

// EnsureTopics creates those that do not exist, if AutoCreate.
func (b *Broker) EnsureTopics(ctx context.Context, s *broker.Session, names []string) []error {
	errs := make([]error, len(names))
	for i, name := range names {
		switch {
		case b.Image().Topics.ByName(name) != nil:
		case !b.AutoCreate:
			errs[i] = kafka.UnknownTopicOrPartition
		default:
			errs[i] = b.CreateTopics(ctx, s, []broker.NewTopic{{Name: name, Partitions: -1, Replication: -1}}, false)[0].Err
		}
	}
	return errs
}

// CreateTopics creates topics on the one node there is.
func (b *Broker) CreateTopics(_ context.Context, _ *broker.Session, topics []broker.NewTopic, validateOnly bool) []broker.CreatedTopic {
	b.mu.Lock()
	defer b.mu.Unlock()
	created := make([]broker.CreatedTopic, len(topics))
	for i, t := range topics {
		created[i] = broker.CreatedTopic{Name: t.Name, Partitions: t.Partitions, Replication: 1}
		if t.Partitions == -1 {
			created[i].Partitions = b.Partitions
		}
		if created[i].Err = b.refuse(t.Name, created[i].Partitions); created[i].Err != nil || validateOnly {
			continue
		}
		created[i].ID = kafka.NewUUID()
		b.fold(&metadata.TopicRecord{ID: created[i].ID, Name: t.Name, Partitions: run(created[i].Partitions)})
		b.wakeLocked()
	}
	return created
}

func (b *Broker) refuse(name string, partitions int32) error {
	switch {
	case b.failure("create", kafka.TopicPartition{Topic: name}) != nil:
		return b.failure("create", kafka.TopicPartition{Topic: name})
	case name == "" || name == "." || name == ".." || len(name) > 249 || strings.ContainsFunc(name, func(r rune) bool {
		return !strings.ContainsRune("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-", r)
	}):
		return kafka.Errorf(kafka.InvalidTopicException, "%q is no topic name: use 1 to 249 of a-z A-Z 0-9 . _ -", name)
	case partitions < 1:
		return kafka.Errorf(kafka.InvalidPartitions, "a topic cannot have %d partitions", partitions)
	case b.img.Topics.ByName(name) != nil:
		return kafka.Errorf(kafka.TopicAlreadyExists, "topic %s exists already", name)
	}
	return nil
}

func run(n int32) []metadata.PartitionRun {
	one := []kafka.BrokerID{1}
	return []metadata.PartitionRun{{Count: n, Partition: metadata.Partition{Replicas: one, ISR: one, Leader: 1}}}
}

// DeleteTopics deletes topics with their records.
func (b *Broker) DeleteTopics(_ context.Context, _ *broker.Session, topics []broker.TopicRef) []broker.DeletedTopic {
	b.mu.Lock()
	defer b.mu.Unlock()
	deleted := make([]broker.DeletedTopic, len(topics))
	for i, ref := range topics {
		t := b.img.Topics.ByID(ref.ID)
		if ref.Name != "" {
			t = b.img.Topics.ByName(ref.Name)
		}
		if t == nil {
			deleted[i] = broker.DeletedTopic{Err: kafka.UnknownTopicOrPartition, Name: ref.Name, ID: ref.ID}
			continue
		}
		deleted[i] = broker.DeletedTopic{Name: t.Name, ID: t.ID}
		for p := range t.Partitions {
			delete(b.logs, kafka.TopicPartition{Topic: t.Name, Partition: int32(p)})
		}
		b.fold(&metadata.RemoveTopicRecord{ID: t.ID})
		b.wakeLocked()
	}
	return deleted
}

// CreatePartitions adds partitions to topics.
func (b *Broker) CreatePartitions(_ context.Context, _ *broker.Session, topics []broker.MorePartitions, validateOnly bool) []error {
	b.mu.Lock()
	defer b.mu.Unlock()
	errs := make([]error, len(topics))
	for i, m := range topics {
		t := b.img.Topics.ByName(m.Topic)
		switch {
		case t == nil:
			errs[i] = kafka.UnknownTopicOrPartition
		case m.Total <= int32(len(t.Partitions)):
			errs[i] = kafka.InvalidPartitions
		case !validateOnly:
			b.fold(&metadata.PartitionRecord{TopicID: t.ID, First: int32(len(t.Partitions)), Runs: run(m.Total - int32(len(t.Partitions)))})
			b.wakeLocked()
		}
	}
	return errs
}
