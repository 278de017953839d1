package route

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/rafka-io/rafka/internal/broker"
	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/seed"
)

// tail opens a Tail over the routed verbs.
func (w *world) tail(o broker.TailOptions) *broker.Tail {
	w.Helper()
	t, err := broker.OpenTail(w.Context(), w.Verbs, somebody, o)
	if err != nil {
		w.Fatal(err)
	}
	return t
}

func (w *world) mustPublish(topic string, partition int32, values ...string) {
	w.Helper()
	for _, v := range values {
		if _, err := w.publish(topic, partition, v); err != nil {
			w.Fatal(err)
		}
	}
}

func TestTailReadsPartitionsOfEveryBroker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.topic("t", 1, 3, 1, 2, 3, 2)
		var want []string
		for p := range int32(4) {
			for i := range 3 {
				v := fmt.Sprint(p, "/", i)
				w.mustPublish("t", p, v)
				want = append(want, v)
			}
		}
		tail := w.tail(broker.TailOptions{Topic: "t", From: broker.FromEarliest})
		defer tail.Close()
		begun := time.Now()
		var got []string
		for tail.Next(t.Context()) {
			for r := range tail.Records() {
				got = append(got, string(r.Value))
			}
		}
		slices.Sort(got)
		if slices.Sort(want); tail.Err() != nil || !slices.Equal(got, want) || time.Since(begun) > time.Second {
			t.Errorf("%v after %v: got %v, want %v", tail.Err(), time.Since(begun), got, want)
		}
	})
}

// RTE-3
func TestAnswerOfOneBrokerLeavesTheFetchesOfOthersAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.topic("t", 1, 3, 1, 2, 3)
		tail := w.tail(broker.TailOptions{Topic: "t", From: broker.FromLatest, Follow: true})
		defer tail.Close()
		w.take()
		records := make(chan string)
		ctx, cancel := context.WithCancel(t.Context())
		go func() {
			defer close(records)
			for tail.Next(ctx) {
				for r := range tail.Records() {
					records <- string(r.Value)
				}
			}
		}()
		synctest.Wait()
		if got := w.take(); len(got) != 2 {
			t.Errorf("asked %q", got)
		}
		for i := range 5 {
			w.mustPublish("t", 0, fmt.Sprint(i)) // here
			if got := <-records; got != fmt.Sprint(i) {
				t.Errorf("got %s", got)
			}
			synctest.Wait()
		}
		if got := w.take(); len(got) != 0 {
			t.Errorf("another broker's records made it ask %q", got)
		}
		w.mustPublish("t", 2, "x")
		if got := <-records; got != "x" {
			t.Errorf("got %s", got)
		}
		synctest.Wait()
		if got := w.take(); len(got) != 2 || got[1] != "3 Fetch v13" {
			t.Errorf("asked %q", got)
		}
		cancel()
		for range records {
		}
	})
}

// A Tail follows its partitions to other leaders, and misses nothing and repeats nothing.
func TestTailFollowsTheLeaders(t *testing.T) {
	seed := seed.Of(t)
	t.Logf("seed %d", seed)
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.topic("t", 1, 3, 1, 2, 3)
		rng := rand.New(rand.NewPCG(seed, 1))
		dice := make(chan int)
		go func() {
			rng := rand.New(rand.NewPCG(seed, 2))
			for {
				select {
				case dice <- rng.IntN(20):
				case <-t.Context().Done():
					return
				}
			}
		}()
		w.fault = func(to kafka.BrokerID, q kmsg.Request, served bool) error {
			if q.Key() == 1 && served && <-dice == 0 {
				return kafka.NetworkException
			}
			return nil
		}
		tail := w.tail(broker.TailOptions{Topic: "t", From: broker.FromEarliest, Follow: true})
		got := map[int32][]string{}
		all, n := make(chan struct{}), 0
		go func() {
			defer close(all)
			for n < 200 && tail.Next(t.Context()) {
				for r := range tail.Records() {
					got[r.Partition] = append(got[r.Partition], string(r.Value))
					n++
				}
			}
		}()
		want := map[int32][]string{}
		for i := range 200 {
			p := int32(rng.IntN(3))
			v := fmt.Sprint(i)
			w.mustPublish("t", p, v)
			want[p] = append(want[p], v)
			if rng.IntN(10) == 0 {
				w.lead("t", int32(rng.IntN(3)), kafka.BrokerID(1+rng.IntN(3)))
			}
			time.Sleep(time.Duration(rng.IntN(10)) * time.Millisecond)
		}
		<-all
		tail.Close()
		for p := range int32(3) {
			if !slices.Equal(got[p], want[p]) {
				t.Errorf("seed %d: partition %d: got\n%v\nwant\n%v (%v)", seed, p, got[p], want[p], tail.Err())
			}
		}
	})
}

// RTE-5: a broker that is gone is an error that passes; what others lead is read meanwhile.
func TestTailOverABrokerThatIsGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.topic("t", 1, 3, 1, 2, kafka.NoBroker)
		w.mustPublish("t", 0, "a")
		tail := w.tail(broker.TailOptions{Topic: "t", Partitions: []int32{0, 1}, From: 0, Follow: true})
		defer tail.Close()
		w.set(func() { w.down[2] = true })
		if !tail.Next(t.Context()) {
			t.Fatal(tail.Err())
		}
		for r := range tail.Records() {
			if string(r.Value) != "a" {
				t.Errorf("%s", r.Value)
			}
		}
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		if tail.Next(ctx) || ctx.Err() == nil {
			t.Error("something came, or it gave up")
		}
		if n := len(w.take()); n < 5 || n > 100 {
			t.Errorf("%d attempts in 20 s", n)
		}
		begun := time.Now()
		_, err := broker.OpenTail(t.Context(), w.Verbs, somebody, broker.TailOptions{Topic: "t", From: broker.FromLatest})
		if took := time.Since(begun); !kafka.CodeOf(err).Retriable() || took > listPatience {
			t.Errorf("%v after %v", err, took)
		}
	})
}

// Offsets are asked for where partitions are led, each of several times; while a leader moves they are asked for again.
func TestListOffsetsAsksTheLeaders(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.topic("t", 1, 3, 1, 2, kafka.NoBroker)
		w.mustPublish("t", 0, "a")
		w.mustPublish("t", 1, "a", "b")
		go func() {
			time.Sleep(time.Second)
			w.lead("t", 2, 3)
		}()
		var query []broker.ListOffsetsPartition
		for p := range int32(3) {
			for _, at := range []kafka.Offset{broker.FromEarliest, broker.FromLatest} {
				query = append(query, broker.ListOffsetsPartition{Topic: "t", Partition: p, LeaderEpoch: kafka.NoEpoch, Timestamp: int64(at)})
			}
		}
		query = append(query, broker.ListOffsetsPartition{Topic: "t", Partition: 0, Timestamp: int64(broker.FromLatest)})
		got := ""
		for _, r := range w.ListOffsets(t.Context(), somebody, kafka.NoBroker, broker.ReadUncommitted, query) {
			got += fmt.Sprintf("%d %v; ", r.Offset, kafka.CodeOf(r.Err))
		}
		if got != "0 NONE; 1 NONE; 0 NONE; 2 NONE; 0 NONE; 0 NONE; 1 NONE; " {
			t.Error(got)
		}
		w.set(func() { w.down[2] = true })
		none := broker.ListOffsetsPartition{Topic: "t", Partition: 9}
		results := w.ListOffsets(t.Context(), somebody, kafka.NoBroker, broker.ReadUncommitted, []broker.ListOffsetsPartition{query[2], query[0], query[3], none})
		for i, want := range []kafka.ErrorCode{kafka.NetworkException, kafka.None, kafka.NetworkException, kafka.UnknownTopicOrPartition} {
			if kafka.CodeOf(results[i].Err) != want {
				t.Errorf("%d: %v, want %v", i, results[i].Err, want)
			}
		}
	})
}
