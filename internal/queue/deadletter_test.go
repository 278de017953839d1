package queue

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rafka-io/rafka/internal/coordinator/share"
	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/metadata"
	"github.com/rafka-io/rafka/internal/record"
	"github.com/rafka-io/rafka/internal/storage"
)

// deadLetters sets group g up to write to topic dlq.jobs, which is there unless create.
func (w *world) deadLetters(copyRecord bool) {
	w.topic("dlq.jobs", 2, 2)
	w.set(func() {
		w.share.DeadLetterTopic, w.share.DeadLetterCopyRecord = "dlq.jobs", copyRecord
		w.values[keyDeadLetterPrefix], w.values[keyDeadLetterTopic] = "dlq.", "true"
	})
}

func header(r record.Record, key string) string {
	for _, h := range r.Headers {
		if h.Key == key {
			return string(h.Value)
		}
	}
	return "(none)"
}

func describe(r record.Record) string {
	var b strings.Builder
	fmt.Fprintf(&b, "key=%q value=%q", r.Key, r.Value)
	for _, h := range r.Headers {
		fmt.Fprintf(&b, " %s=%s", strings.TrimPrefix(h.Key, headerPrefix), h.Value)
	}
	return b.String()
}

// QUE-4: a record that a consumer rejects goes to the dead-letter topic with Kafka's headers, and is archived when it is there.
func TestRejectedRecordGoesToTheDeadLetterTopic(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.topic("jobs", 1, 4)
		w.deadLetters(true)
		w.produce("jobs", 3, values("x", "y")...)
		w.produce("jobs", 3, record.Record{Key: []byte("k"), Value: []byte("z"), Headers: []record.RecordHeader{{Key: "h", Value: []byte("1")}, {Key: headerTopic, Value: []byte("older")}}})
		m := w.member("one", p(1, 3))
		m.fetch(0)
		wantCode(t, m.acknowledge(ackOf{p(1, 3), 0, 0, share.AckAccept}), kafka.None)
		wantCode(t, m.acknowledge(ackOf{p(1, 3), 1, 2, share.AckReject}), kafka.None)
		synctest.Wait()
		got := w.read("dlq.jobs", 1)
		want := []string{
			`key="" value="y" topic=jobs partition=3 offset=1 group=g delivery.count=1 message=Offset rejected by client.`,
			`key="k" value="z" h=1 topic=jobs partition=3 offset=2 group=g delivery.count=1 message=Offset rejected by client.`,
		}
		for i := range max(len(got), len(want)) {
			if i >= len(got) || i >= len(want) || describe(got[i]) != want[i] {
				t.Errorf("dead letters\n%v\nwant\n%v", got, want)
				break
			}
		}
		if s := w.states.of(p(1, 3)); s.start != 3 {
			t.Errorf("start offset %d", s.start)
		}
		if n := w.Stats().DeadLetters.Load(); n != 2 {
			t.Errorf("%d dead letters counted", n)
		}
	})
}

// QUE-4: a record that was delivered too often goes there too; without errors.deadletterqueue.copy.record.enable the headers say where it is.
func TestRecordDeliveredTooOftenIsADeadLetter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.topic("jobs", 1, 1)
		w.deadLetters(false)
		w.produce("jobs", 0, record.Record{Key: []byte("k"), Value: []byte("x")})
		m := w.member("one", p(1, 0))
		for range w.share.DeliveryCountLimit {
			wantTexts(t, m.fetch(0), "x")
			wantCode(t, m.acknowledge(ackOf{p(1, 0), 0, 0, share.AckRelease}), kafka.None)
		}
		synctest.Wait()
		got := w.read("dlq.jobs", 0)
		if len(got) != 1 || got[0].Value != nil || header(got[0], headerMessage) != causeTooOften || header(got[0], headerDeliveryCount) != "5" {
			t.Errorf("dead letters %v", got)
		}
		wantTexts(t, m.fetch(0))
	})
}

// QUE-4: while the dead-letter topic cannot be written to the record is kept, also over a restart, and written when it can be.
func TestDeadLetterIsTriedAgainUntilItIsWritten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.topic("jobs", 1, 1)
		w.deadLetters(true)
		w.produce("dlq.jobs", 0, values("before")...)
		w.produce("jobs", 0, values("x")...)
		log := w.engine.Log(storage.ID{TopicPartition: kafka.TopicPartition{Topic: "dlq.jobs"}, TopicID: kafka.UUID{2}})
		log.Full = errBroken
		m := w.member("one", p(1, 0))
		m.fetch(0)
		wantCode(t, m.acknowledge(ackOf{p(1, 0), 0, 0, share.AckReject}), kafka.None)
		time.Sleep(time.Minute)
		if s := w.states.of(p(1, 0)); s.start != 0 || s.offsets[0].state != int8(share.Archiving) {
			t.Errorf("state %+v while the dead letter is not written", s)
		}
		if n := w.Stats().DeadLetterRetries.Load(); n < 3 || n > 10 {
			t.Errorf("tried %d times in a minute", n)
		}
		w.Manager.Close()
		w.start()
		m.epoch = 0
		wantTexts(t, m.fetch(0))
		w.set(func() { log.Full = nil }) // the lock is for the race detector: who writes dead letters takes it first
		time.Sleep(letterBackoffMax)
		got := w.read("dlq.jobs", 0)
		if len(got) != 2 || string(got[1].Value) != "x" || header(got[1], headerMessage) != causeRejected {
			t.Errorf("dead letters %v", got)
		}
		synctest.Wait()
		if s := w.states.of(p(1, 0)); s.start != 1 {
			t.Errorf("start offset %d", s.start)
		}
	})
}

// As in Kafka: where settings forbid the dead-letter topic the record is archived without, and counted.
func TestForbiddenDeadLetterTopicLetsRecordsGo(t *testing.T) {
	for name, change := range map[string]func(w *world){
		"not with the prefix":   func(w *world) { w.share.DeadLetterTopic = "jobs" },
		"an internal topic":     func(w *world) { w.values[keyDeadLetterPrefix], w.share.DeadLetterTopic = "", "__consumer_offsets" },
		"not allowed by itself": func(w *world) { w.values[keyDeadLetterTopic] = "false" },
		"not to be created":     func(w *world) { w.share.DeadLetterTopic = "dlq.none" },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				w.topic("jobs", 1, 1)
				w.deadLetters(true)
				w.set(func() { change(w) })
				w.produce("jobs", 0, values("x")...)
				m := w.member("one", p(1, 0))
				m.fetch(0)
				wantCode(t, m.acknowledge(ackOf{p(1, 0), 0, 0, share.AckReject}), kafka.None)
				synctest.Wait()
				if s := w.states.of(p(1, 0)); s.start != 1 || w.Stats().DeadLetterLost.Load() != 1 {
					t.Errorf("start offset %d, %d lost", s.start, w.Stats().DeadLetterLost.Load())
				}
			})
		})
	}
}

// What passes is tried again, what does not is the settings' fault.
func TestErrorsOfDeadLettersAreToldApart(t *testing.T) {
	for _, err := range []error{nil, errBroken, kafka.NotLeaderOrFollower, kafka.KafkaStorageError, kafka.NotEnoughReplicas, kafka.RequestTimedOut, context.DeadlineExceeded} {
		if errors.Is(finally(err), errMisconfigured) {
			t.Errorf("%v is final", err)
		}
	}
	for _, err := range []error{kafka.InvalidRecord, kafka.InvalidTopicException, kafka.PolicyViolation, misconfigured("x")} {
		if !errors.Is(finally(err), errMisconfigured) {
			t.Errorf("%v is not final", err)
		}
	}
}

// With errors.deadletterqueue.auto.create.topics.enable the topic is made, as one that takes dead letters.
func TestDeadLetterTopicIsCreated(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.topic("jobs", 1, 1)
		w.set(func() {
			w.share.DeadLetterTopic = "dlq.made"
			w.values[keyDeadLetterPrefix], w.values[keyDeadLetterCreate] = "dlq.", "true"
		})
		w.creates = func(name string) error {
			led := metadata.Partition{Replicas: []kafka.BrokerID{1}, ISR: []kafka.BrokerID{1}, Leader: 1}
			w.fold(&metadata.TopicRecord{Name: name, ID: kafka.UUID{3}, Partitions: []metadata.PartitionRun{{Count: 1, Partition: led}}})
			w.set(func() { w.values[keyDeadLetterTopic] = "true" })
			return nil
		}
		w.produce("jobs", 0, values("x")...)
		m := w.member("one", p(1, 0))
		m.fetch(0)
		wantCode(t, m.acknowledge(ackOf{p(1, 0), 0, 0, share.AckReject}), kafka.None)
		synctest.Wait()
		if got := w.read("dlq.made", 0); len(got) != 1 {
			t.Errorf("dead letters %v", got)
		}
	})
}

// Dead letters of many records are written in parts that the topic takes; a record that is too large for it leaves its headers there.
func TestDeadLettersFitTheTopic(t *testing.T) {
	var many []letter
	for i := range 100 {
		many = append(many, letter{offset: kafka.Offset(i), count: 1, cause: causeRejected, record: &record.Record{Value: make([]byte, 100)}})
	}
	var offsets []kafka.Offset
	for rest := many; len(rest) > 0; {
		b, n, err := buildLetters(rest, "g", "jobs", 0, 1, 1000)
		if err != nil {
			t.Fatal(err)
		}
		if len(b) > 1200 {
			t.Errorf("a batch of %d bytes", len(b))
		}
		for r, err := range record.Records(b, 0) {
			if err != nil {
				t.Fatal(err)
			}
			var o kafka.Offset
			if _, err := fmt.Sscan(header(r, headerOffset), &o); err != nil {
				t.Fatal(err)
			}
			offsets = append(offsets, o)
		}
		rest = rest[n:]
	}
	if len(offsets) != 100 || !slices.IsSorted(offsets) {
		t.Errorf("offsets %v", offsets)
	}
}
