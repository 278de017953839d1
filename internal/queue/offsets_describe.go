package queue

import (
	"context"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/metadata"
	"github.com/rafka-io/rafka/internal/partition"
)

// DescribeShareGroupOffsets says from where on share groups have something to read, and how many records are between there and the end of the log
// that are not dealt with (from version 1). Without topics it is about all partitions whose state has begun.
//
// As in Kafka a topic that does not exist, or a state that cannot be read, has the start offset -1 and no error. Codes of a group:
// GroupIDNotFound and the coordinator's; of a partition: those of partition.FindOffset.
func (m *Manager) DescribeShareGroupOffsets(ctx context.Context, req *kmsg.DescribeShareGroupOffsetsRequest) *kmsg.DescribeShareGroupOffsetsResponse {
	resp := kmsg.NewPtrDescribeShareGroupOffsetsResponse()
	resp.Version = req.Version
	img := m.opts.Image()
	for i := range req.Groups {
		g := kmsg.NewDescribeShareGroupOffsetsResponseGroup()
		g.GroupID = req.Groups[i].GroupID
		if err := m.describeOffsets(ctx, img, &req.Groups[i], &g); err != nil {
			g.ErrorCode, g.ErrorMessage = codeAndMessage(err)
			g.Topics = nil
		}
		resp.Groups = append(resp.Groups, g)
	}
	return resp
}

func (m *Manager) describeOffsets(ctx context.Context, img *metadata.Image, req *kmsg.DescribeShareGroupOffsetsRequestGroup, g *kmsg.DescribeShareGroupOffsetsResponseGroup) error {
	asked := req.Topics
	if asked == nil {
		all, err := m.opts.Groups.SharePartitions(ctx, req.GroupID)
		if err != nil {
			return err
		}
		for _, t := range all {
			asked = append(asked, kmsg.DescribeShareGroupOffsetsRequestGroupTopic{Topic: t.Topic, Partitions: t.Partitions})
		}
	}
	ask := kmsg.NewPtrReadShareGroupStateSummaryRequest()
	ask.Version, ask.GroupID = 1, req.GroupID
	for _, t := range asked {
		topic := kmsg.NewDescribeShareGroupOffsetsResponseGroupTopic()
		topic.Topic = t.Topic
		known := img.Topics.ByName(t.Topic)
		states := kmsg.NewReadShareGroupStateSummaryRequestTopic()
		if known != nil {
			topic.TopicID, states.TopicID = known.ID, known.ID
		}
		for _, i := range t.Partitions {
			p := kmsg.NewDescribeShareGroupOffsetsResponseGroupTopicPartition()
			p.Partition, p.StartOffset = i, int64(kafka.NoOffset)
			topic.Partitions = append(topic.Partitions, p)
			s := kmsg.NewReadShareGroupStateSummaryRequestTopicPartition()
			s.Partition, s.LeaderEpoch = i, int32(kafka.NoEpoch)
			states.Partitions = append(states.Partitions, s)
		}
		g.Topics = append(g.Topics, topic)
		if known != nil && len(states.Partitions) > 0 {
			ask.Topics = append(ask.Topics, states)
		}
	}
	if len(ask.Topics) == 0 {
		return nil
	}
	found := map[TopicPartition]*kmsg.ReadShareGroupStateSummaryResponseTopicPartition{}
	answer := m.opts.States.ReadShareGroupStateSummary(ctx, ask)
	for i := range answer.Topics {
		for j := range answer.Topics[i].Partitions {
			p := &answer.Topics[i].Partitions[j]
			found[TopicPartition{answer.Topics[i].TopicID, p.Partition}] = p
		}
	}
	for i := range g.Topics {
		for j := range g.Topics[i].Partitions {
			p := &g.Topics[i].Partitions[j]
			if s := found[TopicPartition{g.Topics[i].TopicID, p.Partition}]; s != nil && s.ErrorCode == 0 {
				m.describeOffset(g.Topics[i].TopicID, s, p)
			}
		}
	}
	return nil
}

// describeOffset fills in what the share coordinator knows, and the lag.
func (m *Manager) describeOffset(topic kafka.UUID, s *kmsg.ReadShareGroupStateSummaryResponseTopicPartition, p *kmsg.DescribeShareGroupOffsetsResponseGroupTopicPartition) {
	p.StartOffset, p.LeaderEpoch = s.StartOffset, s.LeaderEpoch
	if s.StartOffset < 0 || s.DeliveryCompleteCount < 0 {
		return
	}
	end, err := m.latest(TopicPartition{topic, p.Partition})
	if err != nil {
		p.StartOffset, p.LeaderEpoch = int64(kafka.NoOffset), 0
		p.ErrorCode, p.ErrorMessage = codeAndMessage(err)
		return
	}
	p.Lag = max(int64(end)-s.StartOffset-int64(s.DeliveryCompleteCount), 0)
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
