package coordinator

import (
	"time"

	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/metadata"
	"github.com/rafka-io/rafka/internal/timeline"
)

// Record is one record of an internal topic. Its encodings are Kafka's own: 2 bytes of version or record type, then the fields.
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

// noProducer is who writes outside transactions.
var noProducer = Producer{kafka.NoProducer, -1}

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
	// Changed is an operation that comes when topics have been created or removed or have more partitions, or settings changed; not when only the
	// leaders or replicas of partitions did.
	Changed(op *Op, d *metadata.Delta)
}

// Placed is what a Shard may have besides: it is told where in the log each of its records is, when that is known. What it remembers of it needs no
// timeline, for nothing is taken back then.
type Placed interface {
	Placed(r Record, at kafka.Offset)
}

// Staging is what a Shard may have besides: it says in which epoch a producer has written what its transaction has not decided yet.
type Staging interface {
	Staged(id kafka.ProducerID) (epoch kafka.ProducerEpoch, open bool)
}

// View is what a read sees: the committed state is that at Committed.
type View struct {
	Now       time.Time
	Image     *metadata.Image
	Committed timeline.Epoch
	Partition int32
}

// Log is the partitions of an internal topic; app implements it over replica.
type Log interface {
	// Append appends one batch as leader of that epoch (COR-5); end is the offset after it.
	Append(partition int32, epoch kafka.LeaderEpoch, batch []byte, now time.Time) (end kafka.Offset, err error)
	// OnHighWatermark calls fn, from a goroutine of the engine, each time more is committed, and once at the beginning; with NoOffset when
	// nothing more will be: the log has failed, or is led elsewhere or in another epoch. That call returns before this node appends as a
	// follower. fn takes a leaf lock at most.
	OnHighWatermark(partition int32, fn func(kafka.Offset)) (stop func(), err error)
	// Load reads everything up to the log end, be it committed yet or not, batch by batch in order; end is the log end. It fails unless this node
	// leads in that epoch.
	Load(partition int32, epoch kafka.LeaderEpoch, fn func(batch []byte) error) (end kafka.Offset, err error)
	// Leads is nil if this node leads in that epoch and may still say so: nobody else can have been made the leader for want of a sign of life of this
	// node. It is called under locks and must be quick.
	Leads(partition int32, epoch kafka.LeaderEpoch) error
}
