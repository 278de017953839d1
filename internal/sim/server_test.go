package sim

import (
	"context"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/rafka-io/rafka/internal/coordinator"
	"github.com/rafka-io/rafka/internal/coordinator/group"
	"github.com/rafka-io/rafka/internal/coordinator/txn"
	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/partition"
)

// context is that of calls that wait for nothing here: time is the simulation's.
func (n *node) context() context.Context { return context.Background() }

// produced is the answer to a batch.
type produced struct {
	base kafka.Offset
	raw  []byte // as it was stamped
}

// append appends a batch as leader and answers when it is committed, or with acks=1 durable here, as broker does.
func (n *node) append(tp kafka.TopicPartition, raw []byte, all bool, guard partition.TxnGuard, reply func(produced, error)) {
	r := n.replica(tp)
	if r == nil {
		reply(produced{}, kafka.NotLeaderOrFollower)
		return
	}
	waiter := partition.NewAckWaiter()
	waiter.Start()
	raw = slices.Clone(raw)
	done, err := r.p.AppendAsLeader(partition.Append{Records: raw, AllReplicas: all, Waiter: waiter, Guard: guard}, n.clock())
	sealed := waiter.Seal()
	if err != nil {
		reply(produced{}, err)
		return
	}
	n.awaitAck(r.p, waiter, sealed, func(err error) { reply(produced{done.Base, raw}, err) })
}

// awaitAck calls done when nothing is missing any more, or when the time is out.
func (n *node) awaitAck(p *partition.Partition, waiter *partition.AckWaiter, sealed bool, done func(error)) {
	w, life, end := n.w, n.life, n.w.now+1500*time.Millisecond
	w.after(1510*time.Millisecond, func() {})
	look := func() bool {
		switch {
		case n.life != life:
			return true
		case sealed || waiter.Ready():
			if failed := waiter.Failed(); len(failed) > 0 {
				done(failed[0].Err)
			} else {
				done(nil)
			}
			return true
		case w.now >= end && !n.frozen:
			if forgotten := p.Forget(waiter, nil); len(forgotten) > 0 {
				waiter.Drop(len(forgotten))
			}
			done(kafka.RequestTimedOut)
			return true
		}
		return false
	}
	if !look() {
		w.until(look)
	}
}

// produceTxn is append for a batch of a transaction: the partition is added to it first (KIP-890).
func (n *node) produceTxn(id string, p coordinator.Producer, seq kafka.Sequence, tp kafka.TopicPartition, raw []byte, reply func(produced, error)) {
	r := n.replica(tp)
	if r == nil {
		reply(produced{}, kafka.NotLeaderOrFollower)
		return
	}
	guard, needed, err := r.p.GuardTxn(p.ID, p.Epoch, seq, true, kafka.Timestamp(n.clock().UnixMilli()))
	if err != nil {
		reply(produced{}, err)
		return
	}
	if !needed {
		n.append(tp, raw, true, guard, reply)
		return
	}
	n.addPartitions(id, p, []kafka.TopicPartition{tp}, func(code kafka.ErrorCode, err error) {
		switch {
		case err != nil:
			reply(produced{}, kafka.NotEnoughReplicas)
		case code != kafka.None:
			reply(produced{}, code)
		default:
			n.append(tp, raw, true, guard, reply)
		}
	})
}

// addPartitions asks the coordinator of a transaction to add partitions.
func (n *node) addPartitions(id string, p coordinator.Producer, list []kafka.TopicPartition, done func(kafka.ErrorCode, error)) {
	tp := kafka.TopicPartition{Topic: txnTopic, Partition: coordinator.PartitionOf(id, internalPartitions)}
	_, state, ok := n.img.Partition(tp)
	if !ok || state.Leader == kafka.NoBroker {
		done(0, kafka.CoordinatorNotAvailable)
		return
	}
	to := n.w.nodes[state.Leader-1]
	call(n.endpoint, to, request{what: "add partitions", patience: time.Second}, func(reply func(kafka.ErrorCode, error)) {
		askLater(to.txnShard(id), reply, func(s *txn.Shard, op *coordinator.Op, later *coordinator.Reply[kafka.ErrorCode]) {
			s.AddPartitions(op, txn.Add{ID: id, Producer: p, Partitions: list, Version: txn.Version2}, later)
		})
	}, done)
}

// commitTxnOffsets stages an offset of a group in a transaction.
func (n *node) commitTxnOffsets(q *kmsg.TxnOffsetCommitRequest, reply func(kafka.ErrorCode, error)) {
	tp := kafka.TopicPartition{Topic: offsetsTopic, Partition: coordinator.PartitionOf(q.Group, internalPartitions)}
	p := coordinator.Producer{ID: kafka.ProducerID(q.ProducerID), Epoch: kafka.ProducerEpoch(q.ProducerEpoch)}
	n.addPartitions(q.TransactionalID, p, []kafka.TopicPartition{tp}, func(code kafka.ErrorCode, err error) {
		if err != nil || code != kafka.None {
			if err != nil {
				code = kafka.CoordinatorNotAvailable
			}
			reply(code, nil)
			return
		}
		ask(n.groupShard(q.Group), func(a *kmsg.TxnOffsetCommitResponse, err error) {
			if err != nil {
				reply(0, err)
				return
			}
			reply(kafka.ErrorCode(a.Topics[0].Partitions[0].ErrorCode), nil)
		}, func(s *group.Shard, op *coordinator.Op) *kmsg.TxnOffsetCommitResponse {
			return s.TxnOffsetCommit(op, group.Client{ID: "c", Host: "h"}, q)
		})
	})
}

// markerJob is a decided transaction whose markers are being written, as txnmarker does.
type markerJob struct {
	h    *shard[*txn.Shard]
	load int
	m    txn.SendMarkers
	left int
}

// sendMarkers writes the markers of a decided transaction to all of its partitions, until each has it.
func (n *node) sendMarkers(h *shard[*txn.Shard], m txn.SendMarkers) {
	j := &markerJob{h: h, load: h.loads, m: m, left: len(m.Partitions)}
	n.w.say("%s writes markers of %s %+v commit %v to %v", n, m.ID, m.Producer, m.Commit, m.Partitions)
	list := m.Partitions
	if n.w.mutant == "a marker goes to one partition only" {
		list = list[:1]
		j.left = 1
	}
	for _, tp := range list {
		n.sendMarker(j, tp)
	}
}

func (n *node) sendMarker(j *markerJob, tp kafka.TopicPartition) {
	if j.h.loads != j.load || j.h.phase != phaseActive {
		return
	}
	again := func() {
		n.after(n.w.between(20*time.Millisecond, 150*time.Millisecond), func() { n.sendMarker(j, tp) })
	}
	_, state, ok := n.img.Partition(tp)
	if !ok || state.Leader == kafka.NoBroker {
		again()
		return
	}
	to := n.w.nodes[state.Leader-1]
	call(n.endpoint, to, request{what: "marker", patience: 1500 * time.Millisecond}, func(reply func(bool, error)) {
		to.writeMarker(&j.m, tp, func(err error) { reply(err == nil, err) })
	}, func(_ bool, err error) {
		switch kafka.CodeOf(err) {
		case kafka.TransactionCoordinatorFenced: // another coordinator has taken over, and writes them
		case kafka.None, kafka.InvalidProducerEpoch:
			if err != nil {
				n.w.say("the marker of %s for %s is refused: %v", j.m.ID, tp, err)
			}
			if j.left--; j.left == 0 {
				n.reportMarkers(j)
			}
		default:
			again()
		}
	})
}

// reportMarkers tells the coordinator that all markers are written.
func (n *node) reportMarkers(j *markerJob) {
	if j.h.loads != j.load || j.h.phase != phaseActive {
		return
	}
	err := j.h.run(func(s *txn.Shard, op *coordinator.Op) { s.MarkersWritten(op, j.m.ID, j.m.Producer) }, nil)
	if err != nil {
		n.after(100*time.Millisecond, func() { n.reportMarkers(j) })
	}
}

// writeMarker writes a marker to a partition that is led here.
func (n *node) writeMarker(m *txn.SendMarkers, tp kafka.TopicPartition, done func(error)) {
	if tp.Topic == offsetsTopic {
		for _, h := range n.coords.groups {
			if h.partition == tp.Partition {
				h.endTxn(m.Producer, m.CoordinatorEpoch, m.Version, m.Commit, done)
				return
			}
		}
		done(kafka.NotLeaderOrFollower)
		return
	}
	r := n.replica(tp)
	if r == nil {
		done(kafka.NotLeaderOrFollower)
		return
	}
	waiter := partition.NewAckWaiter()
	waiter.Start()
	err := r.p.AppendMarker(partition.Marker{
		Producer: m.Producer.ID, Epoch: m.Producer.Epoch, CoordinatorEpoch: m.CoordinatorEpoch, Commit: m.Commit, Version: m.Version, Waiter: waiter,
	}, n.clock())
	sealed := waiter.Seal()
	if err != nil {
		done(err)
		return
	}
	n.awaitAck(r.p, waiter, sealed, done)
}
