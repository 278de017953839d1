package kafkasrv

import (
	"context"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/metadata"
)

// Metadata: v0-13
//
// Behaviour: brokers with the address for the client's own listener, topics by name or id, from one image. Topics asked for by name that do
// not exist are created if the client allows it (always before version 4) and auto.create.topics.enable is on; the answer has them then.
// A partition whose leader the client cannot be sent to has none, and says why.
// v0 an empty list means all topics; replicas that are down are left out · v1 null means all, empty none; controller, internal, rack · v2 cluster id · v4 auto creation as
// asked · v5 offline replicas · v6 LISTENER_NOT_FOUND · v7 leader epoch · v8-10 operations of the cluster · v9 flexible · v10 topic ids · v12 topics by id ·
// v13 an error of the whole answer
// Left out: nothing.
func describeMetadata(ctx context.Context, r *request, q *kmsg.MetadataRequest, a *kmsg.MetadataResponse) {
	s := r.conn.srv
	all := q.Topics == nil || r.version == 0 && len(q.Topics) == 0
	if r.version < 4 || q.AllowAutoTopicCreation {
		createMissing(ctx, r, q)
	}
	img := s.broker.Image()
	r.eachBroker(img, func(b *metadata.Broker, at endpoint) {
		m := kmsg.NewMetadataResponseBroker()
		m.NodeID, m.Host, m.Port, m.Rack = int32(b.ID), at.host, at.port, optional(b.Rack)
		a.Brokers = append(a.Brokers, m)
	})
	a.ClusterID = optional(img.ClusterID)
	a.ControllerID = int32(r.controller(img))
	if q.IncludeClusterAuthorizedOperations {
		a.AuthorizedOperations = clusterOperations
	}
	to := r.reachable(img)
	if all {
		for _, t := range img.Topics.Sorted() {
			a.Topics = append(a.Topics, metadataTopic(r, to, t, q.IncludeTopicAuthorizedOperations))
		}
		return
	}
	told := make(map[metadataKey]bool, len(q.Topics))
	for i := range q.Topics {
		t := &q.Topics[i]
		key := metadataKey{id: t.TopicID}
		if namesTopic(t) {
			key = metadataKey{name: *t.Topic}
		}
		if told[key] {
			continue // a large topic named again and again would make a small request a huge answer
		}
		told[key] = true
		var known *metadata.Topic
		if namesTopic(t) {
			known = img.Topics.ByName(*t.Topic)
		} else {
			known = img.Topics.ByID(t.TopicID)
		}
		if known != nil {
			a.Topics = append(a.Topics, metadataTopic(r, to, known, q.IncludeTopicAuthorizedOperations))
			continue
		}
		m := kmsg.NewMetadataResponseTopic()
		m.Topic, m.TopicID = t.Topic, t.TopicID
		switch {
		case !namesTopic(t):
			m.ErrorCode = int16(kafka.UnknownTopicID)
			m.Topic = nil
			if r.version < 12 {
				m.Topic = new(string) // null only since then
			}
		case !validTopicName(*t.Topic):
			m.ErrorCode = int16(kafka.InvalidTopicException)
		default:
			m.ErrorCode = int16(kafka.UnknownTopicOrPartition)
		}
		a.Topics = append(a.Topics, m)
	}
}

// namesTopic reports whether a topic is asked for by its name. With an id the name does not count, as in Kafka: the Java client sends an empty
// one then, not null.
func namesTopic(t *kmsg.MetadataRequestTopic) bool {
	return t.Topic != nil && t.TopicID == kafka.UUID{}
}

// metadataKey is how a request names a topic.
type metadataKey struct {
	name string
	id   kafka.UUID
}

// createMissing creates the topics of the request that do not exist, where that is allowed; those that cannot be stay unknown.
func createMissing(ctx context.Context, r *request, q *kmsg.MetadataRequest) {
	img := r.conn.srv.broker.Image()
	var missing []string
	for i := range q.Topics {
		if t := &q.Topics[i]; namesTopic(t) && validTopicName(*t.Topic) && img.Topics.ByName(*t.Topic) == nil {
			missing = append(missing, *t.Topic)
		}
	}
	if len(missing) > 0 {
		r.conn.srv.broker.EnsureTopics(ctx, r.session, missing)
	}
}

func metadataTopic(r *request, to reachable, t *metadata.Topic, withOperations bool) kmsg.MetadataResponseTopic {
	m := kmsg.NewMetadataResponseTopic()
	m.Topic, m.TopicID, m.IsInternal = kmsg.StringPtr(t.Name), t.ID, t.Internal
	if withOperations {
		m.AuthorizedOperations = topicOperations
	}
	m.Partitions = make([]kmsg.MetadataResponseTopicPartition, len(t.Partitions))
	for i := range t.Partitions {
		m.Partitions[i] = metadataPartition(r, to, &t.Partitions[i], int32(i))
	}
	return m
}

func metadataPartition(r *request, to reachable, p *metadata.Partition, i int32) kmsg.MetadataResponseTopicPartition {
	leader, code := to.leader(p)
	if code == kafka.ListenerNotFound && r.version < 6 {
		code = kafka.LeaderNotAvailable
	}
	m := kmsg.MetadataResponseTopicPartition{Partition: i, Leader: int32(leader), LeaderEpoch: int32(p.LeaderEpoch), OfflineReplicas: to.offline(p.Replicas)}
	if r.version == 0 {
		m.Replicas, m.ISR = to.online(p.Replicas), to.online(p.ISR)
		if code == kafka.None && (len(m.Replicas) < len(p.Replicas) || len(m.ISR) < len(p.ISR)) {
			code = kafka.ReplicaNotAvailable
		}
	} else {
		m.Replicas, m.ISR = ids(p.Replicas), ids(p.ISR)
	}
	m.ErrorCode = int16(code)
	return m
}

// controller is the broker that administrative requests may go to; every broker takes them.
func (r *request) controller(img *metadata.Image) kafka.BrokerID {
	if b := img.Brokers[img.Controller]; b != nil && !b.Fenced {
		return img.Controller
	}
	return r.conn.srv.opts.NodeID
}

// What one partition of a Metadata answer costs at most while it is built, and one unknown topic.
const (
	metadataPartitionCost = 256
	metadataTopicCost     = 256
)

// metadataCost counts all partitions if all topics are wanted, or else as many of average size as are named.
func metadataCost(r *request) int64 {
	img := r.conn.srv.broker.Image()
	named := r.content.Elements
	if named == 0 {
		named = img.Topics.Len()
	}
	known := min(named, img.Topics.Len())
	return int64(named)*metadataTopicCost + int64(known)*int64(partitionsPerTopic(img))*metadataPartitionCost
}

// partitionsPerTopic is the average, rounded up.
func partitionsPerTopic(img *metadata.Image) int {
	if img.Topics.Len() == 0 {
		return 0
	}
	return (img.Topics.PartitionCount() + img.Topics.Len() - 1) / img.Topics.Len()
}

// ids are broker ids as integers.
func ids(brokers []kafka.BrokerID) []int32 {
	list := make([]int32, len(brokers))
	for i, id := range brokers {
		list[i] = int32(id)
	}
	return list
}

// optional is a string that is null when empty.
func optional(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

// maxTopicName is Kafka's limit, in bytes.
const maxTopicName = 249

// validTopicName reports whether a topic may have that name: a client that asks for another gets an error of its own.
func validTopicName(s string) bool {
	if s == "" || s == "." || s == ".." || len(s) > maxTopicName {
		return false
	}
	for i := range len(s) {
		c := s[i]
		if !('0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || c == '.' || c == '_' || c == '-') {
			return false
		}
	}
	return true
}
