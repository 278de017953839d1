package broker

import (
	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/metadata"
	"github.com/rafka-io/rafka/internal/partition"
	"github.com/rafka-io/rafka/internal/replica"
)

// lookup finds partitions of one request. Requests name a topic's partitions one after the other, so it remembers the last topic.
type lookup struct {
	replicas *replica.Manager
	topic    *replica.Topic
}

// find returns a topic, by its id if name is empty, and its partition. The topic comes also with an error about the partition.
//
// Errors: UnknownTopicID, UnknownTopicOrPartition, NotLeaderOrFollower if the partition is on other nodes only.
func (l *lookup) find(name string, id kafka.UUID, i int32) (*replica.Topic, *partition.Partition, error) {
	t := l.topic
	var err error
	switch {
	case name != "":
		if t == nil || t.Name != name {
			t, err = l.replicas.ByName(name)
		}
	case t == nil || t.ID != id:
		t, err = l.replicas.ByID(id)
	}
	if err != nil {
		return nil, nil, err
	}
	l.topic = t
	p, err := t.Partition(i)
	return t, p, err
}

// named finds a partition by its topic's name.
func (b *Broker) named(topic string, i int32) (*partition.Partition, error) {
	l := lookup{replicas: b.opts.Replicas}
	_, p, err := l.find(topic, kafka.UUID{}, i)
	return p, err
}

// leaderFor is the leader to go to after err, if err says that the asker has the wrong one and this node knows the right one.
func (b *Broker) leaderFor(err error, name string, id kafka.UUID, i int32) (kafka.BrokerID, kafka.LeaderEpoch) {
	if err == nil {
		return kafka.NoBroker, kafka.NoEpoch
	}
	if c := kafka.CodeOf(err); c != kafka.NotLeaderOrFollower && c != kafka.FencedLeaderEpoch {
		return kafka.NoBroker, kafka.NoEpoch
	}
	img := b.Image()
	var t *metadata.Topic
	if name != "" {
		t = img.Topics.ByName(name)
	} else {
		t = img.Topics.ByID(id)
	}
	if t == nil || i < 0 || int(i) >= len(t.Partitions) {
		return kafka.NoBroker, kafka.NoEpoch
	}
	p := &t.Partitions[i]
	if p.Leader == b.opts.NodeID && kafka.CodeOf(err) == kafka.NotLeaderOrFollower {
		return kafka.NoBroker, kafka.NoEpoch // this node knows no better yet than that it leads itself: let the client ask around
	}
	return p.Leader, p.LeaderEpoch
}
