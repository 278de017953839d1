package partition

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"testing"
	"time"
	"unsafe"

	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/partition/partitiontest"
	"github.com/rafka-io/rafka/internal/record"
	"github.com/rafka-io/rafka/internal/storage"
)

// bench is a partition over a fake log with what tests do to both.
// alone and three are sets of replicas in which this one is.
var (
	alone = []kafka.BrokerID{0}
	three = []kafka.BrokerID{0, 1, 2}
)

type bench struct {
	testing.TB
	engine   *partitiontest.Engine
	id       storage.ID
	settings *Settings
	now      time.Time
	*Partition
	fromFollower bool
}

func newBench(t testing.TB) *bench {
	b := &bench{TB: t, engine: partitiontest.New(), now: time.UnixMilli(1_700_000_000_000)}
	b.engine.Now = func() time.Time { return b.now }
	b.id = storage.ID{TopicPartition: kafka.TopicPartition{Topic: "orders", Partition: 3}, TopicID: kafka.UUID{1}}
	b.settings = &Settings{MinISR: 1, Delete: true, RetentionTime: -1, RetentionBytes: -1, ProducerExpiry: time.Hour}
	b.start()
	return b
}

func (b *bench) start() {
	host := &Host{Engine: b.engine, Logger: slog.New(slog.DiscardHandler), Now: func() time.Time { return b.now }}
	b.Partition = New(b.id, host, b.settings, &Stats{})
	b.SetRole(Role{IsLeader: true, Epoch: 5, ISR: alone, Replicas: alone})
}

// log is the fake behind the partition.
func (b *bench) log() *partitiontest.Log {
	b.Helper()
	if _, err := b.load(); err != nil {
		b.Fatal(err)
	}
	return b.engine.Log(b.id)
}

// batch builds n records, all of the same time.
func batch(o record.BatchOptions, n int, ts kafka.Timestamp) record.Batches {
	var recs []record.Record
	for i := range n {
		recs = append(recs, record.Record{Value: []byte("value"), Timestamp: ts, Offset: o.BaseOffset + kafka.Offset(i)})
	}
	b, err := record.Build(nil, o, recs)
	if err != nil {
		panic(err)
	}
	return b
}

func plainBatch(n int) record.Batches { return batch(record.PlainOptions(), n, 1_700_000_000_000) }

func producerBatch(pid kafka.ProducerID, epoch kafka.ProducerEpoch, first kafka.Sequence, n int) record.Batches {
	o := record.PlainOptions()
	o.ProducerID, o.ProducerEpoch, o.BaseSequence = pid, epoch, first
	return batch(o, n, 1_700_000_000_000)
}

// append appends and does not wait.
func (b *bench) append(batch record.Batches) kafka.Offset {
	b.Helper()
	done, err := b.AppendAsLeader(Append{Records: batch}, b.now)
	if err != nil {
		b.Fatal(err)
	}
	return done.Base
}

// appendFor appends for a waiter, which is sealed.
func (b *bench) appendFor(w *AckWaiter, batch record.Batches) (complete bool) {
	b.Helper()
	w.Start()
	if _, err := b.AppendAsLeader(Append{Records: batch, Waiter: w, AllReplicas: true}, b.now); err != nil {
		b.Fatal(err)
	}
	return w.Seal()
}

// signalled reports whether there is a signal, and takes it.
func signalled(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// read reads everything from an offset and gives base offsets of its batches.
func (b *bench) read(from kafka.Offset) (bases []kafka.Offset, r Read) {
	b.Helper()
	r, err := b.Read(ReadRequest{From: from, MaxBytes: 1 << 20, AtLeastOne: true, CurrentEpoch: kafka.NoEpoch, FetchedEpoch: kafka.NoEpoch, Replica: kafka.NoBroker})
	if err != nil {
		b.Fatal(err)
	}
	if r.Records != nil {
		all, _ := r.Records.Bytes()
		for h := range all.All() {
			bases = append(bases, h.BaseOffset)
			if h.LeaderEpoch != b.Role().Epoch {
				b.Errorf("batch at %d has epoch %d", h.BaseOffset, h.LeaderEpoch)
			}
		}
	}
	return bases, r
}

func wantCode(t testing.TB, err error, code kafka.ErrorCode) {
	t.Helper()
	if kafka.CodeOf(err) != code {
		t.Errorf("error %v, want %v", err, code)
	}
}

// PAR-1: only a leader appends, and not after SetRole took the role away.
func TestOnlyTheLeaderAppendsAndReads(t *testing.T) {
	b := newBench(t)
	b.append(plainBatch(1))
	b.SetRole(Role{Epoch: 6, ISR: alone})
	_, err := b.AppendAsLeader(Append{Records: plainBatch(1)}, b.now)
	wantCode(t, err, kafka.NotLeaderOrFollower)
	_, err = b.Read(ReadRequest{CurrentEpoch: kafka.NoEpoch, FetchedEpoch: kafka.NoEpoch, Replica: kafka.NoBroker})
	wantCode(t, err, kafka.NotLeaderOrFollower)
	b.SetRole(Role{IsLeader: true, Epoch: 7, ISR: alone})
	if base := b.append(plainBatch(2)); base != 1 {
		t.Errorf("appended at %d, want 1", base)
	}
	for epoch, code := range map[kafka.LeaderEpoch]kafka.ErrorCode{6: kafka.FencedLeaderEpoch, 7: kafka.None, 8: kafka.UnknownLeaderEpoch, -1: kafka.None} {
		_, err := b.Read(ReadRequest{CurrentEpoch: epoch, FetchedEpoch: kafka.NoEpoch, Replica: kafka.NoBroker})
		wantCode(t, err, code)
		_, err = b.FindOffset(OffsetQuery{At: AtLatest, CurrentEpoch: epoch})
		wantCode(t, err, code)
		_, err = b.EpochEnd(epoch, 5)
		wantCode(t, err, code)
	}
}

// ISR-5 as far as one node has it: acks=all is refused before the append, acks=1 is not. Where there are not as many replicas as
// min.insync.replicas asks for, all of them are enough, as with Kafka.
func TestTooFewInSyncReplicas(t *testing.T) {
	b := newBench(t)
	b.Configure(&Settings{MinISR: 2})
	if done, err := b.AppendAsLeader(Append{Records: plainBatch(1), AllReplicas: true}, b.now); err != nil || done.Base != 0 {
		t.Errorf("one replica of one: %+v, %v", done, err)
	}
	b.SetRole(Role{IsLeader: true, Epoch: 6, ISR: alone, Replicas: three})
	_, err := b.AppendAsLeader(Append{Records: plainBatch(1), AllReplicas: true}, b.now)
	wantCode(t, err, kafka.NotEnoughReplicas)
	if base := b.append(plainBatch(1)); base != 1 {
		t.Errorf("appended at %d", base)
	}
}

// An idle partition is cheap and touches no log.
func TestUnusedPartitionOpensNothing(t *testing.T) {
	b := newBench(t)
	if b.InUse() || b.engine.Log(b.id) != nil {
		t.Error("a log was opened")
	}
	if size := unsafe.Sizeof(Partition{}); size > 1024 {
		t.Errorf("a partition has %d bytes", size)
	}
	if err := b.Close(context.Background()); err != nil || b.engine.Log(b.id) != nil {
		t.Errorf("close: %v, logs %v", err, b.engine.Log(b.id))
	}
}

func TestTransactionalBatchIsRefused(t *testing.T) {
	b := newBench(t)
	o := record.PlainOptions()
	o.ProducerID, o.ProducerEpoch, o.BaseSequence, o.Transactional = 1, 0, 0, true
	_, err := b.AppendAsLeader(Append{Records: batch(o, 1, 1)}, b.now)
	wantCode(t, err, kafka.InvalidTxnState)
	if p, err := b.Producers(); err != nil || len(p) != 0 {
		t.Errorf("producers %v, %v", p, err)
	}
}

func TestBadBatchLeavesNoTrace(t *testing.T) {
	b := newBench(t)
	bad := producerBatch(1, 0, 0, 1)
	bad[len(bad)-1] ^= 1
	_, err := b.AppendAsLeader(Append{Records: bad}, b.now)
	wantCode(t, err, kafka.CorruptMessage)
	b.log().Full = storage.ErrFull
	_, err = b.AppendAsLeader(Append{Records: producerBatch(1, 0, 0, 1)}, b.now)
	wantCode(t, err, kafka.KafkaStorageError)
	if !errors.Is(err, storage.ErrFull) {
		t.Errorf("%v does not say that the disk is full", err)
	}
	b.log().Full = nil // room again: the same batch is no repeat, nothing of it was remembered
	if base := b.append(producerBatch(1, 0, 0, 1)); base != 0 {
		t.Errorf("appended at %d", base)
	}
}

func TestLogAppendTimeIsStamped(t *testing.T) {
	b := newBench(t)
	b.settings.Rules.TimestampType = record.LogAppendTime
	done, err := b.AppendAsLeader(Append{Records: producerBatch(1, 0, 0, 2)}, b.now.Add(time.Second))
	if err != nil || done.AppendTime != 1_700_000_001_000 {
		t.Fatalf("append time %d, %v", done.AppendTime, err)
	}
	again, err := b.AppendAsLeader(Append{Records: producerBatch(1, 0, 0, 2)}, b.now.Add(time.Minute))
	if err != nil || again != done {
		t.Errorf("the repeat answered %+v, %v; the first %+v", again, err, done)
	}
	found, err := b.FindOffset(OffsetQuery{At: 1_700_000_000_500, CurrentEpoch: kafka.NoEpoch})
	if err != nil || found.Offset != 0 || found.Timestamp != 1_700_000_001_000 {
		t.Errorf("found %+v, %v", found, err)
	}
}

// A batch that was refused because this replica does not lead yet is as it came, so that it can be tried again.
func TestRefusedBatchIsNotStamped(t *testing.T) {
	b := newBench(t)
	b.settings.Rules.TimestampType = record.LogAppendTime
	leads := b.Role()
	follows := leads
	follows.IsLeader = false
	b.SetRole(follows)
	batch := producerBatch(1, 0, 0, 2)
	came := slices.Clone(batch)
	_, err := b.AppendAsLeader(Append{Records: batch}, b.now)
	wantCode(t, err, kafka.NotLeaderOrFollower)
	if !slices.Equal(batch, came) {
		t.Errorf("the batch is\n%x, and was\n%x", batch, came)
	}
	leads.Epoch++
	b.SetRole(leads)
	if _, err := b.AppendAsLeader(Append{Records: batch}, b.now.Add(time.Second)); err != nil {
		t.Error(err)
	}
}

// PAR-4: nothing at or above the high watermark is read; between it and the log end there is nothing yet, beyond is an error.
func TestReadsEndAtTheHighWatermark(t *testing.T) {
	b := newBench(t)
	b.engine.Hold = true
	b.append(plainBatch(5))
	b.append(plainBatch(5))
	if bases, r := b.read(0); bases != nil || r.HighWatermark != 0 {
		t.Errorf("before it was durable: %v, %+v", bases, r)
	}
	b.log().Settle(5)
	if bases, r := b.read(0); !slices.Equal(bases, []kafka.Offset{0}) || r.HighWatermark != 5 || r.LastStable != 5 {
		t.Errorf("half of it durable: %v, %+v", bases, r)
	}
	for _, from := range []kafka.Offset{5, 7, 10} {
		if bases, _ := b.read(from); bases != nil {
			t.Errorf("from %d: %v", from, bases)
		}
	}
	for _, from := range []kafka.Offset{-1, 11} {
		_, err := b.Read(ReadRequest{From: from, MaxBytes: 100, CurrentEpoch: kafka.NoEpoch, FetchedEpoch: kafka.NoEpoch, Replica: kafka.NoBroker})
		wantCode(t, err, kafka.OffsetOutOfRange)
	}
	b.log().Settle(10)
	b.log().Settle(5) // late and out of order: the watermark never falls
	if bases, r := b.read(3); !slices.Equal(bases, []kafka.Offset{0, 5}) || r.HighWatermark != 10 {
		t.Errorf("all durable: %v, %+v", bases, r)
	}
}

func TestReadGivesOneBatchOnlyIfAsked(t *testing.T) {
	b := newBench(t)
	b.append(plainBatch(5))
	for _, c := range []struct {
		max  int
		one  bool
		some bool
	}{{1, true, true}, {1, false, false}, {0, false, false}, {0, true, true}, {1000, false, true}} {
		r, err := b.Read(ReadRequest{MaxBytes: c.max, AtLeastOne: c.one, CurrentEpoch: kafka.NoEpoch, FetchedEpoch: kafka.NoEpoch, Replica: kafka.NoBroker})
		if err != nil || (r.Records != nil) != c.some {
			t.Errorf("%+v: %v, %v", c, r.Records, err)
		}
	}
}

// PAR-2: who fetches with the epoch of the last record it has is told where its log went another way.
func TestFetchTellsDivergence(t *testing.T) {
	b := newBench(t)
	b.append(plainBatch(10))
	b.SetRole(Role{IsLeader: true, Epoch: 8, ISR: alone})
	b.append(plainBatch(10))
	for _, c := range []struct {
		from    kafka.Offset
		fetched kafka.LeaderEpoch
		want    *EpochEnd
		code    kafka.ErrorCode
	}{
		{from: 12, fetched: 8}, {from: 10, fetched: 5}, {from: 12, fetched: 5, want: &EpochEnd{5, 10}},
		{from: 12, fetched: 7, want: &EpochEnd{5, 10}}, {from: 3, fetched: 6, want: &EpochEnd{5, 10}},
		{from: 12, fetched: 9, code: kafka.OffsetOutOfRange},
	} {
		r, err := b.Read(ReadRequest{From: c.from, MaxBytes: 1 << 20, CurrentEpoch: kafka.NoEpoch, FetchedEpoch: c.fetched, Replica: kafka.NoBroker})
		wantCode(t, err, c.code)
		if (r.Diverging == nil) != (c.want == nil) || c.want != nil && *r.Diverging != *c.want {
			t.Errorf("%+v: diverging %v", c, r.Diverging)
		}
		if r.Diverging != nil && r.Records != nil {
			t.Errorf("%+v: records beside the divergence", c)
		}
	}
	b.SetRole(Role{IsLeader: true, Epoch: 9, ISR: alone}) // has begun, though nothing is written in it
	for asked, want := range map[kafka.LeaderEpoch]EpochEnd{9: {9, 20}, 8: {8, 20}, 5: {5, 10}, 4: {4, 0}, 10: unknownEnd} {
		if got, err := b.EpochEnd(kafka.NoEpoch, asked); err != nil || got != want {
			t.Errorf("end of %d: %v, %v, want %v", asked, got, err, want)
		}
	}
}

func TestTrimRaisesTheLogStart(t *testing.T) {
	b := newBench(t)
	ctx := context.Background()
	b.engine.Hold = true
	b.append(plainBatch(10))
	b.append(plainBatch(10))
	b.log().Settle(10)
	// The first trim saves what is known of producers, which makes the whole log durable.
	for _, c := range []struct {
		before, want kafka.Offset
		code         kafka.ErrorCode
	}{{-2, -1, kafka.OffsetOutOfRange}, {11, -1, kafka.OffsetOutOfRange}, {3, 3, kafka.None}, {2, 3, kafka.None}, {-1, 20, kafka.None}} {
		got, err := b.TrimTo(ctx, c.before)
		wantCode(t, err, c.code)
		if got != c.want {
			t.Errorf("trim to %d: log start %d, want %d", c.before, got, c.want)
		}
	}
	_, err := b.Read(ReadRequest{From: 19, MaxBytes: 100, CurrentEpoch: kafka.NoEpoch, FetchedEpoch: kafka.NoEpoch, Replica: kafka.NoBroker})
	wantCode(t, err, kafka.OffsetOutOfRange)
	b.Configure(&Settings{Compact: true})
	_, err = b.TrimTo(ctx, 10)
	wantCode(t, err, kafka.PolicyViolation)
}

func TestFindOffset(t *testing.T) {
	b := newBench(t)
	b.engine.Hold = true
	build := func(times ...kafka.Timestamp) record.Batches {
		var recs []record.Record
		for i, ts := range times {
			recs = append(recs, record.Record{Value: []byte("v"), Timestamp: ts, Offset: kafka.Offset(i)})
		}
		raw, err := record.Build(nil, record.PlainOptions(), recs)
		if err != nil {
			t.Fatal(err)
		}
		return raw
	}
	find := func(at int64) FoundOffset {
		t.Helper()
		f, err := b.FindOffset(OffsetQuery{At: at, CurrentEpoch: kafka.NoEpoch})
		if err != nil {
			t.Fatal(err)
		}
		return f
	}
	if got := find(AtMaxTimestamp); got != notFound {
		t.Errorf("max timestamp of an empty log: %+v", got)
	}
	b.append(build(100, 300, 200)) // 0-2
	b.append(build(50, 250))       // 3-4
	b.append(build(400, 350))      // 5-6, not durable
	b.log().Settle(5)
	for at, want := range map[int64]FoundOffset{
		AtLatest: {5, -1, 5}, AtEarliest: {0, -1, 5}, AtEarliestLocal: {0, -1, 5}, AtLatestTiered: notFound, AtEarliestPendingUpload: notFound,
		0: {0, 100, 5}, 101: {1, 300, 5}, 300: {1, 300, 5}, 301: notFound, 400: notFound, AtMaxTimestamp: notFound,
	} {
		if got := find(at); got != want {
			t.Errorf("at %d: %+v, want %+v", at, got, want)
		}
	}
	if f, err := b.FindOffset(OffsetQuery{At: AtLatest, Replica: true, CurrentEpoch: kafka.NoEpoch}); err != nil || f.Offset != 7 {
		t.Errorf("a follower's latest: %+v, %v", f, err)
	}
	_, err := b.FindOffset(OffsetQuery{At: -7, CurrentEpoch: kafka.NoEpoch})
	wantCode(t, err, kafka.UnsupportedVersion)
	b.log().Settle(7)
	if got, want := find(AtMaxTimestamp), (FoundOffset{5, 400, 5}); got != want {
		t.Errorf("max timestamp %+v, want %+v", got, want)
	}
	if _, err := b.TrimTo(context.Background(), 2); err != nil {
		t.Fatal(err)
	}
	for at, want := range map[int64]FoundOffset{AtEarliest: {2, -1, 5}, 150: {2, 200, 5}, 201: {4, 250, 5}, 300: {5, 400, 5}} {
		if got := find(at); got != want {
			t.Errorf("after a trim inside a batch, at %d: %+v, want %+v", at, got, want)
		}
	}
}
