package broker

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"

	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/record"
	"github.com/rafka-io/rafka/internal/storage/memlog"
)

// withTopics is a world that has the topics it needs already.
type withTopics struct{ *world }

func (withTopics) EnsureTopics(_ context.Context, _ *Session, names []string) []error {
	errs := make([]error, len(names))
	for i := range errs {
		errs[i] = kafka.UnknownTopicOrPartition
	}
	return errs
}

// The fake in brokertest could be wrong as the doors are: publishing and tailing also work over the broker itself.
func TestPublishAndTailOverTheBrokerItself(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		engine, err := memlog.Open(memlog.Options{})
		if err != nil {
			t.Fatal(err)
		}
		w := withTopics{newWorldOver(t, engine)}
		w.topic("t", 1, 3)
		p := NewPublisher(w, nil)
		publish := func(i int) {
			m := &Message{Topic: "t", Partition: AutoPartition, Records: []record.Record{{Value: fmt.Append(nil, i), Timestamp: kafka.NoTimestamp}}}
			at, err := p.Publish(t.Context(), anybody, m)
			if err != nil || at.Partition != int32(i%3) || at.Offset != kafka.Offset(i/3) {
				t.Fatalf("message %d: %+v, %v", i, at, err)
			}
		}
		for i := range 9 {
			publish(i)
		}
		seen := map[string]bool{}
		read := func(tail *Tail, r TailRecord) {
			name := fmt.Sprintf("%d:%d=%s", r.Partition, r.Offset, r.Value)
			if i := 3*int(r.Offset) + int(r.Partition); seen[name] || string(r.Value) != fmt.Sprint(i) {
				t.Errorf("read %s", name)
			}
			seen[name] = true
		}
		tail, err := OpenTail(t.Context(), w, anybody, TailOptions{Topic: "t", From: FromEarliest})
		if err != nil {
			t.Fatal(err)
		}
		for tail.Next(t.Context()) {
			for r := range tail.Records() {
				read(tail, r)
			}
		}
		if tail.Err() != nil || len(seen) != 9 {
			t.Fatalf("read %d records: %v", len(seen), tail.Err())
		}

		follower, err := OpenTail(t.Context(), w, anybody, TailOptions{Topic: "t", From: FromLatest, Follow: true})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() {
			defer close(done)
			defer follower.Close()
			for follower.Next(ctx) {
				for r := range follower.Records() {
					read(follower, r)
				}
			}
		}()
		for i := 9; i < 20; i++ {
			synctest.Wait() // it waits for more
			publish(i)
		}
		synctest.Wait()
		cancel()
		<-done
		if len(seen) != 20 {
			t.Errorf("read %d records", len(seen))
		}
		if totals, err := CountStored(t.Context(), w, anybody); err != nil || totals.Messages != 20 || totals.Bytes == 0 || totals.Oldest.IsZero() {
			t.Errorf("%+v %v", totals, err)
		}
	})
}
