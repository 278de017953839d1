package group

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/rafka-io/rafka/internal/coordinator"
	"github.com/rafka-io/rafka/internal/kafka"
)

// TxnOffsetCommit stages offsets until the marker of the transaction commits or drops them (GRP-4). Each partition has its own error:
// INVALID_GROUP_ID, those of the group's checkCommit (a stale member epoch is ILLEGAL_GENERATION here), ILLEGAL_GENERATION (no such group),
// UNKNOWN_TOPIC_OR_PARTITION, UNKNOWN_TOPIC_ID, OFFSET_METADATA_TOO_LARGE.
func (s *Shard) TxnOffsetCommit(op *coordinator.Op, _ Client, req *kmsg.TxnOffsetCommitRequest) *kmsg.TxnOffsetCommitResponse {
	g, err := s.mayStage(op, req)
	w := s.writer(op, req.Group, g, err)
	w.txn = true
	w.checkEach(g, req.MemberID, req.Generation)
	op.InTransaction(coordinator.Producer{ID: kafka.ProducerID(req.ProducerID), Epoch: kafka.ProducerEpoch(req.ProducerEpoch)})
	r := kmsg.NewPtrTxnOffsetCommitResponse()
	r.Topics = make([]kmsg.TxnOffsetCommitResponseTopic, len(req.Topics))
	for i := range req.Topics {
		t, answer := &req.Topics[i], &r.Topics[i]
		answer.Topic, answer.TopicID = t.Topic, t.TopicID
		answer.Partitions = make([]kmsg.TxnOffsetCommitResponseTopicPartition, len(t.Partitions))
		topic := w.topic(t.Topic, t.TopicID)
		for k := range t.Partitions {
			p := &t.Partitions[k]
			answer.Partitions[k].Partition = p.Partition
			answer.Partitions[k].ErrorCode = int16(w.commit(op, topic, p.Partition, p.Offset, p.LeaderEpoch, p.Metadata))
		}
	}
	return r
}

func (s *Shard) mayStage(op *coordinator.Op, req *kmsg.TxnOffsetCommitRequest) (group, error) {
	if req.Group == "" || len(req.Group) > maxName {
		return nil, kafka.InvalidGroupID
	}
	g, found := s.groups.Get(req.Group)
	if !found {
		if req.Generation < 0 {
			return nil, nil
		}
		return nil, kafka.IllegalGeneration
	}
	return g, g.checkCommit(op, req.MemberID, req.InstanceID, req.Generation, true)
}
