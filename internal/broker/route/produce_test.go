package route

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/rafka-io/rafka/internal/broker"
	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/record"
	"github.com/rafka-io/rafka/internal/seed"
)

func message1(topic string, partition int32, value string) *broker.Message {
	return &broker.Message{Topic: topic, Partition: partition, Records: []record.Record{{Value: []byte(value), Timestamp: kafka.NoTimestamp}}}
}

func (w *world) publish(topic string, partition int32, value string) (broker.Published, error) {
	return broker.NewPublisher(w.Verbs, nil).Publish(w.Context(), somebody, message1(topic, partition, value))
}

// RTE-2
func TestPartitionsOfThisBrokerAloneTakeNoRoute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.topic("alone", 1, 1, 1, 2)
		w.topic("replicated", 2, 3, 1)
		for i, want := range []kafka.Offset{0, 1} {
			if got, err := w.publish("alone", 0, fmt.Sprint(i)); err != nil || got.Offset != want {
				t.Errorf("%+v %v", got, err)
			}
		}
		if w.direct != 2 || w.producers != 0 {
			t.Errorf("%d went straight, %d producers", w.direct, w.producers)
		}
		for _, to := range []struct {
			topic     string
			partition int32
		}{{"alone", 1}, {"replicated", 0}} {
			if got, err := w.publish(to.topic, to.partition, "x"); err != nil || got.Offset != 0 || got.Partition != to.partition {
				t.Errorf("%+v %v", got, err)
			}
		}
		if asked := w.take(); w.direct != 2 || w.producers != 2 || len(asked) != 1 || asked[0] != "2 Produce v12" {
			t.Errorf("%d went straight, %d producers, asked %q", w.direct, w.producers, asked)
		}
		if _, err := w.publish("alone", 7, "x"); kafka.CodeOf(err) != kafka.UnknownTopicOrPartition {
			t.Error(err)
		}
	})
}

// RTE-1: whatever happens to leaders and answers, what is answered is stored once, and in order.
func TestPublishedMessagesAreStoredOnceAndInOrder(t *testing.T) {
	seed := seed.Of(t)
	t.Logf("seed %d", seed)
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.topic("t", 1, 3, 1, 2, 3)
		rng, dice := rand.New(rand.NewPCG(seed, 1)), rand.New(rand.NewPCG(seed, 2))
		var diceMu sync.Mutex
		roll := func(n int) int {
			diceMu.Lock()
			defer diceMu.Unlock()
			return dice.IntN(n)
		}
		w.fault = func(to kafka.BrokerID, _ kmsg.Request, served bool) error {
			time.Sleep(time.Duration(roll(3)) * time.Millisecond)
			switch roll(10) {
			case 0:
				return kafka.Errorf(kafka.NetworkException, "lost, served=%v", served)
			case 1:
				if !served {
					return kafka.Errorf(kafka.BrokerNotAvailable, "not connected")
				}
			}
			return nil
		}
		p := broker.NewPublisher(w.Verbs, nil)
		want := map[int32][]string{}
		var waits []func()
		for i := range 500 {
			to := int32(rng.IntN(3))
			value := fmt.Sprint(i)
			want[to] = append(want[to], value)
			n := kafka.Offset(len(want[to]) - 1)
			s, err := p.Start(t.Context(), somebody, message1("t", to, value))
			if err != nil {
				t.Fatal(err)
			}
			waits = append(waits, func() {
				if got, err := s.Wait(t.Context()); err != nil || got.Offset != n || got.Partition != to {
					t.Errorf("seed %d: message %s: %+v %v, want offset %d", seed, value, got, err, n)
				}
			})
			if rng.IntN(10) == 0 {
				w.lead("t", int32(rng.IntN(3)), kafka.BrokerID(rng.IntN(4)-1+rng.IntN(2))) // at times nobody
			}
			if rng.IntN(3) == 0 {
				time.Sleep(time.Duration(rng.IntN(2000)) * time.Microsecond)
			}
		}
		for i := range int32(3) {
			w.lead("t", i, kafka.BrokerID(1+rng.IntN(3)))
		}
		for _, wait := range waits {
			wait()
		}
		for i := range int32(3) {
			if got := w.contents(kafka.TopicPartition{Topic: "t", Partition: i}); !slices.Equal(got, want[i]) {
				t.Errorf("seed %d: partition %d has\n%v\nwant\n%v", seed, i, got, want[i])
			}
		}
	})
}

// What comes while a batch is on its way goes together; one message that is refused takes no other with it.
func TestMessagesGoTogetherAndAreRefusedAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.topic("t", 1, 3, 2)
		w.maxBatch = 600
		gate := make(chan struct{})
		w.fault = func(kafka.BrokerID, kmsg.Request, bool) error { <-gate; return nil }
		p := broker.NewPublisher(w.Verbs, nil)
		var started []broker.Publishing
		for i := range 5 {
			value := fmt.Sprint(i)
			if i == 3 {
				value = strings.Repeat("x", 1000)
			}
			s, err := p.Start(t.Context(), somebody, message1("t", 0, value))
			if err != nil {
				t.Fatal(err)
			}
			started = append(started, s)
			synctest.Wait()
		}
		close(gate)
		for i, s := range started {
			got, err := s.Wait(t.Context())
			switch {
			case i == 3 && kafka.CodeOf(err) != kafka.MessageTooLarge:
				t.Errorf("the large one: %v", err)
			case i != 3 && err != nil:
				t.Errorf("%d: %v", i, err)
			case i == 4 && got.Offset != 3:
				t.Errorf("the last one has offset %d", got.Offset)
			}
		}
		// The first alone, the others together, which is refused, then each alone.
		if got := w.take(); len(got) != 6 {
			t.Errorf("asked %q", got)
		}
	})
}

// RTE-5: a broker that cannot be reached is tried again for a while.
func TestPublishingToALeaderThatIsGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.topic("t", 1, 3, 2, kafka.NoBroker, 2)
		w.down[2] = true
		begun := time.Now()
		if _, err := w.publish("t", 0, "x"); kafka.CodeOf(err) != kafka.BrokerNotAvailable || time.Since(begun) > publishPatience {
			t.Errorf("%v after %v", err, time.Since(begun))
		}
		if _, err := w.publish("t", 1, "x"); kafka.CodeOf(err) != kafka.LeaderNotAvailable {
			t.Error(err)
		}
		w.set(func() {
			w.down[2] = false
			w.fault = func(_ kafka.BrokerID, _ kmsg.Request, served bool) error {
				if served {
					return kafka.NetworkException
				}
				return nil
			}
		})
		if _, err := w.publish("t", 2, "x"); kafka.CodeOf(err) != kafka.NetworkException || !strings.Contains(err.Error(), "may be stored") {
			t.Error(err)
		}
		w.set(func() { w.fault = nil })
		if got, err := w.publish("t", 2, "y"); err != nil || got.Offset != 1 {
			t.Errorf("%+v %v", got, err)
		}
		if got := w.contents(kafka.TopicPartition{Topic: "t", Partition: 2}); !slices.Equal(got, []string{"x", "y"}) {
			t.Error(got)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		w.set(func() { w.down[2] = true })
		if _, err := broker.NewPublisher(w.Verbs, nil).Publish(ctx, somebody, message1("t", 0, "z")); kafka.CodeOf(err) != kafka.RequestTimedOut || !errors.Is(err, context.DeadlineExceeded) {
			t.Error(err)
		}
	})
}

// A partition that has forgotten a producer gets the records of a new one.
func TestForgottenProducers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.topic("t", 1, 3, 2)
		for i := range 2 {
			if _, err := w.publish("t", 0, fmt.Sprint(i)); err != nil {
				t.Fatal(err)
			}
		}
		w.set(func() { clear(w.logs[kafka.TopicPartition{Topic: "t"}].known) })
		if got, err := w.publish("t", 0, "2"); err != nil || got.Offset != 2 || w.producers != 2 {
			t.Errorf("%+v %v, %d producers", got, err, w.producers)
		}
	})
}

// P6: what waits to be stored is bounded; at the limit Produce waits, no longer than the message's time.
func TestWhatWaitsIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.topic("t", 1, 3, 2)
		w.maxBatch = 8 << 20
		gate := make(chan struct{})
		w.fault = func(kafka.BrokerID, kmsg.Request, bool) error { <-gate; return nil }
		p := broker.NewPublisher(w.Verbs, nil)
		large := strings.Repeat("x", 1<<20)
		done := make(chan error, 20)
		start := func() {
			s, err := p.Start(t.Context(), somebody, message1("t", 0, large))
			if err == nil {
				_, err = s.Wait(t.Context())
			}
			done <- err
		}
		for range 10 {
			go start()
		}
		synctest.Wait()
		w.publishing.mu.Lock()
		bytes := w.publishing.bytes
		w.publishing.mu.Unlock()
		if bytes > maxStreamBytes {
			t.Errorf("%d bytes wait", bytes)
		}
		close(gate)
		for range 10 {
			if err := <-done; err != nil {
				t.Error(err)
			}
		}
		stuck := make(chan struct{})
		defer close(stuck)
		w.set(func() { w.fault = func(kafka.BrokerID, kmsg.Request, bool) error { <-stuck; return nil } })
		for range 10 {
			go start()
		}
		time.Sleep(31 * time.Second) // more than a message's time
		late := 0
		for len(done) > 0 {
			if err := <-done; kafka.CodeOf(err) == kafka.RequestTimedOut {
				late++
			}
		}
		if late == 0 {
			t.Error("nobody was told that there is no room")
		}
	})
}

func TestCloseAnswersWhatWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.topic("t", 1, 3, 2)
		w.down[2] = true
		p := broker.NewPublisher(w.Verbs, nil)
		var started []broker.Publishing
		for range 3 {
			s, err := p.Start(t.Context(), somebody, message1("t", 0, "x"))
			if err != nil {
				t.Fatal(err)
			}
			started = append(started, s)
		}
		synctest.Wait()
		w.Close()
		for _, s := range started {
			if _, err := s.Wait(t.Context()); err == nil {
				t.Error("stored")
			}
		}
		if _, err := w.publish("t", 0, "x"); kafka.CodeOf(err) != kafka.BrokerNotAvailable {
			t.Error(err)
		}
	})
}
