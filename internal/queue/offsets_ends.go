package queue

import (
	"context"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/metadata"
	"github.com/rafka-io/rafka/internal/partition"
)

// logEnd is the question where a partition ends, and the answer.
type logEnd struct {
	topic string
	TopicPartition
	offset kafka.Offset
	err    error
}

const (
	// endsVersion is that of the requests, and endsTimeout how long another broker may take.
	endsVersion = 9
	endsTimeout = 5 * time.Second
)

// findEnds asks where partitions end: here what this node leads, and the leaders of the others, all at the same time.
//
// Errors of one: those of partition.FindOffset, LeaderNotAvailable, NetworkException.
func (m *Manager) findEnds(ctx context.Context, img *metadata.Image, ends []*logEnd) {
	elsewhere := map[kafka.BrokerID][]*logEnd{}
	for _, e := range ends {
		leader := m.opts.NodeID
		if t := img.Topics.ByID(e.Topic); t != nil && e.Partition >= 0 && int(e.Partition) < len(t.Partitions) {
			leader = t.Partitions[e.Partition].Leader
		}
		switch {
		case leader == m.opts.NodeID || m.opts.Peers == nil:
			e.offset, e.err = m.latest(e.TopicPartition)
		case leader == kafka.NoBroker:
			e.err = kafka.Errorf(kafka.LeaderNotAvailable, "partition %d of topic %s has no leader at the moment", e.Partition, e.topic)
		default:
			elsewhere[leader] = append(elsewhere[leader], e)
		}
	}
	var asking sync.WaitGroup
	for leader, some := range elsewhere {
		asking.Go(func() { m.askEnds(ctx, leader, some) })
	}
	asking.Wait()
}

// latest is the end of a partition that this node leads.
func (m *Manager) latest(tp TopicPartition) (kafka.Offset, error) {
	_, p, err := m.logOf(tp)
	if err != nil {
		return kafka.NoOffset, err
	}
	found, err := p.FindOffset(partition.OffsetQuery{At: partition.AtLatest, CurrentEpoch: kafka.NoEpoch})
	return found.Offset, err
}

// askEnds asks one broker.
func (m *Manager) askEnds(ctx context.Context, broker kafka.BrokerID, ends []*logEnd) {
	ctx, cancel := context.WithTimeout(ctx, endsTimeout)
	defer cancel()
	q := kmsg.NewPtrListOffsetsRequest()
	q.Version, q.ReplicaID = endsVersion, int32(kafka.NoBroker)
	missing := map[kafka.TopicPartition]*logEnd{}
	for _, e := range ends {
		e.err = kafka.Errorf(kafka.NetworkException, "broker %d did not say where partition %d of topic %s ends", broker, e.Partition, e.topic)
		at := kafka.TopicPartition{Topic: e.topic, Partition: e.Partition}
		if missing[at] != nil {
			continue // asked for twice; a broker refuses that
		}
		missing[at] = e
		if n := len(q.Topics); n == 0 || q.Topics[n-1].Topic != e.topic {
			t := kmsg.NewListOffsetsRequestTopic()
			t.Topic = e.topic
			q.Topics = append(q.Topics, t)
		}
		p := kmsg.NewListOffsetsRequestTopicPartition()
		p.Partition, p.Timestamp, p.CurrentLeaderEpoch = e.Partition, partition.AtLatest, int32(kafka.NoEpoch)
		last := &q.Topics[len(q.Topics)-1]
		last.Partitions = append(last.Partitions, p)
	}
	resp, err := m.opts.Peers.Kafka(ctx, broker, q)
	a, ok := resp.(*kmsg.ListOffsetsResponse)
	if err == nil && !ok {
		err = errStrangeAnswer
	}
	if err != nil {
		for _, e := range ends {
			e.err = kafka.Errorf(kafka.NetworkException, "broker %d, which leads partition %d of topic %s, was not reached: %w", broker, e.Partition, e.topic, err)
		}
		return
	}
	for i := range a.Topics {
		for _, p := range a.Topics[i].Partitions {
			e := missing[kafka.TopicPartition{Topic: a.Topics[i].Topic, Partition: p.Partition}]
			switch {
			case e == nil:
			case p.ErrorCode != 0:
				e.err = kafka.ErrorCode(p.ErrorCode)
			default:
				e.offset, e.err = kafka.Offset(p.Offset), nil
			}
		}
	}
	for _, e := range ends {
		if one := missing[kafka.TopicPartition{Topic: e.topic, Partition: e.Partition}]; one != e {
			e.offset, e.err = one.offset, one.err
		}
	}
}
