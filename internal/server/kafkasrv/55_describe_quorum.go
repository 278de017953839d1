package kafkasrv

import (
	"context"
	"math"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/rafka-io/rafka/internal/broker"
	"github.com/rafka-io/rafka/internal/kafka"
)

// metadataTopicName is the name under which Kafka's tools ask about the metadata. There is no such topic: the metadata are kept otherwise.
const metadataTopicName = "__cluster_metadata"

// DescribeQuorum: v0-2
//
// Behaviour: the nodes that keep the metadata, with how many changes each has in place of its log end. Only partition 0 of __cluster_metadata can
// be asked about.
// v1 times · v2 directories, messages, addresses of the voters
// Left out: nothing.
func describeQuorum(ctx context.Context, r *request, q *kmsg.DescribeQuorumRequest, a *kmsg.DescribeQuorumResponse) {
	if len(q.Topics) != 1 || q.Topics[0].Topic != metadataTopicName || len(q.Topics[0].Partitions) != 1 || q.Topics[0].Partitions[0].Partition != 0 {
		unknownQuorums(q, a)
		return
	}
	state, err := r.conn.srv.broker.DescribeQuorum(ctx, r.session)
	if err != nil {
		a.ErrorCode, a.ErrorMessage = codeAndMessage(err)
		return
	}
	p := kmsg.NewDescribeQuorumResponseTopicPartition()
	p.LeaderID, p.LeaderEpoch, p.HighWatermark = int32(state.Leader), int32(min(state.Term, math.MaxInt32)), state.HighWatermark
	p.CurrentVoters, p.Observers = quorumNodes(state.Voters), quorumNodes(state.Observers)
	t := kmsg.NewDescribeQuorumResponseTopic()
	t.Topic, t.Partitions = metadataTopicName, []kmsg.DescribeQuorumResponseTopicPartition{p}
	a.Topics = []kmsg.DescribeQuorumResponseTopic{t}
	a.Nodes = r.voterAddresses(state.Voters)
}

// unknownQuorums answers about partitions that are not of the metadata.
func unknownQuorums(q *kmsg.DescribeQuorumRequest, a *kmsg.DescribeQuorumResponse) {
	for i := range q.Topics {
		t := kmsg.NewDescribeQuorumResponseTopic()
		t.Topic = q.Topics[i].Topic
		for j := range q.Topics[i].Partitions {
			p := kmsg.NewDescribeQuorumResponseTopicPartition()
			p.Partition, p.ErrorCode = q.Topics[i].Partitions[j].Partition, int16(kafka.UnknownTopicOrPartition)
			t.Partitions = append(t.Partitions, p)
		}
		a.Topics = append(a.Topics, t)
	}
}

func quorumNodes(nodes []broker.QuorumNode) []kmsg.DescribeQuorumResponseTopicPartitionReplicaState {
	list := make([]kmsg.DescribeQuorumResponseTopicPartitionReplicaState, len(nodes))
	for i, n := range nodes {
		list[i] = kmsg.DescribeQuorumResponseTopicPartitionReplicaState{
			ReplicaID: int32(n.ID), ReplicaDirectoryID: n.Directory, LogEndOffset: n.LogEnd,
			LastFetchTimestamp: int64(n.LastFetch), LastCaughtUpTimestamp: int64(n.LastCaughtUp),
		}
	}
	return list
}

// voterAddresses are where the client reaches the voters: voters are brokers.
func (r *request) voterAddresses(voters []broker.QuorumNode) (nodes []kmsg.DescribeQuorumResponseNode) {
	img := r.conn.srv.broker.Image()
	for _, v := range voters {
		b := img.Brokers[v.ID]
		if b == nil {
			continue
		}
		at, ok := r.endpointFor(b)
		if !ok {
			continue
		}
		l := kmsg.NewDescribeQuorumResponseNodeListener()
		l.Name, l.Host, l.Port = r.session.Listener, at.host, uint16(at.port)
		n := kmsg.NewDescribeQuorumResponseNode()
		n.NodeID, n.Listeners = int32(v.ID), []kmsg.DescribeQuorumResponseNodeListener{l}
		nodes = append(nodes, n)
	}
	return nodes
}
