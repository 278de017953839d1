package partition

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/storage"
)

// PAR-5: an append's waiter is told when all of it is committed, once, and not before.
func TestAckWaitsForDurability(t *testing.T) {
	b := newBench(t)
	b.engine.Hold = true
	w := NewAckWaiter()
	if b.appendFor(w, plainBatch(5)) || signalled(w.Done()) {
		t.Fatal("complete before it is durable")
	}
	b.log().Settle(4)
	if signalled(w.Done()) {
		t.Error("complete while a record is not durable")
	}
	b.log().Settle(5)
	if !signalled(w.Done()) || len(w.Failed()) != 0 {
		t.Error("not complete when durable")
	}
	b.log().Settle(6)
	if signalled(w.Done()) {
		t.Error("complete twice")
	}
}

// PAR-3: a repeat of a batch that is not yet durable must not be acknowledged before that batch is.
func TestRepeatWaitsForTheOriginal(t *testing.T) {
	b := newBench(t)
	b.engine.Hold = true
	first, repeat, late := NewAckWaiter(), NewAckWaiter(), NewAckWaiter()
	b.appendFor(first, producerBatch(1, 0, 0, 3))
	b.append(producerBatch(1, 0, 3, 3))
	if b.appendFor(repeat, producerBatch(1, 0, 0, 3)) {
		t.Fatal("a repeat was acknowledged before its original")
	}
	if got := b.log().Bounds().End; got != 6 {
		t.Fatalf("the repeat was appended: log end %d", got)
	}
	b.log().Settle(3)
	if !signalled(first.Done()) || !signalled(repeat.Done()) {
		t.Error("original or repeat not complete")
	}
	if !b.appendFor(late, producerBatch(1, 0, 0, 3)) {
		t.Error("a repeat of a durable batch waits")
	}
}

// PAR-5: who waits is told when the replica no longer leads, or is gone, or its log failed, and what comes later is refused.
func TestWaitersAreToldTheirWaitIsInVain(t *testing.T) {
	for name, c := range map[string]struct {
		end  func(*bench)
		code kafka.ErrorCode
	}{
		"another leads": {func(b *bench) { b.SetRole(Role{Epoch: 6}) }, kafka.NotLeaderOrFollower},
		"a new epoch":   {func(b *bench) { b.SetRole(Role{IsLeader: true, Epoch: 6, ISR: alone}) }, kafka.NotLeaderOrFollower},
		"deleted":       {func(b *bench) { _ = b.Delete() }, kafka.UnknownTopicOrPartition},
		"closed":        {func(b *bench) { b.log().SetDurable(99); _ = b.Close(context.Background()) }, kafka.NotLeaderOrFollower},
		"log failed":    {func(b *bench) { b.log().Fail(storage.ErrOffline) }, kafka.KafkaStorageError},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t)
			b.engine.Hold = true
			w, f := NewAckWaiter(), NewFetchWaiter()
			b.appendFor(w, plainBatch(1))
			_, r := b.read(0)
			f.Start(1, 1)
			if !f.Await(b.Partition, 0, &r) {
				t.Fatal("nothing to wait for")
			}
			c.end(b)
			if !signalled(w.Done()) || len(w.Failed()) != 1 {
				t.Fatal("the producer was not told")
			}
			wantCode(t, w.Failed()[0].Err, c.code)
			if !signalled(f.Done()) {
				t.Error("the consumer was not told")
			}
			if f.Await(b.Partition, 0, &r) {
				t.Error("a consumer waits on what it read before")
			}
			if name == "a new epoch" {
				return
			}
			_, err := b.AppendAsLeader(Append{Records: plainBatch(1)}, b.now)
			wantCode(t, err, c.code)
			_, err = b.Read(ReadRequest{CurrentEpoch: kafka.NoEpoch, FetchedEpoch: kafka.NoEpoch, Replica: kafka.NoBroker})
			wantCode(t, err, c.code)
		})
	}
}

// A role that changes in nothing that matters to an append disturbs nobody.
func TestSmallerISRDoesNotDisturbWaiters(t *testing.T) {
	b := newBench(t)
	b.engine.Hold = true
	w := NewAckWaiter()
	b.appendFor(w, plainBatch(1))
	b.SetRole(Role{IsLeader: true, Epoch: 5, ISR: alone})
	b.log().Settle(1)
	if !signalled(w.Done()) || len(w.Failed()) != 0 {
		t.Error("the append failed")
	}
}

// PAR-5: a request that gives up takes its waiter back from every partition, whatever completes at the same time.
func TestGivingUpRacesWithCompletion(t *testing.T) {
	dice := seeded(t)
	b := newBench(t)
	b.engine.Hold = true
	w := NewAckWaiter()
	for round := range 2000 {
		w.Start()
		n := 1 + dice.IntN(4)
		for slot := range n {
			if _, err := b.AppendAsLeader(Append{Records: plainBatch(1), Waiter: w, Slot: int32(slot)}, b.now); err != nil {
				t.Fatal(err)
			}
		}
		if w.Seal() {
			t.Fatal("complete at once")
		}
		end := b.log().Bounds().End
		settled := end - kafka.Offset(dice.IntN(n+1))
		var other sync.WaitGroup
		other.Go(func() { b.log().Settle(settled) })
		late := b.Forget(w, nil)
		if len(late) == 0 || !w.Drop(len(late)) {
			<-w.Done()
		}
		other.Wait()
		if signalled(w.Done()) {
			t.Fatalf("round %d: signalled twice", round)
		}
		b.log().Settle(end)
		if signalled(w.Done()) {
			t.Fatalf("round %d: signalled after it was forgotten", round)
		}
	}
}

// A fetch that waits for some bytes is woken by that many, from any of its partitions, and by nothing at or below where it reads.
func TestFetchWaitsForEnoughBytes(t *testing.T) {
	b, c := newBench(t), newBench(t)
	size := len(plainBatch(1))
	_, rb := b.read(0)
	_, rc := c.read(0)
	w := NewFetchWaiter()
	w.Start(3*size, 2)
	if !w.Await(b.Partition, 0, &rb) || !w.Await(c.Partition, 0, &rc) {
		t.Fatal("nothing to wait for")
	}
	b.append(plainBatch(1))
	c.append(plainBatch(1))
	if signalled(w.Done()) {
		t.Error("woken too early")
	}
	b.append(plainBatch(1))
	if !signalled(w.Done()) {
		t.Error("not woken")
	}
	w.Stop()
	b.append(plainBatch(1))
	c.append(plainBatch(1))
	if signalled(w.Done()) {
		t.Error("woken after Stop")
	}
	// What came between the read and Await counts.
	w.Start(2*size, 1)
	if w.Await(b.Partition, 0, &rb) {
		t.Error("waits although enough has come")
	}
	w.Stop()
	_, rb = b.read(0)
	w.Start(2*size, 1)
	b.append(plainBatch(1))
	if !w.Await(b.Partition, 0, &rb) || signalled(w.Done()) {
		t.Error("half of it was enough")
	}
	b.append(plainBatch(1))
	if !signalled(w.Done()) {
		t.Error("not woken by the other half")
	}
	w.Stop()
}

// PAR-6: an append that waits for the engine to make room holds up neither the acknowledgement of what is durable nor readers.
func TestBackPressureHoldsUpOnlyWriters(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.engine.Hold = true
		w, blocked := NewAckWaiter(), NewAckWaiter()
		b.appendFor(w, plainBatch(1))
		room := make(chan struct{})
		b.log().Block = room
		go func() {
			blocked.Start()
			if _, err := b.AppendAsLeader(Append{Records: plainBatch(1), Waiter: blocked}, b.now); err != nil {
				t.Error(err)
			}
			blocked.Seal()
		}()
		synctest.Wait()
		b.log().Settle(1)
		if !signalled(w.Done()) {
			t.Error("the earlier append was not acknowledged")
		}
		if bases, _ := b.read(0); len(bases) != 1 {
			t.Error("nothing read")
		}
		close(room)
		synctest.Wait()
		b.log().Settle(2)
		if !signalled(blocked.Done()) {
			t.Error("the append that had to wait was not acknowledged")
		}
	})
}

// Many producers, a committer and consumers at once: every append is acknowledged after it is durable, every record read once. (-race)
func TestConcurrentAppendsAndFetches(t *testing.T) {
	b := newBench(t)
	b.engine.Hold = true
	const producers, each = 4, 200
	log := b.log()
	stop := make(chan struct{})
	var committer, all sync.WaitGroup
	committer.Go(func() {
		for {
			log.Settle(log.Bounds().End)
			select {
			case <-stop:
				return
			default:
			}
		}
	})
	for p := range producers {
		all.Go(func() {
			w := NewAckWaiter()
			for i := range each {
				w.Start()
				done, err := b.AppendAsLeader(Append{Records: producerBatch(kafka.ProducerID(p), 0, kafka.Sequence(i), 1), Waiter: w}, b.now)
				if err != nil {
					t.Error(err)
					return
				}
				if !w.Seal() {
					<-w.Done()
				}
				if b.HighWatermark() <= done.Base {
					t.Errorf("acknowledged %d at high watermark %d", done.Base, b.HighWatermark())
				}
			}
		})
	}
	for range 3 {
		all.Go(func() {
			w := NewFetchWaiter()
			for at := kafka.Offset(0); at < producers*each; {
				r, err := b.Read(ReadRequest{From: at, MaxBytes: 1 << 20, CurrentEpoch: kafka.NoEpoch, FetchedEpoch: kafka.NoEpoch, Replica: kafka.NoBroker})
				if err != nil {
					t.Error(err)
					return
				}
				if r.Records == nil {
					w.Start(1, 1)
					if w.Await(b.Partition, at, &r) {
						<-w.Done()
					}
					w.Stop()
					continue
				}
				all, _ := r.Records.Bytes()
				for h := range all.All() {
					if h.BaseOffset != at {
						t.Errorf("read %d, want %d", h.BaseOffset, at)
					}
					at = h.NextOffset()
				}
			}
		})
	}
	all.Wait()
	close(stop)
	committer.Wait()
	if got := b.Stats().MessagesIn.Load(); got != producers*each {
		t.Errorf("%d messages counted", got)
	}
}

// REP-3, the partition's part: once its log has failed, nothing is acknowledged any more.
func TestNothingIsAcknowledgedAfterFailure(t *testing.T) {
	b := newBench(t)
	b.engine.Hold = true
	b.append(plainBatch(1))
	b.log().Fail(errors.New("input/output error"))
	w := NewAckWaiter()
	w.Start()
	_, err := b.AppendAsLeader(Append{Records: plainBatch(1), Waiter: w}, b.now)
	wantCode(t, err, kafka.KafkaStorageError)
	if !w.Seal() {
		t.Error("a refused append is waited for")
	}
	if b.Partition.Failed() == nil {
		t.Error("not failed")
	}
}

// The queue keeps the order of offsets whatever comes late, and its memory follows what waits.
func TestAckQueueAgainstSortedList(t *testing.T) {
	dice := seeded(t)
	var q ackQueue
	var want []kafka.Offset
	next, hw := kafka.Offset(0), kafka.Offset(0)
	for range 20_000 {
		if dice.IntN(3) > 0 {
			next++
			at := next
			if dice.IntN(10) == 0 && next > hw+1 { // a repeat of a batch that still waits
				at = hw + 1 + kafka.Offset(dice.Int64N(int64(next-hw)))
			}
			q.push(ackEntry{next: at})
			want = append(want, at)
			slices.Sort(want)
		}
		if dice.IntN(20) == 0 {
			hw += kafka.Offset(dice.Int64N(int64(next-hw) + 1))
			var dst [5]ackEntry
			for {
				n, _ := q.pop(hw, dst[:])
				for i := range n {
					if dst[i].next != want[i] {
						t.Fatalf("popped %d, want %d", dst[i].next, want[i])
					}
				}
				want = want[n:]
				if n == 0 {
					break
				}
			}
			if len(want) > 0 && want[0] <= hw {
				t.Fatalf("%d is left at high watermark %d", want[0], hw)
			}
		}
	}
	if q.pop(next, make([]ackEntry, len(want))); len(q.entries) != 0 || cap(q.entries) > keptEntries {
		t.Errorf("%d entries left, room for %d", len(q.entries), cap(q.entries))
	}
}
