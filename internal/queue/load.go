package queue

import (
	"context"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/rafka-io/rafka/internal/coordinator/share"
	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/metadata"
	"github.com/rafka-io/rafka/internal/partition"
)

// open loads a share partition, or throws it away if that cannot be.
func (sp *sharePartition) open() {
	sp.failure = sp.load(sp.m.opts.Image())
	if sp.failure != nil {
		sp.m.forget(sp, sp.failure)
	}
	close(sp.ready)
}

// load reads the state from the share coordinator. A group that has never read the partition begins where share.auto.offset.reset says, and
// that is written first: a group that begins at the latest offset must not lose what comes between now and its first acknowledgement.
//
// Errors: CoordinatorNotAvailable when trying again helps, NotLeaderOrFollower when this node is no longer the one to ask, and what the share
// coordinator says otherwise.
func (sp *sharePartition) load(img *metadata.Image) error {
	ctx, cancel := context.WithTimeout(sp.m.ctx, sp.m.opts.WriteTimeout)
	defer cancel()
	group := sp.m.opts.Settings.Group(img, sp.key.group).Share
	st, err := sp.readState(ctx)
	if err != nil {
		return err
	}
	if st.StartOffset < 0 {
		if st.StartOffset, err = sp.beginning(group.OffsetReset, group.OffsetResetBy.Milliseconds()); err != nil {
			return err
		}
		if err := sp.send(ctx, &share.Write{StateEpoch: st.StateEpoch, StartOffset: st.StartOffset, Batches: st.Batches}); err != nil {
			return err
		}
	}
	settings := share.SettingsOf(group)
	state, err := share.Restore(settings, st)
	if err != nil {
		sp.m.opts.Logger.Error("the state of a share partition cannot be used", "group", sp.key.group, "topic", sp.topic, "partition", sp.key.Partition, "err", err)
		return kafka.Errorf(kafka.UnknownServerError, "the state of share group %s for %s-%d cannot be used: %w", sp.key.group, sp.topic, sp.key.Partition, err)
	}
	sp.mu.Lock()
	defer sp.mu.Unlock()
	sp.state, sp.settings, sp.group, sp.image = state, settings, group, img
	now := sp.m.opts.Now()
	sp.done = int64(state.Start()) + int64(state.Stats(now).Done)
	sp.state.TrimTo(now, sp.log.LogStart())
	sp.changedLocked(now)
	return nil
}

func (sp *sharePartition) readState(ctx context.Context) (share.State, error) {
	req := kmsg.NewPtrReadShareGroupStateRequest()
	req.GroupID = sp.key.group
	p := kmsg.NewReadShareGroupStateRequestTopicPartition()
	p.Partition, p.LeaderEpoch = sp.key.Partition, int32(sp.epoch)
	t := kmsg.NewReadShareGroupStateRequestTopic()
	t.TopicID, t.Partitions = sp.key.Topic, append(t.Partitions, p)
	req.Topics = append(req.Topics, t)
	resp := sp.m.opts.States.ReadShareGroupState(ctx, req)
	if len(resp.Topics) != 1 || len(resp.Topics[0].Partitions) != 1 {
		return share.State{}, errNoAnswer
	}
	r := &resp.Topics[0].Partitions[0]
	if kafka.ErrorCode(r.ErrorCode) == kafka.InvalidRequest { // the group's coordinator has not begun it yet
		return share.State{}, kafka.Errorf(kafka.CoordinatorNotAvailable, "share group %s does not read %s-%d yet", sp.key.group, sp.topic, sp.key.Partition)
	}
	if r.ErrorCode != 0 {
		return share.State{}, sp.stateError(kafka.ErrorCode(r.ErrorCode), r.ErrorMessage)
	}
	st := share.State{StateEpoch: r.StateEpoch, StartOffset: kafka.Offset(r.StartOffset), Batches: make([]share.StateBatch, len(r.StateBatches))}
	for i, b := range r.StateBatches {
		st.Batches[i] = share.StateBatch{First: kafka.Offset(b.FirstOffset), Last: kafka.Offset(b.LastOffset), State: share.RecordState(b.DeliveryState), Count: b.DeliveryCount}
	}
	return st, nil
}

var errNoAnswer = kafka.Errorf(kafka.UnknownServerError, "the share coordinator did not answer what it was asked")

// stateError is what an error of the share coordinator means here, as in Kafka: who is fenced is no longer the one to ask.
func (sp *sharePartition) stateError(code kafka.ErrorCode, message *string) error {
	text := code.Name()
	if message != nil && *message != "" {
		text = *message
	}
	switch code {
	case kafka.CoordinatorNotAvailable, kafka.CoordinatorLoadInProgress, kafka.NotCoordinator, kafka.RequestTimedOut:
		return kafka.Errorf(kafka.CoordinatorNotAvailable, "the share coordinator of group %s is not available: %s", sp.key.group, text)
	case kafka.FencedLeaderEpoch, kafka.FencedStateEpoch:
		return kafka.Errorf(kafka.NotLeaderOrFollower, "the state of share group %s has moved on: %s", sp.key.group, text)
	case kafka.GroupIDNotFound, kafka.UnknownTopicOrPartition:
		return kafka.Errorf(code, "share group %s: %s", sp.key.group, text)
	}
	return kafka.Errorf(kafka.UnknownServerError, "the share coordinator of group %s: %s", sp.key.group, text)
}

// beginning is the offset at which a new group begins.
func (sp *sharePartition) beginning(reset string, byMs int64) (kafka.Offset, error) {
	at := partition.AtLatest
	switch reset {
	case "earliest":
		at = partition.AtEarliest
	case "by_duration":
		at = max(sp.m.opts.Now().UnixMilli()-byMs, 0)
	}
	found, err := sp.log.FindOffset(partition.OffsetQuery{At: at, CurrentEpoch: kafka.NoEpoch})
	if err == nil && found.Offset == kafka.NoOffset { // all records are older
		found, err = sp.log.FindOffset(partition.OffsetQuery{At: partition.AtLatest, CurrentEpoch: kafka.NoEpoch})
	}
	return found.Offset, err
}
