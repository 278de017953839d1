package queue

import (
	"context"
	"errors"
	"strconv"
	"strings"

	"github.com/twmb/franz-go/pkg/kmsg"

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

// letterbox is the partition that takes the dead letters of a share partition.
type letterbox struct {
	kafka.TopicPartition
	leader kafka.BrokerID
	here   *partition.Partition // nil: another broker leads it
	most   int                  // bytes of one batch
}

// deadLetterTopic finds, or creates, the topic that takes the dead letters of a group, and chooses the partition for those of a partition of
// another topic: the same number, as far as there are as many.
//
// Errors: errMisconfigured; else it is worth trying again.
func (m *Manager) deadLetterTopic(ctx context.Context, group string, g *config.ShareGroup, from int32) (*letterbox, error) {
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
	r := metadata.Resource{Type: metadata.ResourceTopic, Name: name}
	if !strings.EqualFold(m.opts.Settings.Value(img, r, keyDeadLetterTopic), "true") {
		return nil, misconfigured("topic %s takes no dead letters of share group %s: set %s=true for it", name, group, keyDeadLetterTopic)
	}
	if len(t.Partitions) == 0 {
		return nil, kafka.Errorf(kafka.LeaderNotAvailable, "dead-letter topic %s has no partitions yet", name)
	}
	to := &letterbox{TopicPartition: kafka.TopicPartition{Topic: name, Partition: from % int32(len(t.Partitions))}}
	if to.leader = t.Partitions[to.Partition].Leader; to.leader != m.opts.NodeID && m.opts.Peers != nil {
		most, err := strconv.Atoi(m.opts.Settings.Value(img, r, keyMaxBatch))
		if to.most = most; err != nil {
			to.most = defaultMaxBatch // values are checked when they are set
		}
		return to, nil
	}
	here, err := m.opts.Replicas.ByName(name)
	if err != nil {
		return nil, err
	}
	if to.here, err = here.Partition(to.Partition); err != nil {
		return nil, err
	}
	to.most = to.here.Settings().Rules.MaxBatchBytes
	return to, nil
}

// keyMaxBatch bounds the batches of a topic, and defaultMaxBatch is its default.
const (
	keyMaxBatch     = "max.message.bytes"
	defaultMaxBatch = 1_048_588
)

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

// deliver appends a batch of dead letters where the partition is led, and returns when it is as durable and replicated as acks=all asks.
//
// Errors: those of partition.AppendAsLeader, here or there; NetworkException if the leader was not reached or did not answer in time, in which
// case the letters may be there and come again.
func (m *Manager) deliver(ctx context.Context, to *letterbox, batch record.Batches) error {
	switch {
	case to.here != nil:
		return m.appendCommitted(ctx, to.here, batch)
	case to.leader == kafka.NoBroker:
		return kafka.Errorf(kafka.LeaderNotAvailable, "%s has no leader at the moment", to.TopicPartition)
	}
	q := kmsg.NewPtrProduceRequest()
	q.Version, q.Acks, q.TimeoutMillis = produceVersion, -1, int32(letterTimeout.Milliseconds())
	t := kmsg.NewProduceRequestTopic()
	p := kmsg.NewProduceRequestTopicPartition()
	p.Partition, p.Records = to.Partition, batch
	t.Topic, t.Partitions = to.Topic, append(t.Partitions, p)
	q.Topics = append(q.Topics, t)
	resp, err := m.opts.Peers.Kafka(ctx, to.leader, q)
	if err != nil {
		return kafka.Errorf(kafka.NetworkException, "broker %d, which leads %s, was not reached: %w", to.leader, to.TopicPartition, err)
	}
	a, ok := resp.(*kmsg.ProduceResponse)
	if !ok || len(a.Topics) != 1 || len(a.Topics[0].Partitions) != 1 {
		return kafka.Errorf(kafka.NetworkException, "broker %d did not answer what became of dead letters for %s", to.leader, to.TopicPartition)
	}
	switch got := &a.Topics[0].Partitions[0]; {
	case got.ErrorCode == 0:
		return nil
	case got.ErrorMessage != nil:
		return kafka.Errorf(kafka.ErrorCode(got.ErrorCode), "broker %d about %s: %s", to.leader, to.TopicPartition, *got.ErrorMessage)
	default:
		return kafka.ErrorCode(got.ErrorCode)
	}
}

// produceVersion is that of the requests: the last one that names topics.
const produceVersion = 12

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
