package txn

import (
	"cmp"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/rafka-io/rafka/internal/coordinator"
	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/metadata"
	"github.com/rafka-io/rafka/internal/timeline"
)

// bench runs one shard step by step: what an operation wants happens when the test commits, and a crash loses what is not committed.
type bench struct {
	t     testing.TB
	now   time.Time
	img   *metadata.Image
	opts  Options
	reg   *timeline.Registry
	shard *Shard
	seq   timeline.Epoch

	log       []logged
	committed int
	pending   []pending
	timers    map[string]timer
	effects   []SendMarkers // of committed operations
	notes     []coordinator.Note

	// emitted is told each transition when it is emitted, and decided each when it is committed.
	emitted  func(id string, before, after *Transaction)
	onCommit func(Record)
	failNext bool // the next operation cannot append
}

type logged struct{ key, value []byte }

type pending struct {
	before  timeline.Epoch
	replies []coordinator.Pending
	effects []any
}

type timer struct {
	at time.Time
	fn func(*coordinator.Op)
}

const coordinatorEpoch = 7

func testOptions() Options {
	return Options{MaxTimeout: 15 * time.Minute, Expiration: 7 * 24 * time.Hour, ExpirationRun: time.Hour}
}

func newBench(t testing.TB) *bench {
	img, _, err := metadata.Fold(metadata.Empty(), []metadata.Record{&metadata.TopicRecord{
		ID: kafka.UUID{1}, Name: Topic, Internal: true,
		Partitions: []metadata.PartitionRun{{Count: 50, Partition: metadata.Partition{
			Replicas: []kafka.BrokerID{1}, ISR: []kafka.BrokerID{1}, Leader: 1, LeaderEpoch: coordinatorEpoch,
		}}},
	}})
	if err != nil {
		t.Fatal(err)
	}
	b := &bench{t: t, now: time.UnixMilli(1_700_000_000_000), img: img, opts: testOptions()}
	b.load()
	return b
}

// load makes the shard anew from what is in the log.
func (b *bench) load() {
	b.reg = timeline.NewRegistry()
	b.shard = NewShard(b.reg, b.opts)
	b.timers, b.pending, b.effects = map[string]timer{}, nil, nil
	for _, l := range b.log {
		r, err := b.shard.Decode(l.key, l.value)
		if err != nil || r == nil {
			b.t.Fatalf("a record of the shard's own cannot be read: %v, %v", r, err)
		}
		b.shard.Replay(r, coordinator.Producer{ID: kafka.NoProducer, Epoch: noEpoch})
	}
	b.committed = len(b.log)
	b.run(func(op *coordinator.Op) { b.shard.Loaded(op) })
}

// crash loses all but keep of the records that are not committed, and loads.
func (b *bench) crash(keep int) {
	b.log = b.log[:min(b.committed+keep, len(b.log))]
	b.tellCommitted()
	b.load()
}

// run runs an operation, and reports whether its records could be appended.
func (b *bench) run(fn func(op *coordinator.Op)) bool {
	op := coordinator.NewOp(b.shard, 3, b.now, b.img, kafka.NewUUID)
	b.reg.Snapshot(b.seq)
	before := map[string]*Transaction{}
	for id, t := range b.shard.txns.All() {
		before[id] = t
	}
	fn(op)
	done := op.Collected()
	if b.failNext && len(done.Records) > 0 {
		b.failNext = false
		b.reg.Revert(b.seq)
		for _, r := range done.Replies {
			r.Release(kafka.CoordinatorNotAvailable)
		}
		return false
	}
	b.seq++
	for _, r := range done.Records {
		rec := r.(Record)
		if b.emitted != nil {
			b.emitted(rec.ID, before[rec.ID], rec.Transaction)
		}
		before[rec.ID] = rec.Transaction
		l := logged{key: rec.AppendKey(nil)}
		if value, ok := rec.AppendValue(nil); ok {
			l.value = value
		}
		b.log = append(b.log, l)
	}
	for _, t := range done.Timers {
		if t.Fn == nil {
			delete(b.timers, t.Key)
		} else {
			b.timers[t.Key] = timer{b.now.Add(t.After), t.Fn}
		}
	}
	b.notes = append(b.notes, done.Notes...)
	b.pending = append(b.pending, pending{b.seq - 1, done.Replies, done.Effects})
	return true
}

// commit commits everything.
func (b *bench) commit() {
	b.tellCommitted()
	b.committed = len(b.log)
	released := b.pending
	b.pending = nil
	for _, p := range released {
		for _, r := range p.replies {
			r.Release(nil)
		}
		for _, e := range p.effects {
			b.effects = append(b.effects, e.(SendMarkers))
		}
	}
	b.reg.Release(b.seq)
}

// tellCommitted tells onCommit of what is about to be committed.
func (b *bench) tellCommitted() {
	for _, l := range b.log[b.committed:] {
		r, err := b.shard.Decode(l.key, l.value)
		if err != nil {
			b.t.Fatal(err)
		}
		if b.onCommit != nil {
			b.onCommit(r.(Record))
		}
	}
}

// advance lets time pass; each timer fires when its time comes.
func (b *bench) advance(d time.Duration) {
	end := b.now.Add(d)
	for {
		keys := slices.SortedFunc(maps.Keys(b.timers), func(x, y string) int {
			return cmp.Or(b.timers[x].at.Compare(b.timers[y].at), cmp.Compare(x, y))
		})
		if len(keys) == 0 || b.timers[keys[0]].at.After(end) {
			break
		}
		t := b.timers[keys[0]]
		delete(b.timers, keys[0])
		if t.at.After(b.now) {
			b.now = t.at
		}
		if !b.run(t.fn) {
			b.timers[keys[0]] = timer{b.now.Add(time.Second), t.fn}
		}
	}
	b.now = end
}

// writeMarkers acknowledges every effect.
func (b *bench) writeMarkers() {
	b.commit()
	effects := b.effects
	b.effects = nil
	for _, m := range effects {
		b.run(func(op *coordinator.Op) { b.shard.MarkersWritten(op, m.ID, m.Producer) })
	}
	b.commit()
}

// view is what a read sees now.
func (b *bench) view() coordinator.View {
	at := timeline.Latest
	if len(b.pending) > 0 {
		at = b.pending[0].before
	}
	return coordinator.View{Now: b.now, Image: b.img, Committed: at, Partition: 3}
}

func (b *bench) state(id string) *Transaction {
	t, _ := b.shard.txns.Get(id)
	return t
}

// The requests, without waiting for the answer.

func (b *bench) askInit(id string, version int16, expected coordinator.Producer, newID kafka.ProducerID) *coordinator.Reply[*kmsg.InitProducerIDResponse] {
	q := kmsg.NewPtrInitProducerIDRequest()
	q.Version, q.TransactionalID, q.TransactionTimeoutMillis = version, &id, 60_000
	q.ProducerID, q.ProducerEpoch = int64(expected.ID), int16(expected.Epoch)
	later := coordinator.NewReply[*kmsg.InitProducerIDResponse]()
	b.run(func(op *coordinator.Op) { b.shard.InitProducerID(op, q, newID, later) })
	return later
}

func (b *bench) askAdd(id string, p coordinator.Producer, version int16, partitions ...kafka.TopicPartition) *coordinator.Reply[kafka.ErrorCode] {
	later := coordinator.NewReply[kafka.ErrorCode]()
	b.run(func(op *coordinator.Op) {
		b.shard.AddPartitions(op, Add{ID: id, Producer: p, Partitions: partitions, Version: version}, later)
	})
	return later
}

func (b *bench) askEnd(id string, p coordinator.Producer, version int16, commit bool, newID kafka.ProducerID) *coordinator.Reply[*kmsg.EndTxnResponse] {
	q := kmsg.NewPtrEndTxnRequest()
	q.Version, q.TransactionalID, q.ProducerID, q.ProducerEpoch, q.Commit = version, id, int64(p.ID), int16(p.Epoch), commit
	later := coordinator.NewReply[*kmsg.EndTxnResponse]()
	b.run(func(op *coordinator.Op) { b.shard.EndTransaction(op, q, newID, later) })
	return later
}

// answered returns the answer of a request if it has left.
func answered[A any](r *coordinator.Reply[A]) (a A, err error, ok bool) {
	select {
	case <-r.Done():
		a, err = r.Result()
		return a, err, true
	default:
		return a, nil, false
	}
}

// must commits and returns the answer.
func must[A any](b *bench, r *coordinator.Reply[A]) A {
	b.t.Helper()
	b.commit()
	a, err, ok := answered(r)
	if err != nil || !ok {
		b.t.Fatalf("no answer: %v", err)
	}
	return a
}

// initialized makes a producer.
func (b *bench) initialized(id string, newID kafka.ProducerID) coordinator.Producer {
	b.t.Helper()
	a := must(b, b.askInit(id, 5, nobody, newID))
	if a.ErrorCode != 0 {
		b.t.Fatalf("InitProducerId: %v", kafka.ErrorCode(a.ErrorCode))
	}
	return producer(a.ProducerID, a.ProducerEpoch)
}

func tp(topic string, n int32) kafka.TopicPartition {
	return kafka.TopicPartition{Topic: topic, Partition: n}
}
