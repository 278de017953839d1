package broker

import (
	"context"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/rafka-io/rafka/internal/coordinator"
	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/metadata"
)

// Key types of FindCoordinator.
const (
	groupKey int8 = 0
	txnKey   int8 = 1
	shareKey int8 = 2
)

// coordinatorTopic is an internal topic whose partitions are coordinators.
type coordinatorTopic struct {
	name     string
	settings string            // what the broker's keys about it begin with
	own      map[string]string // its settings, beside the segments' size
}

var coordinatorTopics = map[int8]coordinatorTopic{
	groupKey: {"__consumer_offsets", "offsets.topic.", map[string]string{"cleanup.policy": "compact", "compression.type": "producer"}},
	txnKey:   {"__transaction_state", "transaction.state.log.", map[string]string{"cleanup.policy": "compact", "compression.type": "uncompressed"}},
	// Its records are not each the whole state of their key, so that compaction would lose some: the coordinator trims it.
	shareKey: {"__share_group_state", "share.coordinator.state.topic.", map[string]string{"cleanup.policy": "delete", "retention.ms": "-1", "compression.type": "uncompressed"}},
}

// mostInternalReplicas is how many replicas an internal topic is created with at most. With fewer brokers alive it gets one on each, and the
// controller gives it more as brokers join.
const mostInternalReplicas = 3

// loadPatience is how long FindCoordinator waits for a coordinator that is being loaded, such as one whose topic it has just created, before it
// tells the client to ask again.
const loadPatience = 2 * time.Second

// FindCoordinator says which broker coordinates each of the keys: groups, transactional ids, or share partitions ("group:topicId:partition"). The
// internal topic is created on first use. A key fails on its own; addresses are the door's affair.
//
// Codes: InvalidRequest for another type of key or a key that cannot be, InvalidGroupID is left to who uses the group,
// CoordinatorNotAvailable, CoordinatorLoadInProgress.
func (b *Broker) FindCoordinator(ctx context.Context, _ *Session, q *kmsg.FindCoordinatorRequest) *kmsg.FindCoordinatorResponse {
	resp := q.ResponseKind().(*kmsg.FindCoordinatorResponse)
	ctx, cancel := context.WithTimeout(ctx, loadPatience)
	defer cancel()
	for _, key := range q.CoordinatorKeys {
		c := kmsg.NewFindCoordinatorResponseCoordinator()
		c.Key, c.NodeID, c.Port = key, int32(kafka.NoBroker), -1
		node, err := b.coordinatorOf(ctx, q.CoordinatorType, key)
		c.NodeID = int32(node)
		if err != nil {
			message := kafka.MessageOf(err)
			c.ErrorCode, c.ErrorMessage = int16(kafka.CodeOf(err)), &message
		}
		resp.Coordinators = append(resp.Coordinators, c)
	}
	return resp
}

// coordinatorOf finds the broker of one key, and waits a moment if that is this one and it is not ready.
func (b *Broker) coordinatorOf(ctx context.Context, kind int8, key string) (kafka.BrokerID, error) {
	at, known := coordinatorTopics[kind]
	switch {
	case !known:
		return kafka.NoBroker, kafka.Errorf(kafka.InvalidRequest, "a coordinator key of type %d", kind)
	case kind == shareKey && !isShareKey(key):
		return kafka.NoBroker, kafka.Errorf(kafka.InvalidRequest, "%q is no group:topicId:partition", key)
	case kind == txnKey && key == "":
		return kafka.NoBroker, kafka.Errorf(kafka.InvalidRequest, "the transactional id is empty")
	}
	t, err := b.internalTopic(ctx, at)
	if err != nil {
		return kafka.NoBroker, err
	}
	i := coordinator.PartitionOf(key, int32(len(t.Partitions)))
	leader := t.Partitions[i].Leader
	switch {
	case leader == kafka.NoBroker:
		return leader, kafka.Errorf(kafka.CoordinatorNotAvailable, "%s-%d has no leader at the moment", at.name, i)
	case leader == b.opts.NodeID:
		if err := b.ready(ctx, kind, i); err != nil {
			return kafka.NoBroker, err
		}
	}
	return leader, nil
}

// isShareKey checks the form of a share partition's key; the group may have colons in it.
func isShareKey(key string) bool {
	rest, part, ok := cutLast(key)
	if n, err := strconv.Atoi(part); !ok || err != nil || n < 0 {
		return false
	}
	group, id, ok := cutLast(rest)
	_, err := kafka.ParseUUID(id)
	return ok && group != "" && err == nil
}

func cutLast(s string) (before, after string, ok bool) {
	i := strings.LastIndexByte(s, ':')
	if i < 0 {
		return s, "", false
	}
	return s[:i], s[i+1:], true
}

// ready waits until this node's coordinator serves, but not for long.
func (b *Broker) ready(ctx context.Context, kind int8, partition int32) error {
	switch {
	case kind == groupKey && b.opts.Groups != nil:
		return b.opts.Groups.Ready(ctx, partition)
	case kind == txnKey && b.opts.Txns != nil:
		return b.opts.Txns.Ready(ctx, partition)
	case kind == shareKey && b.opts.ShareStates != nil:
		return b.opts.ShareStates.Ready(ctx, partition)
	}
	return kafka.Errorf(kafka.CoordinatorNotAvailable, "this broker coordinates nothing of this kind")
}

// EnsureShareState creates the topic of the share groups' state if there is none.
func (b *Broker) EnsureShareState(ctx context.Context) error {
	_, err := b.internalTopic(ctx, coordinatorTopics[shareKey])
	return err
}

// CreateTopic creates a topic with the default number of partitions and replicas, such as the dead-letter topic of a share group. Errors: those
// of CreateTopics.
func (b *Broker) CreateTopic(ctx context.Context, name string, settings map[string]string) error {
	topic := NewTopic{Name: name, Partitions: -1, Replication: -1, Configs: entries(settings)}
	return b.CreateTopics(ctx, nil, []NewTopic{topic}, false)[0].Err
}

// entries are settings as CreateTopics takes them.
func entries(settings map[string]string) (list []ConfigEntry) {
	for _, key := range slices.Sorted(maps.Keys(settings)) {
		value := settings[key]
		list = append(list, ConfigEntry{Name: key, Value: &value})
	}
	return list
}

// internalTopic is a coordinators' topic, created if need be.
func (b *Broker) internalTopic(ctx context.Context, at coordinatorTopic) (*metadata.Topic, error) {
	img := b.Image()
	if t := img.Topics.ByName(at.name); t != nil {
		return t, nil
	}
	me := metadata.Resource{Type: metadata.ResourceBroker, Name: b.nodeName()}
	value := func(key string) string { return b.admin.opts.Settings.Value(img, me, at.settings+key) }
	partitions, err := strconv.ParseInt(value("num.partitions"), 10, 32)
	if err != nil {
		return nil, kafka.Errorf(kafka.CoordinatorNotAvailable, "%snum.partitions is %q", at.settings, value("num.partitions"))
	}
	replication, err := strconv.ParseInt(value("replication.factor"), 10, 16)
	if err != nil {
		return nil, kafka.Errorf(kafka.CoordinatorNotAvailable, "%sreplication.factor is %q", at.settings, value("replication.factor"))
	}
	alive := 0
	for _, broker := range img.Brokers {
		if !broker.Fenced && !broker.Draining && !broker.ShuttingDown { // the others get no new replicas
			alive++
		}
	}
	settings := maps.Clone(at.own)
	settings["segment.bytes"] = value("segment.bytes")
	replicas := max(min(int(replication), mostInternalReplicas, alive), 1)
	topic := NewTopic{Name: at.name, Partitions: int32(partitions), Replication: int16(replicas), Configs: entries(settings)}
	created := b.admin.opts.Controller.CreateTopics(ctx, []NewTopic{topic}, false)
	if err := created[0].Err; err != nil && kafka.CodeOf(err) != kafka.TopicAlreadyExists {
		return nil, kafka.Errorf(kafka.CoordinatorNotAvailable, "%s could not be created: %w", at.name, err)
	}
	if t := b.Image().Topics.ByName(at.name); t != nil {
		return t, nil
	}
	return nil, kafka.Errorf(kafka.CoordinatorNotAvailable, "%s is being created: try again", at.name)
}
