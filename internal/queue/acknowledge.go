package queue

import (
	"context"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/rafka-io/rafka/internal/coordinator/share"
	"github.com/rafka-io/rafka/internal/kafka"
)

// ackPartition is what a request acknowledges of one partition, and what became of it.
type ackPartition struct {
	tp      TopicPartition
	batches []share.Ack
	outcome *outcome // nil: nothing to wait for
	err     error
}

// ShareAcknowledge says of records that a member holds what is to become of them, and answers when that is durable. owner is the connection.
//
// Codes for the whole: InvalidRequest, ShareSessionNotFound, InvalidShareSessionEpoch. For a partition: InvalidRecordState, InvalidRequest,
// UnknownTopicID, UnknownTopicOrPartition, NotLeaderOrFollower (with the leader), CoordinatorNotAvailable.
func (m *Manager) ShareAcknowledge(ctx context.Context, owner Owner, req *kmsg.ShareAcknowledgeRequest) *kmsg.ShareAcknowledgeResponse {
	m.answers.written(owner)
	resp := kmsg.NewPtrShareAcknowledgeResponse()
	resp.Version = req.Version
	key, err := memberOf(req.GroupID, req.MemberID)
	isFinal := false
	if err == nil {
		isFinal, err = m.sessions.acknowledge(key, req.ShareSessionEpoch)
	}
	if err != nil {
		resp.ErrorCode, resp.ErrorMessage = codeAndMessage(err)
		return resp
	}
	var acks []ackPartition
	for i := range req.Topics {
		for j := range req.Topics[i].Partitions {
			p := &req.Topics[i].Partitions[j]
			a := ackPartition{tp: TopicPartition{req.Topics[i].TopicID, p.Partition}}
			for _, b := range p.AcknowledgementBatches {
				a.batches = append(a.batches, share.Ack{First: kafka.Offset(b.FirstOffset), Last: kafka.Offset(b.LastOffset), Types: b.AcknowledgeTypes})
			}
			acks = append(acks, a)
		}
	}
	m.acknowledge(key, acks, renews(req.Version, req.IsRenewAck))
	await(ctx, acks)
	if isFinal {
		m.endSession(key)
	}
	m.count(acks)
	resp.AcquisitionLockTimeoutMillis = int32(m.opts.Settings.Group(m.opts.Image(), key.group).Share.LockDuration.Milliseconds())
	next := 0
	for i := range req.Topics {
		t := kmsg.NewShareAcknowledgeResponseTopic()
		t.TopicID = req.Topics[i].TopicID
		for range req.Topics[i].Partitions {
			a := &acks[next]
			next++
			p := kmsg.NewShareAcknowledgeResponseTopicPartition()
			p.Partition = a.tp.Partition
			p.ErrorCode, p.ErrorMessage = codeAndMessage(a.err)
			p.CurrentLeader.LeaderID, p.CurrentLeader.LeaderEpoch = m.leaderFor(a.err, a.tp)
			t.Partitions = append(t.Partitions, p)
		}
		resp.Topics = append(resp.Topics, t)
	}
	return resp
}

// ackPartitionsOf is what a ShareFetch acknowledges.
func ackPartitionsOf(req *kmsg.ShareFetchRequest) (acks []ackPartition) {
	for i := range req.Topics {
		for j := range req.Topics[i].Partitions {
			p := &req.Topics[i].Partitions[j]
			if len(p.AcknowledgementBatches) == 0 {
				continue
			}
			a := ackPartition{tp: TopicPartition{req.Topics[i].TopicID, p.Partition}}
			for _, b := range p.AcknowledgementBatches {
				a.batches = append(a.batches, share.Ack{First: kafka.Offset(b.FirstOffset), Last: kafka.Offset(b.LastOffset), Types: b.AcknowledgeTypes})
			}
			acks = append(acks, a)
		}
	}
	return acks
}

// renews reports whether a request may renew locks (KIP-1222).
func renews(version int16, isRenew bool) bool { return version >= 2 && isRenew }

// acknowledge tells the share partitions. It does not wait.
func (m *Manager) acknowledge(key memberKey, acks []ackPartition, mayRenew bool) {
	if len(acks) > 0 {
		m.stats.ShareAcknowledges.Add(1)
	}
	for i := range acks {
		a := &acks[i]
		if len(a.batches) == 0 {
			continue
		}
		if a.err = checkAcks(a.batches, mayRenew); a.err != nil {
			continue
		}
		var sp *sharePartition
		if sp, a.err = m.known(partitionKey{key.group, a.tp}); a.err == nil {
			a.outcome, a.err = sp.acknowledge(key.member, a.batches)
		}
	}
}

// checkAcks refuses what only the request can tell: a renewal that it did not announce. The rest share.Partition checks.
func checkAcks(acks []share.Ack, mayRenew bool) error {
	for i := range acks {
		for _, t := range acks[i].Types {
			if t == share.AckRenew && !mayRenew {
				return kafka.Errorf(kafka.InvalidRequest, "the request renews a lock without saying so")
			}
		}
	}
	return nil
}

// acknowledge takes what a member says of records. The outcome is known when it is durable; nil: there is nothing to be written.
func (sp *sharePartition) acknowledge(member string, acks []share.Ack) (*outcome, error) {
	now := sp.m.opts.Now()
	sp.mu.Lock()
	defer sp.mu.Unlock()
	if sp.gone != nil {
		return nil, sp.gone
	}
	ticket, err := sp.state.Acknowledge(now, member, acks)
	if err != nil {
		return nil, err
	}
	var o *outcome
	if ticket != 0 {
		if o = sp.outcomes[ticket]; o == nil {
			o = &outcome{done: make(chan struct{})}
			sp.outcomes[ticket] = o
		}
	}
	sp.changedLocked(now)
	return o, nil
}

// await waits until it is known what became of acknowledgements. When ctx ends first they may take effect or not.
func await(ctx context.Context, acks []ackPartition) {
	for i := range acks {
		o := acks[i].outcome
		if o == nil {
			continue
		}
		select {
		case <-o.done:
			acks[i].err = o.err
		case <-ctx.Done():
			acks[i].err = kafka.Errorf(kafka.RequestTimedOut, "the acknowledgement is not durable yet: it may take effect or not")
		}
	}
}

// count counts acknowledged records.
func (m *Manager) count(acks []ackPartition) {
	for i := range acks {
		if acks[i].err != nil {
			continue
		}
		for _, b := range acks[i].batches {
			if len(b.Types) == 1 {
				m.countOne(b.Types[0], int64(b.Last-b.First+1))
				continue
			}
			for _, t := range b.Types {
				m.countOne(t, 1)
			}
		}
	}
}

func (m *Manager) countOne(typ int8, n int64) {
	switch typ {
	case share.AckAccept:
		m.stats.Accepted.Add(n)
	case share.AckRelease:
		m.stats.Released.Add(n)
	case share.AckReject:
		m.stats.Rejected.Add(n)
	case share.AckRenew:
		m.stats.Renewed.Add(n)
	}
}
