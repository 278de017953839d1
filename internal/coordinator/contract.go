package coordinator

// CONTRACT (owner: runtime). What a shard sees of the runtime, and how verbs ask a shard. Keep names and meanings: several packages are being
// written against this file at the same time. Implementation goes to files of its own; this file goes when everything has moved.

import (
	"time"

	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/metadata"
	"github.com/rafka-io/rafka/internal/timeline"
)

// Record is one record of an internal topic. Its encodings are Kafka's own (2 bytes version or record type, then the fields).
type Record interface {
	AppendKey(dst []byte) []byte
	// AppendValue appends the value; ok is false for a tombstone.
	AppendValue(dst []byte) (_ []byte, ok bool)
}

// Producer is who wrote a record: NoProducer unless it was written in a transaction.
type Producer struct {
	ID    kafka.ProducerID
	Epoch kafka.ProducerEpoch
}

// Shard is the state of one partition of an internal topic: a fold of its records (COR-3). It is pure: time, ids and the image come with each
// operation. Everything that an operation changes lives in containers of the registry the shard was made with (soft state too: phases, who
// waits), so that a failed append reverts it.
type Shard interface {
	// Decode reads a record from the log. (nil, nil): a kind that this build does not know and may skip.
	Decode(key, value []byte) (Record, error)
	// Replay folds a record into the state: at the moment it is emitted, and when the log is loaded. It decides nothing.
	Replay(r Record, p Producer)
	// EndTxn folds a transaction marker into the state.
	EndTxn(p Producer, commit bool)
	// Loaded is the first operation after a load: timers start here (GRP-6).
	Loaded(op *Op)
	// Changed is an operation that comes when topics have been created, changed or removed, or settings changed.
	Changed(op *Op, d *metadata.Delta)
}

// Op is one operation of a shard under way (COR-1: one at a time). What it collects takes effect when its records have been appended; if that
// fails the shard is reverted to before the operation and every Reply given in it becomes an error.
//
//	func (op *Op) Emit(r Record)                   // folds r into the shard at once and appends it to the log with the others of this op, as one batch
//	func (op *Op) InTransaction(p Producer)        // the batch of this op is transactional, written by p
//	func (op *Op) Schedule(key string, after time.Duration, fn func(*Op)) // sets or replaces the timer of that key; it fires as an operation (COR-6)
//	func (op *Op) Cancel(key string)
//	func (op *Op) Effect(e any)                    // handed to Options.OnEffect once the records of this op are committed, in order
//	func (op *Op) Partition() int32                // of the internal topic
//	func (op *Op) Atomic(bool)                     // false: the records may be split over several batches (expiry)
//	func (op *Op) Note(about, text string)         // a decision in plain words for `rafka explain`: kept in a bounded ring per shard, about = group or transactional id
type Op struct {
	Now   time.Time
	Image *metadata.Image
	NewID func() kafka.UUID
	op    // the runtime's
}

// View is what a read sees: the committed state is that at Committed.
type View struct {
	Now       time.Time
	Image     *metadata.Image
	Committed timeline.Epoch
	Partition int32
}

// Reply takes the answer of one request, once; giving it again does nothing. A shard may keep it (JoinGroup) and give it in a later operation.
// The answer leaves when the records of the operation that gave it are committed (COR-2).
//
//	func (r *Reply[A]) Give(op *Op, a A)
type Reply[A any] struct {
	reply[A]
}

// Asking a shard. key is the group or the transactional id; its partition is abs(Java String.hashCode(key)) % partitions, as in Kafka.
// Errors (never of the shard's own protocol: those are in A): NotCoordinator, CoordinatorLoadInProgress, CoordinatorNotAvailable (topic missing,
// append failed, shutting down), and ctx's.
//
//	func Ask[S Shard, A any](ctx context.Context, r *Runtime[S], key string, fn func(s S, op *Op) A) (A, error)
//	func AskLater[S Shard, A any](ctx context.Context, r *Runtime[S], key string, fn func(s S, op *Op, reply *Reply[A])) (A, error)
//	func Read[S Shard, A any](r *Runtime[S], key string, fn func(s S, v View) A) (A, error)          // waits for nothing, sees committed state
//	func Each[S Shard](r *Runtime[S], fn func(s S, v View)) error                                    // every active shard here; an error if some are loading
//
//	func New[S Shard](o Options[S]) *Runtime[S]
//	type Options[S] struct {
//		Topic string                                   // the internal topic
//		NewShard func(reg *timeline.Registry, partition int32) S
//		Log Log
//		OnEffect func(partition int32, e any)          // must not block
//		NewID func() kafka.UUID; Image func() *metadata.Image; Now func() time.Time; Logger *slog.Logger
//	}
//	func (r *Runtime[S]) Apply(img, delta)             // metadata.Publisher: loads shards whose partition this node leads now, unloads the others
//	func (r *Runtime[S]) PartitionOf(key string) (int32, error)
//	func (r *Runtime[S]) EndTxn(ctx, partition int32, p Producer, coordinatorEpoch int32, commit bool) error // appends the marker, EndTxn on the shard; committed when it returns
//	func (r *Runtime[S]) Phase(partition int32) Phase; Notes(key string) []Note; Close()

// Log is the partitions of an internal topic; app implements it over replica.
type Log interface {
	// Append appends one batch as leader of that epoch (COR-5); end is the offset after it.
	Append(partition int32, epoch kafka.LeaderEpoch, batch []byte, now time.Time) (end kafka.Offset, err error)
	// OnHighWatermark calls fn, from a goroutine of the engine, each time more is committed, and once at the beginning. fn takes a leaf lock at most.
	OnHighWatermark(partition int32, fn func(kafka.Offset)) (stop func(), err error)
	// Load reads everything up to the log end, waiting until that is committed, batch by batch in order; end is the log end.
	Load(partition int32, epoch kafka.LeaderEpoch, fn func(batch []byte) error) (end kafka.Offset, err error)
}
