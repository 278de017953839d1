package kafkasrv

import (
	"context"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/rafka-io/rafka/internal/broker"
	"github.com/rafka-io/rafka/internal/kafka"
)

// CreateTopics: v2-7
//
// Behaviour: answered when this broker serves the topics; the client's timeout bounds the wait. A topic named twice is INVALID_REQUEST both
// times, as is one with both counts and an assignment.
// v4 -1 for the broker's defaults · v5 flexible, effective settings in the answer · v7 topic ids
// Left out: nothing.
func createTopics(ctx context.Context, r *request, q *kmsg.CreateTopicsRequest, a *kmsg.CreateTopicsResponse) {
	ctx, cancel := withTimeout(ctx, q.TimeoutMillis)
	defer cancel()
	named := map[string]int{}
	for i := range q.Topics {
		named[q.Topics[i].Topic]++
	}
	var wanted []broker.NewTopic
	var places []int
	a.Topics = make([]kmsg.CreateTopicsResponseTopic, len(q.Topics))
	for i := range q.Topics {
		t, place := &q.Topics[i], &a.Topics[i]
		place.Default()
		place.Topic, place.Configs = t.Topic, noConfigs // of a topic that is refused: none, and not null
		topic, err := newTopic(t)
		if named[t.Topic] > 1 {
			err = kafka.Errorf(kafka.InvalidRequest, "topic %q is named more than once in the request", t.Topic)
		}
		if err != nil {
			place.ErrorCode, place.ErrorMessage = codeAndMessage(err)
			continue
		}
		wanted, places = append(wanted, topic), append(places, i)
	}
	if len(wanted) == 0 {
		return
	}
	results := r.conn.srv.broker.CreateTopics(ctx, r.session, wanted, q.ValidateOnly)
	for i := range min(len(results), len(places)) {
		res, place := &results[i], &a.Topics[places[i]]
		if res.Err != nil {
			place.ErrorCode, place.ErrorMessage = codeAndMessage(res.Err)
			continue
		}
		place.TopicID, place.NumPartitions, place.ReplicationFactor = res.ID, res.Partitions, res.Replication
		for _, c := range res.Configs {
			entry := kmsg.NewCreateTopicsResponseTopicConfig()
			entry.Name, entry.Value, entry.ReadOnly = c.Name, c.Value, c.ReadOnly
			entry.Source, entry.IsSensitive = int8(c.Source), c.Sensitive
			place.Configs = append(place.Configs, entry)
		}
	}
}

// noConfigs are no settings; null would say that they may not be seen.
var noConfigs = []kmsg.CreateTopicsResponseTopicConfig{}

func newTopic(t *kmsg.CreateTopicsRequestTopic) (broker.NewTopic, error) {
	topic := broker.NewTopic{Name: t.Topic, Partitions: t.NumPartitions, Replication: t.ReplicationFactor}
	if len(t.ReplicaAssignment) > 0 {
		if t.NumPartitions != -1 || t.ReplicationFactor != -1 {
			return topic, kafka.Errorf(kafka.InvalidRequest, "topic %q: give either counts of partitions and replicas or an assignment, not both (-1 means none)", t.Topic)
		}
		topic.Assignment = make(map[int32][]kafka.BrokerID, len(t.ReplicaAssignment))
		for i := range t.ReplicaAssignment {
			p := &t.ReplicaAssignment[i]
			if _, twice := topic.Assignment[p.Partition]; twice {
				return topic, kafka.Errorf(kafka.InvalidReplicaAssignment, "topic %q: partition %d is assigned twice", t.Topic, p.Partition)
			}
			topic.Assignment[p.Partition] = brokerIDs(p.Replicas)
		}
	}
	seen := make(map[string]bool, len(t.Configs))
	for i := range t.Configs {
		c := &t.Configs[i]
		if seen[c.Name] {
			return topic, kafka.Errorf(kafka.InvalidRequest, "topic %q: the setting %q is given twice", t.Topic, c.Name)
		}
		seen[c.Name] = true
		topic.Configs = append(topic.Configs, broker.ConfigEntry{Name: c.Name, Value: c.Value})
	}
	return topic, nil
}

// createTopicsCost counts the settings of each topic, which the answer tells.
func createTopicsCost(r *request) int64 { return int64(r.content.Elements) * configsCost }
