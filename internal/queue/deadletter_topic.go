package queue

import (
	"context"
	"errors"
	"strings"

	"github.com/rafka-io/rafka/internal/config"
	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/metadata"
	"github.com/rafka-io/rafka/internal/partition"
	"github.com/rafka-io/rafka/internal/record"
)

// Keys of dead-letter topics (KIP-1191).
const (
	keyDeadLetterPrefix = "errors.deadletterqueue.topic.name.prefix"
	keyDeadLetterCreate = "errors.deadletterqueue.auto.create.topics.enable"
	keyDeadLetterTopic  = "errors.deadletterqueue.group.enable"
)

// errMisconfigured is in the chain of what will not go right by itself: who runs the cluster has to change a setting.
var errMisconfigured = errors.New("dead letters are not possible as things are configured")

// deadLetterTopic finds, or creates, the topic that takes the dead letters of a group, and chooses the partition for those of a partition of
// another topic: the same number, as far as there are as many.
//
// Errors: errMisconfigured; else it is worth trying again.
func (m *Manager) deadLetterTopic(ctx context.Context, group string, g *config.ShareGroup, from int32) (*partition.Partition, error) {
	name := g.DeadLetterTopic
	img := m.opts.Image()
	if err := m.checkDeadLetterName(img, group, name); err != nil {
		return nil, err
	}
	t := img.Topics.ByName(name)
	if t == nil {
		if !strings.EqualFold(m.nodeSetting(img, keyDeadLetterCreate), "true") {
			return nil, misconfigured("dead-letter topic %s of share group %s does not exist: create it with %s=true, or allow %s", name, group, keyDeadLetterTopic, keyDeadLetterCreate)
		}
		if err := m.opts.CreateTopic(ctx, name, map[string]string{keyDeadLetterTopic: "true", "message.timestamp.type": "LogAppendTime"}); err != nil && !errors.Is(err, kafka.TopicAlreadyExists) {
			return nil, err
		}
		img = m.opts.Image()
		if t = img.Topics.ByName(name); t == nil {
			return nil, kafka.Errorf(kafka.UnknownTopicOrPartition, "dead-letter topic %s is not known here yet", name)
		}
	}
	if r := (metadata.Resource{Type: metadata.ResourceTopic, Name: name}); !strings.EqualFold(m.opts.Settings.Value(img, r, keyDeadLetterTopic), "true") {
		return nil, misconfigured("topic %s takes no dead letters of share group %s: set %s=true for it", name, group, keyDeadLetterTopic)
	}
	here, err := m.opts.Replicas.ByName(name)
	if err != nil {
		return nil, err
	}
	return here.Partition(from % int32(max(len(t.Partitions), 1)))
}

// checkDeadLetterName refuses a topic that no group may name, with errMisconfigured.
func (m *Manager) checkDeadLetterName(img *metadata.Image, group, name string) error {
	prefix := m.nodeSetting(img, keyDeadLetterPrefix)
	switch {
	case name == "":
		return misconfigured("share group %s names no dead-letter topic any more", group)
	case strings.HasPrefix(name, "__"):
		return misconfigured("dead-letter topic %s of share group %s may not begin with __", name, group)
	case !strings.HasPrefix(name, prefix):
		return misconfigured("dead-letter topic %s of share group %s does not begin with %s, as %s asks", name, group, prefix, keyDeadLetterPrefix)
	}
	return nil
}

func misconfigured(format string, args ...any) error {
	return errors.Join(errMisconfigured, kafka.Errorf(kafka.InvalidConfig, format, args...))
}

// appendCommitted appends a batch and returns when it is as durable and replicated as acks=all asks.
func (m *Manager) appendCommitted(ctx context.Context, p *partition.Partition, batch record.Batches) error {
	w := partition.NewAckWaiter()
	w.Start()
	if _, err := p.AppendAsLeader(partition.Append{Records: batch, AllReplicas: true, Waiter: w}, m.opts.Now()); err != nil {
		return err
	}
	if !w.Seal() {
		select {
		case <-w.Done():
		case <-ctx.Done():
			if late := p.Forget(w, nil); len(late) > 0 && w.Drop(len(late)) {
				return context.Cause(ctx)
			}
			<-w.Done() // it is being completed right now
		}
	}
	for _, f := range w.Failed() {
		return f.Err
	}
	return nil
}
