package txnmarker

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rafka-io/rafka/internal/coordinator"
	"github.com/rafka-io/rafka/internal/coordinator/txn"
	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/leaktest"
	"github.com/rafka-io/rafka/internal/metadata"
	"github.com/rafka-io/rafka/internal/seed"
)

func TestMain(m *testing.M) { leaktest.Main(m) }

// world is a Sender between a fake coordinator and fake brokers 1 and 2. Topic t has partitions 0 to 3 on broker 1, 4 to 7 on broker 2.
type world struct {
	*testing.T
	*Sender

	mu       sync.Mutex
	img      atomic.Pointer[metadata.Image]
	gone     map[int32]bool // partitions of __transaction_state that are led elsewhere
	told     []Written
	tellErr  []error // answers of MarkersWritten, used up one by one; then nil
	tellings int

	written map[kafka.TopicPartition][]kafka.ProducerID
	fail    func(broker kafka.BrokerID, tp kafka.TopicPartition) error
	takes   time.Duration
	batches int
	largest int // markers in one batch
	writing int
	most    int // batches at one time
}

func newWorld(t *testing.T) *world {
	w := &world{T: t, gone: map[int32]bool{}, written: map[kafka.TopicPartition][]kafka.ProducerID{}}
	on := func(id kafka.BrokerID) metadata.PartitionRun {
		return metadata.PartitionRun{Count: 4, Partition: metadata.Partition{Replicas: []kafka.BrokerID{id}, ISR: []kafka.BrokerID{id}, Leader: id}}
	}
	img, _, err := metadata.Fold(metadata.Empty(), []metadata.Record{
		&metadata.TopicRecord{ID: kafka.UUID{1}, Name: "t", Partitions: []metadata.PartitionRun{on(1), on(2)}},
	})
	if err != nil {
		t.Fatal(err)
	}
	w.img.Store(img)
	w.Sender = New(Options{
		Coordinator: w, Image: w.img.Load, Logger: slog.New(slog.NewTextHandler(io.Discard, nil)),
		Writer: func(id kafka.BrokerID) Writer { return &fakeBroker{w, id} },
	})
	w.Start()
	return w
}

func (w *world) MarkersWritten(_ context.Context, partition int32, done []Written) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.tellings++
	if len(w.tellErr) > 0 {
		err := w.tellErr[0]
		w.tellErr = w.tellErr[1:]
		return err
	}
	w.told = append(w.told, done...)
	return nil
}

func (w *world) Coordinates(partition int32) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return !w.gone[partition]
}

// ids are the transactions that the coordinator was told of.
func (w *world) ids() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	ids := map[string]bool{}
	for _, d := range w.told {
		ids[d.ID] = true
	}
	return slices.Sorted(maps.Keys(ids))
}

// set changes the world under its lock; what is read after synctest.Wait goes through it too.
func (w *world) set(change func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	change()
}

func (w *world) decide(id string, producer kafka.ProducerID, partitions ...int32) {
	m := txn.SendMarkers{ID: id, Producer: coordinator.Producer{ID: producer, Epoch: 1}, Commit: true, CoordinatorEpoch: 3}
	for _, n := range partitions {
		m.Partitions = append(m.Partitions, kafka.TopicPartition{Topic: "t", Partition: n})
	}
	w.OnEffect(int32(producer%3), m)
}

type fakeBroker struct {
	w  *world
	id kafka.BrokerID
}

func (b *fakeBroker) Write(ctx context.Context, markers []Marker) [][]error {
	w := b.w
	w.mu.Lock()
	w.batches++
	w.writing++
	w.largest = max(w.largest, len(markers))
	w.most = max(w.most, w.writing)
	takes := w.takes
	w.mu.Unlock()
	if takes > 0 {
		select {
		case <-time.After(takes):
		case <-ctx.Done():
		}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.writing--
	results := make([][]error, len(markers))
	for i, m := range markers {
		for _, tp := range m.Partitions {
			var err error
			if w.fail != nil {
				err = w.fail(b.id, tp)
			}
			if err == nil {
				w.written[tp] = append(w.written[tp], m.Producer.ID)
			}
			results[i] = append(results[i], err)
		}
	}
	return results
}

// run plays a test on a fake clock; the Sender is closed at its end.
func run(t *testing.T, fn func(w *world)) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		defer w.Close()
		fn(w)
	})
}

// TXN-4
func TestTransactionIsReportedWhenAllBrokersHaveItsMarkers(t *testing.T) {
	run(t, func(w *world) {
		w.fail = func(broker kafka.BrokerID, _ kafka.TopicPartition) error {
			if broker == 2 {
				return kafka.NotEnoughReplicas
			}
			return nil
		}
		w.decide("a", 10, 0, 1, 5)
		w.decide("b", 11, 2)
		synctest.Wait()
		if got := w.ids(); !slices.Equal(got, []string{"b"}) {
			t.Fatalf("reported %v while a marker of a is missing", got)
		}
		w.set(func() { w.fail = nil })
		time.Sleep(maxDelay)
		synctest.Wait()
		if got := w.ids(); !slices.Equal(got, []string{"a", "b"}) {
			t.Fatalf("reported %v", got)
		}
		w.set(func() {
			if n := len(w.written[kafka.TopicPartition{Topic: "t", Partition: 0}]); n != 1 {
				t.Errorf("a marker that was written is written %d times", n)
			}
		})
		if s := w.Stats(); s.Pending != 0 || s.Retries == 0 {
			t.Errorf("%+v", s)
		}
	})
}

func TestPartitionsThatAreGoneNeedNoMarker(t *testing.T) {
	run(t, func(w *world) {
		w.decide("some", 1, 0, 99)
		w.decide("all", 2, 99)
		w.OnEffect(0, txn.SendMarkers{ID: "topic", Producer: coordinator.Producer{ID: 3}, Partitions: []kafka.TopicPartition{{Topic: "no", Partition: 0}}})
		synctest.Wait()
		if got := w.ids(); !slices.Equal(got, []string{"all", "some", "topic"}) {
			t.Errorf("reported %v", got)
		}
	})
}

func TestUnknownToTheBrokerIsTriedAgainWhileTheTopicExists(t *testing.T) {
	run(t, func(w *world) {
		w.fail = func(kafka.BrokerID, kafka.TopicPartition) error { return kafka.UnknownTopicOrPartition }
		w.decide("a", 1, 0)
		synctest.Wait()
		if got := w.ids(); len(got) > 0 {
			t.Fatalf("reported %v: the broker has not heard of the topic yet", got)
		}
		w.img.Store(metadata.Empty())
		time.Sleep(maxDelay)
		synctest.Wait()
		if got := w.ids(); !slices.Equal(got, []string{"a"}) {
			t.Errorf("reported %v after the topic was removed", got)
		}
	})
}

func TestReportThatFailsIsRepeatedUntilItIsTakenOrElsewhere(t *testing.T) {
	run(t, func(w *world) {
		w.tellErr = []error{kafka.CoordinatorNotAvailable, kafka.CoordinatorNotAvailable}
		w.decide("a", 1, 0)
		time.Sleep(time.Second)
		synctest.Wait()
		if got := w.ids(); !slices.Equal(got, []string{"a"}) {
			t.Errorf("reported %v", got)
		}
		w.set(func() {
			if w.tellings != 3 {
				t.Errorf("in %d attempts", w.tellings)
			}
			w.tellErr = []error{kafka.NotCoordinator}
		})
		w.decide("b", 2, 0)
		time.Sleep(time.Minute)
		synctest.Wait()
		if got := w.ids(); !slices.Equal(got, []string{"a"}) || w.Stats().Pending != 0 {
			t.Errorf("reported %v, %+v: another coordinator has b", got, w.Stats())
		}
	})
}

func TestRetriesEndWhenThisNodeCoordinatesNoMore(t *testing.T) {
	run(t, func(w *world) {
		w.fail = func(kafka.BrokerID, kafka.TopicPartition) error { return kafka.NotLeaderOrFollower }
		w.decide("a", 1, 0)
		time.Sleep(10 * time.Second)
		before := 0
		w.set(func() { w.gone[1], before = true, w.batches })
		time.Sleep(time.Minute)
		synctest.Wait()
		w.set(func() {
			if w.batches > before+1 {
				t.Errorf("%d batches since", w.batches-before)
			}
		})
		if w.Stats().Pending != 0 {
			t.Errorf("%+v", w.Stats())
		}
	})
}

func TestRetriesBecomeRare(t *testing.T) {
	run(t, func(w *world) {
		w.fail = func(kafka.BrokerID, kafka.TopicPartition) error { return kafka.KafkaStorageError }
		w.decide("a", 1, 0)
		time.Sleep(10 * time.Minute)
		synctest.Wait()
		w.set(func() {
			if least, most := int(10*time.Minute/maxDelay), int(10*time.Minute/maxDelay)+10; w.batches < least || w.batches > most {
				t.Errorf("%d batches in ten minutes, want %d to %d", w.batches, least, most)
			}
		})
	})
}

func TestFencedCoordinatorLeavesTheTransaction(t *testing.T) {
	run(t, func(w *world) {
		w.fail = func(_ kafka.BrokerID, tp kafka.TopicPartition) error {
			if tp.Partition == 0 {
				return kafka.Errorf(kafka.TransactionCoordinatorFenced, "epoch 4 has taken over")
			}
			return nil
		}
		w.decide("a", 1, 0, 1, 4)
		time.Sleep(time.Minute)
		synctest.Wait()
		if got := w.ids(); len(got) > 0 || w.Stats().Pending != 0 {
			t.Errorf("reported %v, %+v", got, w.Stats())
		}
	})
}

func TestMarkerOfAnEpochThatHasPassedCountsAsWritten(t *testing.T) {
	run(t, func(w *world) {
		w.fail = func(kafka.BrokerID, kafka.TopicPartition) error { return kafka.InvalidProducerEpoch }
		w.decide("a", 1, 0)
		synctest.Wait()
		if got := w.ids(); !slices.Equal(got, []string{"a"}) {
			t.Errorf("reported %v", got)
		}
	})
}

func TestSlowBatchesDoNotHoldUpOthersAndTheRestGoTogether(t *testing.T) {
	run(t, func(w *world) {
		w.takes = time.Second
		for i := range 500 {
			w.decide(fmt.Sprint(i), kafka.ProducerID(i), 0)
			synctest.Wait()
		}
		w.set(func() {
			if w.most != maxBatches {
				t.Errorf("%d batches at one time, want %d", w.most, maxBatches)
			}
		})
		time.Sleep(2*time.Second + time.Millisecond)
		synctest.Wait()
		if got := w.ids(); len(got) != 500 {
			t.Errorf("%d reported", len(got))
		}
		w.set(func() {
			if w.batches != maxBatches+1 || w.largest != 500-maxBatches {
				t.Errorf("%d batches, the largest of %d: what waits goes in one batch", w.batches, w.largest)
			}
			w.takes = time.Hour
		})
		w.decide("slow", 7, 0) // on broker 1
		synctest.Wait()
		w.set(func() { w.takes = 0 })
		w.decide("quick", 8, 4)
		synctest.Wait()
		if got := w.ids(); !slices.Contains(got, "quick") || slices.Contains(got, "slow") {
			t.Error("a slow broker holds up another")
		}
	})
}

func TestSameDecisionTwiceIsOneJob(t *testing.T) {
	run(t, func(w *world) {
		w.takes = time.Second
		for range 10 {
			w.decide("a", 1, 0)
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		w.set(func() {
			if w.batches != 1 {
				t.Errorf("%d batches", w.batches)
			}
		})
	})
}

// TestRandom: TXN-4 over brokers and a coordinator that fail at random, and are well again in the end.
func TestRandom(t *testing.T) {
	seed := seed.Of(t)
	t.Logf("seed %d", seed)
	run(t, func(w *world) {
		rng, illness := rand.New(rand.NewPCG(seed, 1)), rand.New(rand.NewPCG(seed, 2)) // illness is used under the world's lock
		ill := true
		w.takes = time.Millisecond
		w.fail = func(kafka.BrokerID, kafka.TopicPartition) error {
			if ill && illness.IntN(3) == 0 {
				return kafka.NotLeaderOrFollower
			}
			return nil
		}
		want := map[string][]int32{}
		for i := range 300 {
			id := fmt.Sprint(i)
			for n := range int32(8) {
				if rng.IntN(3) == 0 {
					want[id] = append(want[id], n)
				}
			}
			w.mu.Lock()
			if rng.IntN(5) == 0 {
				w.tellErr = append(w.tellErr, kafka.CoordinatorNotAvailable)
			}
			w.mu.Unlock()
			w.decide(id, kafka.ProducerID(i), want[id]...)
			time.Sleep(time.Duration(rng.IntN(1000)) * time.Microsecond)
			w.mu.Lock()
			for _, d := range w.told {
				for _, n := range want[d.ID] {
					if !slices.Contains(w.written[kafka.TopicPartition{Topic: "t", Partition: n}], d.Producer.ID) {
						t.Fatalf("seed %d: %s is reported without its marker in partition %d", seed, d.ID, n)
					}
				}
			}
			w.mu.Unlock()
		}
		w.set(func() { ill = false })
		time.Sleep(time.Minute)
		synctest.Wait()
		if got := w.ids(); len(got) != 300 || w.Stats().Pending != 0 {
			t.Errorf("seed %d: %d of 300 reported, %+v", seed, len(got), w.Stats())
		}
	})
}
