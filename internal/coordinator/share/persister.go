package share

import (
	"math"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/rafka-io/rafka/internal/coordinator"
	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/metadata"
)

// maxStateBatches bounds what is remembered of one share-partition: a snapshot stays below 1 MB. A Partition with the default MaxFragments never
// comes near.
const maxStateBatches = 36_000

// Initialize sets a share-partition's start offset and state epoch and forgets what was delivered. -1: the offset that share.auto.offset.reset
// means, when the partition is first used; said once more for a state epoch that has begun it changes nothing, for a repeat that comes late, by
// way of a broker that was frozen or cut off, must not make a group begin anew that has read meanwhile.
//
// Errors: FencedStateEpoch, UnknownTopicOrPartition, InvalidRequest.
func (s *Shard) Initialize(op *coordinator.Op, group string, topic kafka.UUID, q *kmsg.InitializeShareGroupStateRequestTopicPartition) (a kmsg.InitializeShareGroupStateResponseTopicPartition) {
	key := stateKey{group, topic, q.Partition}
	old, known := s.states.Get(key)
	err := check(op.Image, key, func() error {
		switch {
		case q.StateEpoch < 0:
			return errStateEpoch
		case known && old.stateEpoch > q.StateEpoch:
			return kafka.Errorf(kafka.FencedStateEpoch, "state epoch %d is older than %d: read the state again", q.StateEpoch, old.stateEpoch)
		}
		return nil
	})
	isRepeat := known && old.stateEpoch == q.StateEpoch && q.StartOffset == -1
	if err == nil && !isRepeat {
		r := &snapshot{key: key, stateEpoch: q.StateEpoch, createdAt: kafka.Timestamp(op.Now.UnixMilli()), writtenAt: kafka.Timestamp(op.Now.UnixMilli())}
		r.start = kafka.Offset(q.StartOffset)
		if q.StartOffset == -1 {
			r.deliveryComplete = -1
		}
		if known {
			r.epoch = old.epoch + 1
		}
		op.Emit(r)
	}
	a.Partition = q.Partition
	a.ErrorCode, a.ErrorMessage = answer(err)
	return a
}

// Read answers the state to the leader of the topic-partition, and from then on refuses leaders of older epochs: that is why it is an operation.
// Errors: FencedLeaderEpoch, UnknownTopicOrPartition, InvalidRequest (also if the state was never initialized).
func (s *Shard) Read(op *coordinator.Op, group string, topic kafka.UUID, q *kmsg.ReadShareGroupStateRequestTopicPartition) (a kmsg.ReadShareGroupStateResponseTopicPartition) {
	key := stateKey{group, topic, q.Partition}
	st, known := s.states.Get(key)
	err := check(op.Image, key, func() error {
		switch {
		case q.LeaderEpoch < 0:
			return errLeaderEpoch
		case !known:
			return errUninitialized
		case st.fence > kafka.LeaderEpoch(q.LeaderEpoch):
			return fencedLeader(q.LeaderEpoch, st)
		}
		return nil
	})
	a.Partition = q.Partition
	if a.ErrorCode, a.ErrorMessage = answer(err); err != nil {
		return a
	}
	if st.fence < kafka.LeaderEpoch(q.LeaderEpoch) {
		s.emit(op, key, st, stateValue{leaderEpoch: kafka.LeaderEpoch(q.LeaderEpoch), start: st.start, deliveryComplete: st.deliveryComplete})
	}
	a.StateEpoch, a.StartOffset = st.stateEpoch, int64(st.start)
	for _, b := range st.batches {
		a.StateBatches = append(a.StateBatches, kmsg.ReadShareGroupStateResponseTopicPartitionStateBatch{
			FirstOffset: int64(b.First), LastOffset: int64(b.Last), DeliveryState: int8(b.State), DeliveryCount: b.Count,
		})
	}
	return a
}

// Write takes what the leader of the topic-partition says has changed. The start offset only rises, also when a write is repeated late (SHR-4).
// Errors: FencedLeaderEpoch, FencedStateEpoch, UnknownTopicOrPartition, InvalidRequest (also if the state was never initialized).
func (s *Shard) Write(op *coordinator.Op, group string, topic kafka.UUID, q *kmsg.WriteShareGroupStateRequestTopicPartition) (a kmsg.WriteShareGroupStateResponseTopicPartition) {
	key := stateKey{group, topic, q.Partition}
	st, known := s.states.Get(key)
	batches := make([]StateBatch, 0, len(q.StateBatches))
	err := check(op.Image, key, func() error {
		switch {
		case q.LeaderEpoch < 0:
			return errLeaderEpoch
		case q.StateEpoch < 0:
			return errStateEpoch
		case !known:
			return errUninitialized
		case st.fence > kafka.LeaderEpoch(q.LeaderEpoch):
			return fencedLeader(q.LeaderEpoch, st)
		case st.stateEpoch > q.StateEpoch:
			return kafka.Errorf(kafka.FencedStateEpoch, "state epoch %d is older than %d: read the state again", q.StateEpoch, st.stateEpoch)
		case len(st.batches)+len(q.StateBatches) > maxStateBatches:
			return kafka.Errorf(kafka.InvalidRequest, "more than %d stretches of different state: let the records at the start be acknowledged first", maxStateBatches)
		}
		for _, b := range q.StateBatches {
			n := StateBatch{kafka.Offset(b.FirstOffset), kafka.Offset(b.LastOffset), RecordState(b.DeliveryState), b.DeliveryCount}
			if n.First < 0 || n.Last < n.First || n.Last == math.MaxInt64 || n.State < Available || n.State > Archived || n.State == Acquired || n.Count < 0 {
				return kafka.Errorf(kafka.InvalidRequest, "state batch of offsets %d to %d, state %d, count %d makes no sense", n.First, n.Last, b.DeliveryState, n.Count)
			}
			batches = append(batches, n)
		}
		return nil
	})
	if err == nil {
		v := stateValue{leaderEpoch: st.leaderEpoch, start: max(kafka.Offset(q.StartOffset), st.start), deliveryComplete: q.DeliveryCompleteCount}
		switch {
		case kafka.Offset(q.StartOffset) == st.start:
			v.deliveryComplete = max(v.deliveryComplete, st.deliveryComplete)
		case kafka.Offset(q.StartOffset) < st.start:
			v.deliveryComplete = st.deliveryComplete
		}
		v.batches = combine(nil, tidy(batches), v.start)
		s.emit(op, key, st, v)
	}
	a.Partition = q.Partition
	a.ErrorCode, a.ErrorMessage = answer(err)
	return a
}

// emit writes a change of st: as an update, or with all the rest as a snapshot when there have been enough updates.
func (s *Shard) emit(op *coordinator.Op, key stateKey, st *state, v stateValue) {
	if st.updates < s.env.UpdatesPerSnapshot(op.Image) {
		op.Emit(&update{key: key, epoch: st.epoch, stateValue: v})
		return
	}
	now := kafka.Timestamp(op.Now.UnixMilli())
	v.batches = combine(st.batches, v.batches, v.start)
	op.Emit(&snapshot{key: key, epoch: st.epoch + 1, stateValue: v, stateEpoch: st.stateEpoch, createdAt: now, writtenAt: now})
}

// Delete forgets a share-partition; one that is not known is forgotten already. Errors: UnknownTopicOrPartition, InvalidRequest.
func (s *Shard) Delete(op *coordinator.Op, group string, topic kafka.UUID, q *kmsg.DeleteShareGroupStateRequestTopicPartition) (a kmsg.DeleteShareGroupStateResponseTopicPartition) {
	key := stateKey{group, topic, q.Partition}
	err := check(op.Image, key, nil)
	if _, known := s.states.Get(key); known && err == nil {
		op.Emit(&snapshot{key: key, isGone: true})
	}
	a.Partition = q.Partition
	a.ErrorCode, a.ErrorMessage = answer(err)
	return a
}

// Summary is the state without its batches, for whoever wants to know how far a group is. A share-partition that was never initialized has the
// start offset -1. Errors: UnknownTopicOrPartition, InvalidRequest.
func (s *Shard) Summary(v coordinator.View, group string, topic kafka.UUID, q *kmsg.ReadShareGroupStateSummaryRequestTopicPartition) (a kmsg.ReadShareGroupStateSummaryResponseTopicPartition) {
	key := stateKey{group, topic, q.Partition}
	a.Partition, a.StartOffset, a.DeliveryCompleteCount = q.Partition, -1, -1
	err := check(v.Image, key, nil)
	if a.ErrorCode, a.ErrorMessage = answer(err); err != nil {
		a.StartOffset = 0
		return a
	}
	if st, known := s.states.GetAt(key, v.Committed); known {
		a.StateEpoch, a.LeaderEpoch, a.StartOffset, a.DeliveryCompleteCount = st.stateEpoch, int32(st.leaderEpoch), int64(st.start), st.deliveryComplete
	}
	return a
}

var (
	errStateEpoch    = kafka.Errorf(kafka.InvalidRequest, "the state epoch is negative")
	errLeaderEpoch   = kafka.Errorf(kafka.InvalidRequest, "the leader epoch is negative")
	errUninitialized = kafka.Errorf(kafka.InvalidRequest, "the share-partition's state has not been initialized: do that first")
)

func fencedLeader(epoch int32, st *state) error {
	return kafka.Errorf(kafka.FencedLeaderEpoch, "leader epoch %d is older than %d: somebody else leads the partition now", epoch, st.fence)
}

// check refuses what makes no sense, then what more says, then partitions that do not exist: Kafka's order.
func check(img *metadata.Image, key stateKey, more func() error) error {
	switch {
	case key.group == "":
		return kafka.Errorf(kafka.InvalidRequest, "the group id is empty")
	case key.topic.IsZero():
		return kafka.Errorf(kafka.InvalidRequest, "the topic id is missing")
	case key.partition < 0:
		return kafka.Errorf(kafka.InvalidRequest, "the partition is negative")
	}
	if more != nil {
		if err := more(); err != nil {
			return err
		}
	}
	if t := img.Topics.ByID(key.topic); t == nil || int(key.partition) >= len(t.Partitions) {
		return kafka.Errorf(kafka.UnknownTopicOrPartition, "there is no partition %d of a topic with id %s", key.partition, key.topic)
	}
	return nil
}

func answer(err error) (code int16, message *string) {
	if err == nil {
		return 0, nil
	}
	text := kafka.MessageOf(err)
	return int16(kafka.CodeOf(err)), &text
}
