package queue

import (
	"context"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/metadata"
)

// DescribeShareGroupOffsets says from where on share groups have something to read, and how many records are between there and the end of the log
// that are not dealt with (from version 1). Without topics it is about all partitions whose state has begun.
//
// As in Kafka a topic that does not exist, or a state that cannot be read, has the start offset -1 and no error. Codes of a group:
// GroupIDNotFound and the coordinator's; of a partition: those of partition.FindOffset, here or where it is led, and NetworkException if that broker
// cannot be asked.
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
	var known []described
	for i := range g.Topics {
		for j := range g.Topics[i].Partitions {
			p := &g.Topics[i].Partitions[j]
			s := found[TopicPartition{g.Topics[i].TopicID, p.Partition}]
			if s == nil || s.ErrorCode != 0 {
				continue
			}
			p.StartOffset, p.LeaderEpoch = s.StartOffset, s.LeaderEpoch
			if s.StartOffset >= 0 && s.DeliveryCompleteCount >= 0 {
				known = append(known, described{end: logEnd{topic: g.Topics[i].Topic, TopicPartition: TopicPartition{g.Topics[i].TopicID, p.Partition}}, s: s, p: p})
			}
		}
	}
	m.fillLags(ctx, img, known)
	return nil
}

// described is a partition whose lag is to be filled in.
type described struct {
	end logEnd
	s   *kmsg.ReadShareGroupStateSummaryResponseTopicPartition
	p   *kmsg.DescribeShareGroupOffsetsResponseGroupTopicPartition
}

// fillLags says how much there is between what is dealt with and the ends of the logs.
func (m *Manager) fillLags(ctx context.Context, img *metadata.Image, all []described) {
	ends := make([]*logEnd, len(all))
	for i := range all {
		ends[i] = &all[i].end
	}
	m.findEnds(ctx, img, ends)
	for i := range all {
		d := &all[i]
		if d.end.err != nil {
			d.p.StartOffset, d.p.LeaderEpoch = int64(kafka.NoOffset), 0
			d.p.ErrorCode, d.p.ErrorMessage = codeAndMessage(d.end.err)
			continue
		}
		d.p.Lag = max(int64(d.end.offset)-d.s.StartOffset-int64(d.s.DeliveryCompleteCount), 0)
	}
}
