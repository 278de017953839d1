package txnmarker

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/rafka-io/rafka/internal/coordinator"
	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/partition"
	"github.com/rafka-io/rafka/internal/replica"
)

// offsetsTopic is where the groups' coordinator writes markers itself, because they change its state.
const offsetsTopic = "__consumer_offsets"

// Groups is the groups' coordinator: a coordinator.Runtime.
type Groups interface {
	// EndTxn appends a marker to a partition of __consumer_offsets; it is committed when EndTxn returns.
	EndTxn(ctx context.Context, partition int32, p coordinator.Producer, coordinatorEpoch int32, version int16, commit bool) error
}

// maxGroupCalls bounds the calls of Groups that are under way for one batch.
const maxGroupCalls = 64

// Local writes markers to the partitions that this node leads.
type Local struct {
	Replicas *replica.Manager
	Groups   Groups // nil: there are none, and __consumer_offsets cannot be written to
	Now      func() time.Time
}

var _ Writer = (*Local)(nil)

// Write implements Writer. It may also be called for operators: a marker ends what is open in the partitions, and nothing else.
//
// Errors per partition: UnknownTopicOrPartition, NotLeaderOrFollower (also while the groups of the partition are being loaded),
// NotEnoughReplicas, InvalidProducerEpoch, TransactionCoordinatorFenced, KafkaStorageError, ctx's.
func (l *Local) Write(ctx context.Context, markers []Marker) [][]error {
	b := localBatch{ctx: ctx, local: l, results: make([][]error, len(markers)), waiter: partition.NewAckWaiter()}
	b.waiter.Start()
	now := l.Now()
	for i := range markers {
		m := &markers[i]
		b.results[i] = make([]error, len(m.Partitions))
		for j, tp := range m.Partitions {
			if tp.Topic == offsetsTopic {
				b.toGroup(m, tp.Partition, &b.results[i][j])
			} else if err := b.append(m, tp, &b.results[i][j], now); err != nil {
				b.results[i][j] = err
			}
		}
	}
	if !b.waiter.Seal() {
		b.wait()
	}
	b.groups.Wait()
	return b.results
}

// localBatch is one Write.
type localBatch struct {
	ctx     context.Context
	local   *Local
	results [][]error

	waiter     *partition.AckWaiter
	slots      []*error // where the result of each append goes
	partitions []*partition.Partition

	groups sync.WaitGroup
	turns  chan struct{}
}

// append appends one marker, which becomes the next slot of the waiter.
func (b *localBatch) append(m *Marker, tp kafka.TopicPartition, result *error, now time.Time) error {
	t, err := b.local.Replicas.ByName(tp.Topic)
	if err != nil {
		return err
	}
	p, err := t.Partition(tp.Partition)
	if err != nil {
		return err
	}
	err = p.AppendMarker(partition.Marker{
		Producer: m.Producer.ID, Epoch: m.Producer.Epoch, CoordinatorEpoch: m.CoordinatorEpoch, Commit: m.Commit, Version: m.Version,
		Waiter: b.waiter, Slot: int32(len(b.slots)),
	}, now)
	if err != nil {
		return err
	}
	b.slots = append(b.slots, result)
	b.partitions = append(b.partitions, p)
	return nil
}

// wait waits until all appends are committed or refused, or ctx ends.
func (b *localBatch) wait() {
	select {
	case <-b.waiter.Done():
	case <-b.ctx.Done():
		var late []int32
		for _, p := range b.partitions {
			late = p.Forget(b.waiter, late)
		}
		for _, slot := range late {
			*b.slots[slot] = b.ctx.Err()
		}
		// What is not late is being completed right now.
		if len(late) == 0 || !b.waiter.Drop(len(late)) {
			<-b.waiter.Done()
		}
	}
	for _, f := range b.waiter.Failed() {
		*b.slots[f.Slot] = f.Err
	}
}

// toGroup has the groups' coordinator write a marker.
func (b *localBatch) toGroup(m *Marker, partition int32, result *error) {
	if b.local.Groups == nil {
		*result = kafka.NotLeaderOrFollower
		return
	}
	if b.turns == nil {
		b.turns = make(chan struct{}, maxGroupCalls)
	}
	b.turns <- struct{}{}
	b.groups.Go(func() {
		defer func() { <-b.turns }()
		err := b.local.Groups.EndTxn(b.ctx, partition, m.Producer, m.CoordinatorEpoch, m.Version, m.Commit)
		switch {
		case errors.Is(err, kafka.NotCoordinator), errors.Is(err, kafka.CoordinatorNotAvailable), errors.Is(err, kafka.CoordinatorLoadInProgress):
			err = kafka.Errorf(kafka.NotLeaderOrFollower, "the groups of %s-%d cannot be changed now: %w", offsetsTopic, partition, err)
		}
		*result = err
	})
}
