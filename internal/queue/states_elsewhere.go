package queue

import (
	"context"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/rafka-io/rafka/internal/coordinator"
	"github.com/rafka-io/rafka/internal/coordinator/share"
	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/metadata"
)

// Peers asks other brokers. The answer to a request must not have to wait for that to an earlier one, which may wait for replicas.
type Peers interface {
	Kafka(ctx context.Context, broker kafka.BrokerID, q kmsg.Request) (kmsg.Response, error)
}

// ClusterStatesOptions are what ClusterStates needs; all of it.
type ClusterStatesOptions struct {
	NodeID kafka.BrokerID
	// Image is the metadata of this moment: the leader of a partition of __share_group_state keeps the states in it.
	Image func() *metadata.Image
	// Local is the share coordinator of this node.
	Local Persister
	Peers Peers
	// Create makes the topic __share_group_state, which the first use does.
	Create func(ctx context.Context) error
}

// ClusterStates is the share coordinator of a cluster as a Persister: each share partition of a request is asked about where its coordinator is, here
// or on another broker. While that is being moved or loaded it is asked again, with the image of then, until ctx ends. Asking twice does nothing
// more: states are replaced by what is told.
type ClusterStates struct{ opts ClusterStatesOptions }

var _ Persister = (*ClusterStates)(nil)

// NewClusterStates returns it. It owns nothing.
func NewClusterStates(o ClusterStatesOptions) *ClusterStates { return &ClusterStates{o} }

// shareStateTopic is the topic whose partitions are the share coordinators.
const shareStateTopic = "__share_group_state"

// How long to rest before a coordinator is asked again: doubled each time up to a ceiling.
const (
	firstStatePause = 20 * time.Millisecond
	mostStatePause  = 500 * time.Millisecond
)

// keeper finds the broker that keeps the state of a share partition. Errors: CoordinatorNotAvailable, and those of Create.
func (s *ClusterStates) keeper(ctx context.Context, group string, topic kafka.UUID, partition int32) (kafka.BrokerID, error) {
	t := s.opts.Image().Topics.ByName(shareStateTopic)
	if t == nil {
		if err := s.opts.Create(ctx); err != nil {
			return kafka.NoBroker, err
		}
		t = s.opts.Image().Topics.ByName(shareStateTopic)
	}
	if t == nil || len(t.Partitions) == 0 {
		return kafka.NoBroker, kafka.Errorf(kafka.CoordinatorNotAvailable, "%s is being created: try again", shareStateTopic)
	}
	i := coordinator.PartitionOf(share.CoordinatorKey(group, topic, partition), int32(len(t.Partitions)))
	leader := t.Partitions[i].Leader
	if leader == kafka.NoBroker {
		return leader, kafka.Errorf(kafka.CoordinatorNotAvailable, "%s-%d has no leader at the moment: try again", shareStateTopic, i)
	}
	return leader, nil
}

// askKeeper asks the share coordinator on one broker; local is the verb of this one. Errors: CoordinatorNotAvailable.
func askKeeper[Q kmsg.Request, A kmsg.Response](ctx context.Context, s *ClusterStates, broker kafka.BrokerID, req Q, local func(context.Context, Q) A) (a A, err error) {
	if broker == s.opts.NodeID {
		return local(ctx, req), nil
	}
	resp, err := s.opts.Peers.Kafka(ctx, broker, req)
	if err != nil {
		return a, kafka.Errorf(kafka.CoordinatorNotAvailable, "broker %d, which coordinates the share group's state, was not reached: %w", broker, err)
	}
	a, ok := resp.(A)
	if !ok {
		return a, errStrangeAnswer
	}
	return a, nil
}

// errStrangeAnswer is about an answer that is not one to what was asked.
var errStrangeAnswer = kafka.Errorf(kafka.CoordinatorNotAvailable, "another broker did not answer what it was asked")

// item is one share partition of a request.
type item[Q any] struct {
	topic kafka.UUID
	q     Q
}

// stateVerb is one of the verbs of a Persister, about single share partitions.
type stateVerb[Q, A any] struct {
	partition func(*Q) int32
	// ask asks one broker about some items, which it is to answer in their order.
	ask func(ctx context.Context, s *ClusterStates, broker kafka.BrokerID, group string, items []item[Q]) ([]A, error)
	// answered is what an answer is about, and its code.
	answered func(*A) (partition int32, code kafka.ErrorCode)
	// refuse makes an answer of an error.
	refuse func(*Q, error) A
}

// from asks one broker, and checks that it answers what it is asked.
func (v *stateVerb[Q, A]) from(ctx context.Context, s *ClusterStates, broker kafka.BrokerID, group string, items []item[Q]) []A {
	answers, err := v.ask(ctx, s, broker, group, items)
	if err == nil && len(answers) != len(items) {
		answers, err = nil, errStrangeAnswer
	}
	if err != nil {
		answers = make([]A, len(items))
	}
	for i := range items {
		q := &items[i].q
		if at, _ := v.answered(&answers[i]); err != nil {
			answers[i] = v.refuse(q, inTime(ctx, err))
		} else if at != v.partition(q) {
			answers[i] = v.refuse(q, errStrangeAnswer)
		}
	}
	return answers
}

// everywhere asks about items where they are kept.
func everywhere[Q, A any](ctx context.Context, s *ClusterStates, group string, items []item[Q], v *stateVerb[Q, A]) []A {
	answers := make([]A, len(items))
	open := make([]int, len(items)) // indexes of what is to be asked
	for i := range open {
		open[i] = i
	}
	for delay := firstStatePause; ; delay = min(2*delay, mostStatePause) {
		byBroker := map[kafka.BrokerID][]int{}
		for _, i := range open {
			broker, err := s.keeper(ctx, group, items[i].topic, v.partition(&items[i].q))
			if err != nil {
				answers[i] = v.refuse(&items[i].q, inTime(ctx, err))
				continue
			}
			byBroker[broker] = append(byBroker[broker], i)
		}
		var asking sync.WaitGroup
		for broker, which := range byBroker {
			ask := func() {
				some := make([]item[Q], len(which))
				for n, i := range which {
					some[n] = items[i]
				}
				for n, a := range v.from(ctx, s, broker, group, some) {
					answers[which[n]] = a
				}
			}
			if len(byBroker) == 1 {
				ask()
			} else {
				asking.Go(ask)
			}
		}
		asking.Wait()
		again := open[:0]
		for _, i := range open {
			if _, code := v.answered(&answers[i]); isMoving(code) {
				again = append(again, i)
			}
		}
		if open = again; len(open) == 0 || ctx.Err() != nil {
			return answers
		}
		if pause(ctx, delay); ctx.Err() != nil {
			return answers
		}
	}
}

// isMoving says that there is a coordinator soon, here or elsewhere.
func isMoving(c kafka.ErrorCode) bool {
	return c == kafka.NotCoordinator || c == kafka.CoordinatorLoadInProgress || c == kafka.CoordinatorNotAvailable
}
