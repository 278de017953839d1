package coordinator

import (
	"time"

	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/metadata"
)

// Op is one operation of a shard under way (COR-1: one at a time). What it collects takes effect when its records have been appended; if that
// fails the shard is reverted to before the operation and every Reply given in it becomes an error.
type Op struct {
	Now   time.Time
	Image *metadata.Image
	NewID func() kafka.UUID

	shard     Shard
	partition int32
	producer  Producer
	split     bool
	done      Collected
}

// Collected is what an operation wants to happen.
type Collected struct {
	Records []Record
	Replies []Pending
	Timers  []Timer
	Effects []any
	Notes   []Note
}

// Timer sets the timer of a key, or takes it away if Fn is nil.
type Timer struct {
	Key   string
	After time.Duration
	Fn    func(*Op)
}

// Pending is a Reply whose answer was given and has not left.
type Pending interface {
	// Release lets the answer go, or an error in its place. The first call counts.
	Release(err error)
}

// NewOp begins an operation; for the runtime and for coordtest.
func NewOp(s Shard, partition int32, now time.Time, img *metadata.Image, newID func() kafka.UUID) *Op {
	return &Op{Now: now, Image: img, NewID: newID, shard: s, partition: partition, producer: noProducer}
}

// Emit folds r into the shard at once and appends it to the log with the others of this operation, as one batch.
func (op *Op) Emit(r Record) {
	op.shard.Replay(r, op.producer)
	op.done.Records = append(op.done.Records, r)
}

// InTransaction makes the batch of this operation transactional, written by p. It comes before the first Emit.
func (op *Op) InTransaction(p Producer) { op.producer = p }

// Writer is who writes this operation: NoProducer unless InTransaction said otherwise.
func (op *Op) Writer() Producer { return op.producer }

// Atomic says whether all records must be in one batch, as they are unless this is called with false: then a batch that would be too large is
// followed by another.
func (op *Op) Atomic(yes bool) { op.split = !yes }

// IsAtomic reports what Atomic said last.
func (op *Op) IsAtomic() bool { return !op.split }

// Schedule sets or replaces the timer of that key; it fires as an operation (COR-6).
func (op *Op) Schedule(key string, after time.Duration, fn func(*Op)) {
	op.done.Timers = append(op.done.Timers, Timer{key, after, fn})
}

// Cancel takes a timer away if there is one.
func (op *Op) Cancel(key string) { op.done.Timers = append(op.done.Timers, Timer{Key: key}) }

// Effect is handed to Options.OnEffect once the records of this operation are committed, in order.
func (op *Op) Effect(e any) { op.done.Effects = append(op.done.Effects, e) }

// Partition is the one of the internal topic.
func (op *Op) Partition() int32 { return op.partition }

// Note keeps a decision in plain words for `rafka explain`; about is the group or the transactional id. Clients' words in it may be long, so it
// is cut after maxNote bytes.
func (op *Op) Note(about, text string) {
	if len(text) > maxNote {
		text = text[:maxNote] + "…"
	}
	op.done.Notes = append(op.done.Notes, Note{At: op.Now, About: about, Text: text})
}

// Collected is what the operation wants to happen; for the runtime and for coordtest.
func (op *Op) Collected() *Collected { return &op.done }
