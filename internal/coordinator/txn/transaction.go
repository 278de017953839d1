package txn

import (
	"math"
	"slices"
	"strings"
	"time"

	"github.com/rafka-io/rafka/internal/coordinator"
	"github.com/rafka-io/rafka/internal/kafka"
)

// Transaction versions of clients (KIP-890): the first adds partitions by itself and keeps its epoch, the second leaves the adding to the
// brokers and gets a new epoch with the end of every transaction.
const (
	Version1 int16 = 0 // also Kafka's 1, which differs in the log's format only
	Version2 int16 = 2
)

const (
	noEpoch kafka.ProducerEpoch = -1
	// lastUsable is the highest epoch that a producer is given. The one above is kept for fencing it.
	lastUsable kafka.ProducerEpoch = math.MaxInt16 - 1
)

// Transaction is what is known of one transactional id. It does not change: a transition makes a new one.
type Transaction struct {
	ProducerID kafka.ProducerID
	// PreviousID is the producer id before the last transition, NextID the one that a client got with the end of this transaction because
	// its epochs are used up; NoProducer: none.
	PreviousID, NextID kafka.ProducerID
	Epoch              kafka.ProducerEpoch
	// LastEpoch is the epoch that the same producer had before: what comes with it repeats a request whose answer was lost. -1: none.
	LastEpoch kafka.ProducerEpoch
	// NextEpoch belongs to two-phase commit, which nothing here uses; it is kept as it was found.
	NextEpoch     kafka.ProducerEpoch
	Timeout       int32 // milliseconds
	State         State
	Partitions    []kafka.TopicPartition // by topic and number, each once
	Started       kafka.Timestamp        // NoTimestamp: no transaction since the producer was initialized
	Updated       kafka.Timestamp
	ClientVersion int16
}

// after returns a copy that goes into a state now.
func (t *Transaction) after(s State, now time.Time) *Transaction {
	next := *t
	next.PreviousID, next.NextID = t.ProducerID, kafka.NoProducer
	next.State = s
	next.Updated = kafka.Timestamp(now.UnixMilli())
	return &next
}

// isExhausted: the next epoch would be the last one there is.
func (t *Transaction) isExhausted() bool { return t.Epoch >= lastUsable }

// owner is who may start the next transaction: the producer as it was last told its id and epoch.
func (t *Transaction) owner() coordinator.Producer {
	if t.NextID != kafka.NoProducer {
		return coordinator.Producer{ID: t.NextID, Epoch: 0}
	}
	return coordinator.Producer{ID: t.ProducerID, Epoch: t.Epoch}
}

// isRepeatOf reports whether p is the owner as it was before its epoch was last raised, so that it asks again for what it was not told.
func (t *Transaction) isRepeatOf(p coordinator.Producer) bool {
	if t.LastEpoch == noEpoch || p.Epoch != t.LastEpoch {
		return false
	}
	if t.Epoch == 0 {
		return p.ID == t.PreviousID
	}
	return p.ID == t.ProducerID && p.Epoch == t.Epoch-1
}

// initialized is the state after InitProducerId: nothing open, epoch told to the producer.
func (t *Transaction) initialized(p coordinator.Producer, last kafka.ProducerEpoch, timeout int32, now time.Time) *Transaction {
	next := t.after(Empty, now)
	next.ProducerID, next.Epoch, next.LastEpoch, next.Timeout = p.ID, p.Epoch, last, timeout
	next.Partitions, next.Started = nil, kafka.NoTimestamp
	return next
}

// added is the state after partitions were added; t is returned if all of them are in an open transaction already. The last epoch goes:
// a producer that adds has been told its epoch.
func (t *Transaction) added(partitions []kafka.TopicPartition, version int16, now time.Time) *Transaction {
	union := union(t.Partitions, partitions)
	if t.State == Ongoing && len(union) == len(t.Partitions) {
		return t
	}
	next := t.after(Ongoing, now)
	next.Partitions, next.ClientVersion, next.LastEpoch = union, version, noEpoch
	if t.State != Ongoing {
		next.Started = next.Updated
	}
	return next
}

// fenced is an open transaction whose producer is shut out. The new epoch is told to nobody.
func (t *Transaction) fenced(now time.Time) *Transaction {
	next := t.after(PrepareEpochFence, now)
	next.Epoch, next.LastEpoch = raised(t.Epoch), noEpoch
	return next
}

// decided is the state with a decision. With version 2 the producer goes on with the epoch above, or with nextID if there is none above.
func (t *Transaction) decided(commit bool, version int16, nextID kafka.ProducerID, now time.Time) *Transaction {
	next := t.after(PrepareAbort, now)
	if commit {
		next.State = PrepareCommit
	}
	next.ClientVersion, next.NextID = version, nextID
	next.LastEpoch = noEpoch
	if version >= Version2 {
		next.Epoch = raised(t.Epoch)
		if next.Epoch != t.Epoch { // else it was fenced at the end of its epochs: the one below is the fenced producer's
			next.LastEpoch = t.Epoch
		}
	}
	if t.State.isIdle() {
		next.Started = next.Updated // an abort of nothing: there is no better time
	}
	return next
}

// completed is the state when every marker is written.
func (t *Transaction) completed(now time.Time) *Transaction {
	next := t.after(CompleteAbort, now)
	if t.State == PrepareCommit {
		next.State = CompleteCommit
	}
	p := t.owner()
	next.ProducerID, next.Epoch = p.ID, p.Epoch
	next.Partitions = nil
	return next
}

// raised is the epoch above; the highest stays.
func raised(e kafka.ProducerEpoch) kafka.ProducerEpoch {
	if e == math.MaxInt16 {
		return e
	}
	return e + 1
}

// union returns the partitions of both, sorted, each once. It changes neither.
func union(have, more []kafka.TopicPartition) []kafka.TopicPartition {
	all := slices.Concat(have, more)
	slices.SortFunc(all, comparePartitions)
	return slices.Compact(all)
}

func comparePartitions(a, b kafka.TopicPartition) int {
	if c := strings.Compare(a.Topic, b.Topic); c != 0 {
		return c
	}
	return int(a.Partition) - int(b.Partition)
}

// has reports whether a partition is part of the transaction.
func (t *Transaction) has(tp kafka.TopicPartition) bool {
	_, found := slices.BinarySearchFunc(t.Partitions, tp, comparePartitions)
	return found
}

// deadline is when an open transaction is aborted.
func (t *Transaction) deadline() time.Time {
	return time.UnixMilli(int64(t.Started)).Add(t.timeout())
}

func (t *Transaction) timeout() time.Duration { return time.Duration(t.Timeout) * time.Millisecond }
