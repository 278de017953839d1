package queue

import (
	"context"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/rafka-io/rafka/internal/coordinator/group"
	"github.com/rafka-io/rafka/internal/kafka"
)

// maxEffects bounds what the groups' coordinator may have asked for and not got yet. Beyond it is forgotten: the coordinator asks again after
// group.share.initialize.retry.interval.ms.
const maxEffects = 10_000

// How often one effect is tried, and how long to rest in between.
const (
	effectAttempts = 5
	effectBackoff  = 200 * time.Millisecond
)

// effects is what the groups' coordinator has decided and the share coordinator is still to be told.
type effects struct {
	mu     sync.Mutex // guards line and closed; a leaf
	more   *sync.Cond
	line   []any
	closed bool
}

func (e *effects) init() { e.more = sync.NewCond(&e.mu) }

func (e *effects) push(x any) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed || len(e.line) >= maxEffects {
		return false
	}
	e.line = append(e.line, x)
	e.more.Signal()
	return true
}

func (e *effects) take() (any, bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for len(e.line) == 0 && !e.closed {
		e.more.Wait()
	}
	if e.closed {
		return nil, false
	}
	x := e.line[0]
	e.line[0] = nil
	e.line = e.line[1:]
	return x, true
}

func (e *effects) close() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.closed, e.line = true, nil
	e.more.Broadcast()
}

// OnGroupEffect takes an effect of the groups' coordinator, and says whether it is one of share groups. It does not wait: for
// coordinator.Options.OnEffect.
func (m *Manager) OnGroupEffect(e any) bool {
	switch e.(type) {
	case group.InitShareState, group.DeleteShareState:
		if !m.effects.push(e) {
			m.opts.Logger.Warn("too many share partitions are to be initialized at once; the groups' coordinator will ask again", "limit", maxEffects)
		}
		return true
	}
	return false
}

// tellStates is the work of the one who tells the share coordinator.
func (m *Manager) tellStates() {
	for {
		e, ok := m.effects.take()
		if !ok {
			return
		}
		var err error
		for i := range effectAttempts {
			if i > 0 {
				pause(m.ctx, effectBackoff<<i)
			}
			if err = m.tellState(e); err == nil || m.ctx.Err() != nil {
				break
			}
		}
		if err != nil && m.ctx.Err() == nil {
			m.opts.Logger.Warn("the share coordinator was not told what a share group reads", "err", err)
		}
	}
}

func (m *Manager) tellState(e any) error {
	ctx, cancel := context.WithTimeout(m.ctx, m.opts.WriteTimeout)
	defer cancel()
	switch e := e.(type) {
	case group.InitShareState:
		if err := m.initialize(ctx, e); err != nil {
			return err
		}
		return m.opts.Groups.ShareStateInitialized(ctx, e.Group, e.Partitions)
	case group.DeleteShareState:
		m.dropStates(e.Group, e.Partitions)
		failed, err := m.deleteStates(ctx, e.Group, e.Partitions)
		if len(failed) > 0 {
			return err
		}
		return m.opts.Groups.ShareStateDeleted(ctx, e.Group, e.Partitions)
	}
	return nil
}

// initialize begins the states of partitions of a group. Where it begins to read a partition that has no start offset is settled when that is
// first read.
func (m *Manager) initialize(ctx context.Context, e group.InitShareState) error {
	req := kmsg.NewPtrInitializeShareGroupStateRequest()
	req.GroupID = e.Group
	for _, t := range e.Partitions {
		topic := kmsg.NewInitializeShareGroupStateRequestTopic()
		topic.TopicID = t.TopicID
		for _, i := range t.Partitions {
			p := kmsg.NewInitializeShareGroupStateRequestTopicPartition()
			p.Partition, p.StateEpoch, p.StartOffset = i, e.Epoch, int64(t.StartOffset)
			topic.Partitions = append(topic.Partitions, p)
		}
		req.Topics = append(req.Topics, topic)
	}
	for _, t := range m.opts.States.InitializeShareGroupState(ctx, req).Topics {
		for _, p := range t.Partitions {
			// A state that has begun already, of a later epoch, is as good.
			if c := kafka.ErrorCode(p.ErrorCode); c != kafka.None && c != kafka.FencedStateEpoch {
				return kafka.Errorf(c, "begin the state of share group %s for partition %d of topic %s", e.Group, p.Partition, kafka.UUID(t.TopicID))
			}
		}
	}
	return nil
}

// dropStates throws away share partitions whose state is about to go.
func (m *Manager) dropStates(name string, topics []group.TopicIDPartitions) {
	for _, t := range topics {
		for _, i := range t.Partitions {
			key := partitionKey{name, TopicPartition{t.TopicID, i}}
			m.mu.Lock()
			sp := m.partitions[key]
			m.mu.Unlock()
			if sp != nil {
				m.forget(sp, errForgotten)
			}
		}
	}
}

// deleteStates removes the state of partitions of a group durably. failed are the topics of which something is left, with err as the reason of one.
func (m *Manager) deleteStates(ctx context.Context, name string, topics []group.TopicIDPartitions) (failed map[kafka.UUID]kafka.ErrorCode, err error) {
	req := kmsg.NewPtrDeleteShareGroupStateRequest()
	req.GroupID = name
	for _, t := range topics {
		topic := kmsg.NewDeleteShareGroupStateRequestTopic()
		topic.TopicID = t.TopicID
		for _, i := range t.Partitions {
			p := kmsg.NewDeleteShareGroupStateRequestTopicPartition()
			p.Partition = i
			topic.Partitions = append(topic.Partitions, p)
		}
		req.Topics = append(req.Topics, topic)
	}
	for _, t := range m.opts.States.DeleteShareGroupState(ctx, req).Topics {
		for _, p := range t.Partitions {
			if c := kafka.ErrorCode(p.ErrorCode); c != kafka.None {
				if failed == nil {
					failed = map[kafka.UUID]kafka.ErrorCode{}
				}
				failed[t.TopicID] = c
				err = kafka.Errorf(c, "remove the state of share group %s for partition %d of topic %s", name, p.Partition, kafka.UUID(t.TopicID))
			}
		}
	}
	return failed, err
}
