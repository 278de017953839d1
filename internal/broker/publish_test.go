package broker_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rafka-io/rafka/internal/broker"
	"github.com/rafka-io/rafka/internal/broker/brokertest"
	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/record"
)

func message(topic string, values ...string) *broker.Message {
	m := &broker.Message{Topic: topic, Partition: broker.AutoPartition}
	for _, v := range values {
		m.Records = append(m.Records, record.Record{Value: []byte(v), Timestamp: kafka.NoTimestamp})
	}
	return m
}

// A message answers with where it is stored; its records are one batch; keyless ones take turns; keys keep their partition.
func TestPublishSaysWhereTheMessageIs(t *testing.T) {
	b := brokertest.New()
	b.Partitions = 3
	at := time.UnixMilli(123456)
	p := broker.NewPublisher(b, func() time.Time { return at })
	for i := range 6 {
		got, err := p.Publish(t.Context(), &broker.Session{}, message("t", "a", "b"))
		if want := (broker.Published{Partition: int32(i % 3), Offset: kafka.Offset(2 * (i / 3)), Timestamp: 123456}); err != nil || got != want {
			t.Fatalf("message %d: %+v %v, want %+v", i, got, err, want)
		}
	}
	keyed := message("t", "x")
	keyed.Records[0].Key = []byte("k")
	first, err := p.Publish(t.Context(), &broker.Session{}, keyed)
	if err != nil {
		t.Fatal(err)
	}
	again, err := p.Publish(t.Context(), &broker.Session{}, keyed)
	if err != nil || again.Partition != first.Partition || again.Partition != broker.ByMurmur2([]byte("k"), 3) || again.Offset != first.Offset+1 {
		t.Errorf("%+v then %+v, %v", first, again, err)
	}
	if c := p.Latency.Counts(); c.Count != 8 {
		t.Errorf("%d latencies", c.Count)
	}
}

// Errors keep Kafka's code and get words; nothing is stored.
func TestPublishExplainsRefusals(t *testing.T) {
	b := brokertest.New()
	p := broker.NewPublisher(b, nil)
	b.AutoCreate = false
	if _, err := p.Publish(t.Context(), &broker.Session{}, message("t", "a")); kafka.CodeOf(err) != kafka.UnknownTopicOrPartition || !strings.Contains(err.Error(), "create it first") {
		t.Error(err)
	}
	b.AutoCreate = true
	if _, err := p.Publish(t.Context(), &broker.Session{}, message("..", "a")); kafka.CodeOf(err) != kafka.InvalidTopicException {
		t.Error(err)
	}
	if _, err := p.Publish(t.Context(), &broker.Session{}, message("t")); kafka.CodeOf(err) != kafka.InvalidRecord {
		t.Error(err)
	}
	m := message("t", "a")
	m.Partition = 1
	if _, err := p.Publish(t.Context(), &broker.Session{}, m); kafka.CodeOf(err) != kafka.UnknownTopicOrPartition || !strings.Contains(err.Error(), "0 to 0") {
		t.Error(err)
	}
	b.FailWith(func(string, kafka.TopicPartition) error { return kafka.NotEnoughReplicas })
	if _, err := p.Publish(t.Context(), &broker.Session{}, message("t", "a")); !errors.Is(err, kafka.NotEnoughReplicas) || !strings.Contains(err.Error(), "append to t-0") {
		t.Error(err)
	}
}

// Start appends in order without waiting; Wait waits for the disk, and gives up when its time or its context ends (BRK-3).
func TestStartAppendsAndWaitWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := brokertest.New()
		b.HoldAcks()
		p := broker.NewPublisher(b, nil)
		var started []broker.Publishing
		for i := range 4 {
			w, err := p.Start(t.Context(), &broker.Session{}, message("t", fmt.Sprint(i)))
			if err != nil {
				t.Fatal(err)
			}
			started = append(started, w)
		}
		cancelled, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := started[0].Wait(cancelled); err == nil {
			t.Error("a message whose context ended was acknowledged")
		}
		if _, err := started[1].Wait(t.Context()); kafka.CodeOf(err) != kafka.RequestTimedOut { // the bubble's clock runs ahead
			t.Errorf("held for ever: %v", err)
		}
		b.LetGo()
		for i := 2; i < 4; i++ {
			if at, err := started[i].Wait(t.Context()); err != nil || at.Offset != kafka.Offset(i) {
				t.Errorf("message %d: %+v, %v", i, at, err)
			}
		}
	})
}

func BenchmarkPublish(b *testing.B) {
	fake := brokertest.New()
	p := broker.NewPublisher(fake, nil)
	s, m := &broker.Session{}, message("t", strings.Repeat("x", 100))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := p.Publish(context.Background(), s, m); err != nil {
			b.Fatal(err)
		}
	}
}
