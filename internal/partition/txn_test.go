package partition

import (
	"bytes"
	"encoding/binary"
	"math"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/record"
	"github.com/rafka-io/rafka/internal/storage"
)

// inTxn appends a batch of a transaction, verified if need be.
func (b *bench) inTxn(pid kafka.ProducerID, epoch kafka.ProducerEpoch, first kafka.Sequence, n int) kafka.Offset {
	b.Helper()
	guard, _, err := b.GuardTxn(pid, epoch, first, false, 1)
	if err != nil {
		b.Fatal(err)
	}
	done, err := b.AppendAsLeader(Append{Records: txnBatch(pid, epoch, first, n), Guard: guard}, b.now)
	if err != nil {
		b.Fatal(err)
	}
	return done.Base
}

// end appends a marker of version 1.
func (b *bench) end(pid kafka.ProducerID, epoch kafka.ProducerEpoch, commit bool) {
	b.Helper()
	if err := b.AppendMarker(Marker{Producer: pid, Epoch: epoch, Commit: commit}, b.now); err != nil {
		b.Fatal(err)
	}
}

// T8, KIP-890: the first batch of a transaction comes in only with the guard that was taken before its coordinator was asked, and not if a
// marker came in between; the ones that follow need none.
func TestTransactionBeginsWithAGuard(t *testing.T) {
	b := newBench(t)
	write := func(first kafka.Sequence, guard TxnGuard) error {
		_, err := b.AppendAsLeader(Append{Records: txnBatch(1, 0, first, 1), Guard: guard}, b.now)
		return err
	}
	wantCode(t, write(0, TxnGuard{}), kafka.InvalidTxnState)
	guard, needed, err := b.GuardTxn(1, 0, 0, false, 1)
	if err != nil || !needed {
		t.Fatal(needed, err)
	}
	if again, _, _ := b.GuardTxn(1, 0, 0, false, 1); again != guard {
		t.Error("a second request of the same transaction has another guard")
	}
	other, _, _ := b.GuardTxn(2, 0, 0, false, 1)
	wantCode(t, write(0, other), kafka.InvalidTxnState)
	b.end(1, 0, false)
	wantCode(t, write(0, guard), kafka.InvalidTxnState)
	guard, _, _ = b.GuardTxn(1, 0, 0, false, 1)
	wantCode(t, write(0, guard), kafka.None)
	if !b.TxnOngoing(1, 0) || b.TxnOngoing(1, 1) || b.TxnOngoing(2, 0) {
		t.Error("TxnOngoing")
	}
	wantCode(t, write(1, TxnGuard{}), kafka.None)
	if _, needed, err := b.GuardTxn(1, 0, 2, false, 1); needed || err != nil {
		t.Errorf("a transaction that is open: %v, %v", needed, err)
	}
	b.end(1, 0, true)
	wantCode(t, write(2, guard), kafka.InvalidTxnState)
}

// A repeated marker appends nothing and yet voids a guard: it may be the marker of a transaction that wrote nothing here.
func TestRepeatedMarkerVoidsAGuard(t *testing.T) {
	b := newBench(t)
	b.end(1, 0, false)
	guard, _, _ := b.GuardTxn(1, 0, 0, false, 1)
	b.end(1, 0, false)
	_, err := b.AppendAsLeader(Append{Records: txnBatch(1, 0, 0, 1), Guard: guard}, b.now)
	wantCode(t, err, kafka.InvalidTxnState)
	if end := b.log().Bounds().End; end != 1 {
		t.Errorf("log end %d after two markers", end)
	}
}

// PAR-3, KIP-890: of several first batches that were seen the lowest sequence comes first; a producer of version 2 that is not known begins
// with 0, one of version 1 anywhere.
func TestFirstBatchOfATransactionIsTheLowest(t *testing.T) {
	b := newBench(t)
	write := func(pid kafka.ProducerID, epoch kafka.ProducerEpoch, first kafka.Sequence, guard TxnGuard) error {
		_, err := b.AppendAsLeader(Append{Records: txnBatch(pid, epoch, first, 1), Guard: guard}, b.now)
		return err
	}
	late, _, _ := b.GuardTxn(1, 0, 8, false, 1)
	early, _, _ := b.GuardTxn(1, 0, 7, false, 1)
	wantCode(t, write(1, 0, 8, late), kafka.OutOfOrderSequenceNumber)
	wantCode(t, write(1, 0, 7, early), kafka.None)
	wantCode(t, write(1, 0, 8, TxnGuard{}), kafka.None)
	g, _, _ := b.GuardTxn(2, 0, 3, true, 1)
	wantCode(t, write(2, 0, 3, g), kafka.OutOfOrderSequenceNumber)
	g, _, _ = b.GuardTxn(2, 1, 0, true, 1)
	wantCode(t, write(2, 1, 0, g), kafka.None)
}

// TXN-5, T7: older epochs neither write nor take a guard. T8: a newer one waits for the marker of the older's transaction.
func TestEpochsFenceTransactions(t *testing.T) {
	b := newBench(t)
	b.inTxn(1, 4, 0, 1)
	_, _, err := b.GuardTxn(1, 3, 0, true, 1)
	wantCode(t, err, kafka.InvalidProducerEpoch)
	_, _, err = b.GuardTxn(1, 5, 0, true, 1)
	wantCode(t, err, kafka.ConcurrentTransactions)
	_, err = b.AppendAsLeader(Append{Records: txnBatch(1, 5, 0, 1)}, b.now)
	wantCode(t, err, kafka.ConcurrentTransactions)
	_, err = b.AppendAsLeader(Append{Records: producerBatch(1, 4, 1, 1)}, b.now)
	wantCode(t, err, kafka.InvalidTxnState)
	// The marker of version 2 raises the epoch, and the next transaction has it from sequence 0 on.
	if err := b.AppendMarker(Marker{Producer: 1, Epoch: 5, Commit: true, Version: 2}, b.now); err != nil {
		t.Fatal(err)
	}
	_, err = b.AppendAsLeader(Append{Records: txnBatch(1, 4, 1, 1)}, b.now)
	wantCode(t, err, kafka.InvalidProducerEpoch)
	b.inTxn(1, 5, 0, 2)
	for _, late := range []kafka.ProducerEpoch{4, 5} {
		wantCode(t, b.AppendMarker(Marker{Producer: 1, Epoch: late, Version: 2}, b.now), kafka.InvalidProducerEpoch)
	}
	for range 2 {
		wantCode(t, b.AppendMarker(Marker{Producer: 1, Epoch: 6, Commit: true, Version: 2}, b.now), kafka.None)
	}
	states, err := b.Producers()
	if err != nil || len(states) != 1 || states[0] != (ProducerState{ID: 1, Epoch: 6, LastSequence: -1, LastTimestamp: kafka.Timestamp(b.now.UnixMilli()), TxnStart: -1}) {
		t.Errorf("%+v, %v", states, err)
	}
	// The last epoch there is ends with itself.
	b.inTxn(2, math.MaxInt16, 0, 1)
	wantCode(t, b.AppendMarker(Marker{Producer: 2, Epoch: math.MaxInt16, Version: 2}, b.now), kafka.None)
	wantCode(t, b.AppendMarker(Marker{Producer: -1, Epoch: 0}, b.now), kafka.InvalidRequest)
}

// A marker needs what acks=all needs, and a batch or marker that could not be appended leaves nothing behind.
func TestFailedAppendsLeaveTransactionsAlone(t *testing.T) {
	b := newBench(t)
	b.append(plainBatch(3))
	b.log().Full = storage.ErrFull
	guard, _, _ := b.GuardTxn(1, 0, 0, false, 1)
	_, err := b.AppendAsLeader(Append{Records: txnBatch(1, 0, 0, 1), Guard: guard}, b.now)
	wantCode(t, err, kafka.KafkaStorageError)
	b.log().Full = nil
	b.append(plainBatch(1))
	if lso := b.LastStable(); lso != 4 {
		t.Errorf("last stable offset %d after a transaction that did not begin", lso)
	}
	if _, err := b.AppendAsLeader(Append{Records: txnBatch(1, 0, 0, 1), Guard: guard}, b.now); err != nil {
		t.Errorf("the same batch again: %v", err)
	}
	b.log().Full = storage.ErrFull
	wantCode(t, b.AppendMarker(Marker{Producer: 1, Commit: true}, b.now), kafka.KafkaStorageError)
	b.log().Full = nil
	if lso := b.LastStable(); lso != 4 || !b.TxnOngoing(1, 0) {
		t.Errorf("last stable offset %d after a marker that failed", lso)
	}
	b.Configure(&Settings{MinISR: 2})
	b.SetRole(Role{IsLeader: true, Epoch: 6, ISR: alone, Replicas: three})
	wantCode(t, b.AppendMarker(Marker{Producer: 1, Commit: true}, b.now), kafka.NotEnoughReplicas)
	b.SetRole(Role{Epoch: 7})
	wantCode(t, b.AppendMarker(Marker{Producer: 1, Commit: true}, b.now), kafka.NotLeaderOrFollower)
	_, _, err = b.GuardTxn(1, 0, 0, false, 1)
	wantCode(t, err, kafka.NotLeaderOrFollower)
}

// PAR-5: who waits for a marker, or for its repeat, is told when it is committed; by then what it committed is stable (PAR-4).
func TestMarkersAreAcknowledgedWhenCommitted(t *testing.T) {
	b := newBench(t)
	b.engine.Hold = true
	b.inTxn(1, 0, 0, 2)
	first, repeat := NewAckWaiter(), NewAckWaiter()
	for _, w := range []*AckWaiter{first, repeat} {
		w.Start()
		if err := b.AppendMarker(Marker{Producer: 1, Commit: true, Waiter: w}, b.now); err != nil || w.Seal() {
			t.Fatal(err)
		}
	}
	b.log().Settle(2)
	if signalled(first.Done()) || b.LastStable() != 0 {
		t.Errorf("last stable offset %d before the marker is committed", b.LastStable())
	}
	b.log().Settle(3)
	if !signalled(first.Done()) || !signalled(repeat.Done()) || b.LastStable() != 3 {
		t.Errorf("last stable offset %d", b.LastStable())
	}
}

// PAR-4: of two transactions, the one that is committed holds back the other's records as long as it is not replicated, and the open one
// as long as it is open.
func TestStableEndsAtTheFirstUndecided(t *testing.T) {
	b := newBench(t)
	b.engine.Hold = true
	b.append(plainBatch(2))
	b.inTxn(1, 0, 0, 2) // 2-3
	b.inTxn(2, 0, 0, 2) // 4-5
	b.inTxn(3, 0, 0, 2) // 6-7
	b.end(2, 0, false)  // 8
	b.end(1, 0, true)   // 9
	for _, c := range []struct{ durable, stable kafka.Offset }{{1, 1}, {2, 2}, {8, 2}, {9, 2}, {10, 6}} {
		b.log().Settle(c.durable)
		if got := b.LastStable(); got != c.stable {
			t.Errorf("committed up to %d: last stable offset %d, want %d", c.durable, got, c.stable)
		}
	}
	if _, err := b.TrimTo(t.Context(), 7); err != nil {
		t.Fatal(err)
	}
	if got := b.LastStable(); got != 7 {
		t.Errorf("log start within an open transaction: last stable offset %d", got)
	}
	b.end(3, 0, true)
	b.log().Settle(11)
	if got := b.LastStable(); got != 11 {
		t.Errorf("last stable offset %d in the end", got)
	}
}

// Who waits for committed records is woken when they are stable, and by nothing before; who reads all of them by the high watermark.
func TestReadersOfCommittedRecordsWaitForStability(t *testing.T) {
	b := newBench(t)
	committed := func() Read {
		r, err := b.Read(ReadRequest{MaxBytes: 1 << 20, CurrentEpoch: kafka.NoEpoch, FetchedEpoch: kafka.NoEpoch, Replica: kafka.NoBroker, Isolation: ReadCommitted})
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	rc := committed()
	_, ru := b.read(0)
	wc, wu := NewFetchWaiter(), NewFetchWaiter()
	wc.Start(1, 1)
	wu.Start(1, 1)
	if !wc.Await(b.Partition, 0, &rc) || !wu.Await(b.Partition, 0, &ru) {
		t.Fatal("nothing to wait for")
	}
	b.inTxn(1, 0, 0, 2)
	if signalled(wc.Done()) || !signalled(wu.Done()) {
		t.Fatal("woken by an open transaction, or not woken by the high watermark")
	}
	b.append(plainBatch(5))
	if signalled(wc.Done()) {
		t.Fatal("woken by what lies behind an open transaction")
	}
	b.end(1, 0, true)
	if !signalled(wc.Done()) {
		t.Fatal("not woken by the marker")
	}
	if r := committed(); r.Records == nil || r.LastStable != 8 {
		t.Fatalf("%+v", r)
	}
	// Bytes count when they become stable: not enough, then enough.
	size := len(plainBatch(1))
	wc.Stop()
	rc = committed()
	wc.Start(3*size, 1)
	if !wc.Await(b.Partition, 8, &rc) {
		t.Fatal("nothing to wait for")
	}
	b.append(plainBatch(1))
	b.append(plainBatch(1))
	if signalled(wc.Done()) {
		t.Error("woken by too few bytes")
	}
	b.append(plainBatch(1))
	if !signalled(wc.Done()) {
		t.Error("not woken by enough bytes")
	}
	// What became stable between the read and Await counts.
	wc.Stop()
	rc = committed()
	b.inTxn(1, 0, 2, 1)
	wc.Start(1, 1)
	if !wc.Await(b.Partition, 11, &rc) {
		t.Error("does not wait although nothing became stable")
	}
	wc.Stop()
	b.end(1, 0, false)
	if wc.Start(1, 1); wc.Await(b.Partition, 11, &rc) {
		t.Error("waits although an aborted transaction became stable")
	}
	// A trim that cuts an open transaction away moves what is stable, too.
	b.inTxn(1, 0, 3, 4)
	rc = committed()
	if wc.Start(1, 1); !wc.Await(b.Partition, 13, &rc) {
		t.Fatal("nothing to wait for")
	}
	if _, err := b.TrimTo(t.Context(), 15); err != nil || !signalled(wc.Done()) {
		t.Errorf("not woken by a trim: %v", err)
	}
}

// Producers with an open transaction neither expire nor make room for others.
func TestOpenTransactionsAreNotForgotten(t *testing.T) {
	b := newBench(t)
	b.inTxn(1, 0, 0, 1)
	b.append(producerBatch(2, 0, 0, 1))
	b.producers.limit = 2
	b.append(producerBatch(3, 0, 0, 1)) // instead of 2
	b.now = b.now.Add(48 * time.Hour)
	if n := b.ExpireProducers(kafka.Timestamp(b.now.UnixMilli())); n != 1 {
		t.Errorf("%d expired", n)
	}
	states, _ := b.Producers()
	if len(states) != 1 || states[0].ID != 1 || states[0].TxnStart != 0 {
		t.Errorf("%+v", states)
	}
	b.end(1, 0, true)
	b.now = b.now.Add(48 * time.Hour)
	if n := b.ExpireProducers(kafka.Timestamp(b.now.UnixMilli())); n != 1 {
		t.Errorf("%d expired after the marker", n)
	}
}

// P6: so many transactions may be open, and so many guards be out; the guard that goes is the oldest.
func TestTransactionsAndGuardsAreBounded(t *testing.T) {
	table := newProducers()
	for i := range kafka.ProducerID(maxOpen) {
		table.add(&record.Header{ProducerID: i, Attributes: 0x10}, kafka.Offset(i), 0)
	}
	one := record.Header{ProducerID: maxOpen, Attributes: 0x10}
	wantCode(t, table.checkTxn(&one, TxnGuard{}, false), kafka.ConcurrentTransactions)
	table.end(&record.Header{ProducerID: 7}, record.EndTxnMarker{}, maxOpen, 0)
	wantCode(t, table.checkTxn(&one, TxnGuard{}, false), kafka.None)

	var g guards
	oldest := g.take(0, 0, 0, false, 0)
	for i := range kafka.ProducerID(3 * maxGuards) {
		g.take(1, 0, 0, false, 0)
		g.drop(1)
		if i >= maxGuards {
			g.take(i, 0, 0, false, 0)
		}
	}
	if len(g.byID) > maxGuards || len(g.order) > 2*maxGuards {
		t.Errorf("%d guards, %d in order", len(g.byID), len(g.order))
	}
	wantCode(t, g.check(&record.Header{ProducerID: 0}, oldest, true), kafka.InvalidTxnState)
	newest := g.take(3*maxGuards-1, 0, 0, false, 0)
	wantCode(t, g.check(&record.Header{ProducerID: 3*maxGuards - 1}, newest, true), kafka.None)
	g.expire(0)
	if len(g.byID) != 0 || g.order != nil {
		t.Errorf("%d guards left", len(g.byID))
	}
}

// Aborted transactions beyond the limit are found by reading the log: the same as those that are remembered.
func TestForgottenAbortedTransactionsAreReadAgain(t *testing.T) {
	dice := seeded(t)
	b := newBench(t)
	var seqs [4]kafka.Sequence
	for range 200 {
		pid := kafka.ProducerID(dice.IntN(4))
		if dice.IntN(3) > 0 {
			b.inTxn(pid, 0, seqs[pid], 2)
			seqs[pid] += 2
		} else {
			b.end(pid, 0, dice.IntN(3) == 0)
		}
	}
	all := b.producers.aborted
	end := b.log().Bounds().End
	for range 100 {
		from, bytes := kafka.Offset(dice.Int64N(int64(end))), 100+dice.IntN(3000)
		want := b.consume(from, ReadCommitted, bytes)
		known := kafka.Offset(dice.Int64N(int64(end)))
		b.producers.aborted = abortedTxns{entries: all.entries[all.from(known):], known: known}
		b.publishAbortedLocked()
		if got := b.consume(from, ReadCommitted, bytes); !slices.Equal(got, want) {
			t.Fatalf("from %d, known from %d: read %v, want %v", from, known, got, want)
		}
		b.producers.aborted = all
		b.publishAbortedLocked()
	}
	// The limit itself.
	var a abortedTxns
	for i := range kafka.Offset(maxAborted + 1) {
		a.add(abortedTxn{first: 2 * i, last: 2*i + 1, stable: 2*i + 2})
	}
	if len(a.entries) != maxAborted/2+1 || a.known != maxAborted || a.entries[0].last != maxAborted+1 {
		t.Errorf("%d entries known from %d", len(a.entries), a.known)
	}
}

// A snapshot of the version without transactions is read: its producers have none open, and no marker came for them.
func TestSnapshotWithoutTransactionsIsRead(t *testing.T) {
	b := binary.BigEndian.AppendUint64([]byte{producersPlain}, 42)
	b = binary.BigEndian.AppendUint32(b, 1)
	b = binary.BigEndian.AppendUint64(b, 7)
	b = binary.BigEndian.AppendUint16(b, 3)
	b = binary.BigEndian.AppendUint64(b, 1000)
	b = append(b, 1)
	b = binary.BigEndian.AppendUint64(b, 40)
	b = binary.BigEndian.AppendUint64(b, 999)
	b = binary.BigEndian.AppendUint32(b, 5)
	b = binary.BigEndian.AppendUint32(b, 1)
	table, offset, err := decodeProducers(b)
	if err != nil || offset != 42 {
		t.Fatal(offset, err)
	}
	want := []ProducerState{{ID: 7, Epoch: 3, LastSequence: 6, LastTimestamp: 999, Coordinator: -1, TxnStart: -1}}
	if got := table.list(); !reflect.DeepEqual(got, want) {
		t.Errorf("%+v", got)
	}
	again, _, err := decodeProducers(table.encode(offset))
	if err != nil || !reflect.DeepEqual(again.list(), want) || !bytes.Equal(again.encode(42), table.encode(42)) {
		t.Errorf("%+v, %v", again, err)
	}
}

// C4: retention stops before an open transaction.
func TestRetentionStopsAtAnOpenTransaction(t *testing.T) {
	b := newBench(t)
	s := *b.settings
	s.Log.SegmentAge, s.RetentionTime = time.Hour, 2*time.Hour
	b.Configure(&s)
	old := func(start kafka.Offset) {
		t.Helper()
		b.now = b.now.Add(100 * time.Hour)
		if err := b.Retain(t.Context(), b.now); err != nil || b.LogStart() != start {
			t.Errorf("log start %d, want %d: %v", b.LogStart(), start, err)
		}
	}
	b.append(plainBatch(2))
	b.now = b.now.Add(61 * time.Minute)
	b.inTxn(1, 0, 0, 2)
	old(2)
	old(2)
	b.end(1, 0, true)
	old(5)
}
