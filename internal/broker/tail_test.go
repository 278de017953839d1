package broker_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rafka-io/rafka/internal/broker"
	"github.com/rafka-io/rafka/internal/broker/brokertest"
	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/record"
	"github.com/rafka-io/rafka/internal/seed"
)

func publish(t testing.TB, b *brokertest.Broker, partition int32, values ...string) {
	t.Helper()
	m := message("t", values...)
	m.Partition = partition
	if _, err := broker.NewPublisher(b, nil).Publish(context.Background(), &broker.Session{}, m); err != nil {
		t.Fatal(err)
	}
}

func open(t testing.TB, b *brokertest.Broker, o broker.TailOptions) *broker.Tail {
	t.Helper()
	o.Topic = "t"
	tail, err := broker.OpenTail(context.Background(), b, &broker.Session{}, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(tail.Close)
	return tail
}

// rest reads to the end: "partition:offset=value".
func rest(t testing.TB, tail *broker.Tail) []string {
	t.Helper()
	var all []string
	for tail.Next(context.Background()) {
		for r := range tail.Records() {
			all = append(all, fmt.Sprintf("%d:%d=%s", r.Partition, r.Offset, r.Value))
		}
	}
	if err := tail.Err(); err != nil {
		t.Fatal(err)
	}
	return all
}

// Whatever the batches, the fetch sizes and the start: each partition's records from there on, once and in order.
func TestTailReadsEachRecordOnceInOrder(t *testing.T) {
	seed := seed.Of(t)
	t.Logf("seed %d", seed)
	dice := rand.New(rand.NewPCG(seed, 0))
	for range 100 {
		b := brokertest.New()
		b.Partitions = int32(1 + dice.IntN(4))
		want := make([][]string, b.Partitions)
		for range dice.IntN(40) {
			p := int32(dice.IntN(int(b.Partitions)))
			var values []string
			for range 1 + dice.IntN(5) {
				v := strings.Repeat("x", dice.IntN(50))
				values = append(values, v)
				want[p] = append(want[p], fmt.Sprintf("%d:%d=%s", p, len(want[p]), v))
			}
			publish(t, b, p, values...)
		}
		if b.Image().Topics.ByName("t") == nil {
			publish(t, b, 0, "")
			want[0] = append(want[0], "0:0=")
		}
		from := dice.IntN(4)
		for _, all := range want {
			from = min(from, len(all))
		}
		tail := open(t, b, broker.TailOptions{From: kafka.Offset(from), MaxBytes: 1 + dice.IntN(500)})
		got := make([][]string, b.Partitions)
		for _, r := range rest(t, tail) {
			p := r[0] - '0'
			got[p] = append(got[p], r)
		}
		for p := range want {
			if !slices.Equal(got[p], want[p][from:]) {
				t.Fatalf("partition %d from %d:\n got %q\nwant %q", p, from, got[p], want[p][from:])
			}
			if next, ok := tail.Position(int32(p)); !ok || int(next) != len(want[p]) {
				t.Fatalf("partition %d: position %d, want %d", p, next, len(want[p]))
			}
		}
	}
}

// Without Follow a Tail ends where the log ended when it was opened, also inside a fetch.
func TestTailEndsWhereTheLogEnded(t *testing.T) {
	b := brokertest.New()
	publish(t, b, 0, "a", "b")
	tail := open(t, b, broker.TailOptions{})
	publish(t, b, 0, "c")
	if got := rest(t, tail); !slices.Equal(got, []string{"0:0=a", "0:1=b"}) {
		t.Errorf("%q", got)
	}
}

// Retention may be faster than a reader: it goes on at the oldest record instead of failing, before the start and in the middle.
func TestTailGoesOnAtTheOldestRecord(t *testing.T) {
	b := brokertest.New()
	for i := range 6 {
		publish(t, b, 0, fmt.Sprint(i))
	}
	b.Trim("t", 0, 2)
	tail := open(t, b, broker.TailOptions{MaxBytes: 1})
	if !tail.Next(t.Context()) {
		t.Fatal(tail.Err())
	}
	for r := range tail.Records() {
		if r.Offset != 2 {
			t.Errorf("first offset %d", r.Offset)
		}
	}
	b.Trim("t", 0, 5)
	if got := rest(t, tail); !slices.Equal(got, []string{"0:5=5"}) {
		t.Errorf("%q", got)
	}
}

// Following brings what comes, from new partitions too, and lasts through errors that pass.
func TestTailFollows(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := brokertest.New()
		publish(t, b, 0, "old")
		var latency broker.Latency
		tail := open(t, b, broker.TailOptions{From: broker.FromLatest, Follow: true, Latency: &latency})
		got := make(chan string)
		ctx, cancel := context.WithCancelCause(t.Context())
		done := make(chan struct{})
		go func() {
			defer close(done)
			for tail.Next(ctx) {
				for r := range tail.Records() {
					got <- fmt.Sprintf("%d:%d=%s", r.Partition, r.Offset, r.Value)
				}
			}
		}()
		synctest.Wait() // it waits at the end
		publish(t, b, 0, "new")
		if r := <-got; r != "0:1=new" {
			t.Errorf("got %s", r)
		}
		b.FailWith(func(verb string, _ kafka.TopicPartition) error {
			if verb == "fetch" {
				return kafka.NotLeaderOrFollower
			}
			return nil
		})
		publish(t, b, 0, "through trouble")
		time.Sleep(time.Minute) // of the bubble's clock: a follower does not give up
		b.FailWith(nil)
		if r := <-got; r != "0:2=through trouble" {
			t.Errorf("got %s", r)
		}
		if errs := b.CreatePartitions(ctx, nil, []broker.MorePartitions{{Topic: "t", Total: 2}}, false); errs[0] != nil {
			t.Fatal(errs)
		}
		publish(t, b, 1, "another")
		if r := <-got; r != "1:0=another" {
			t.Errorf("got %s", r)
		}
		enough := errors.New("enough")
		cancel(enough)
		<-done
		if tail.Err() != enough {
			t.Errorf("ended by %v", tail.Err())
		}
		if latency.Counts().Count == 0 {
			t.Error("no latency was observed")
		}
	})
}

// Who does not follow gets the error after a while, not a silence.
func TestTailThatDoesNotFollowGivesUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := brokertest.New()
		publish(t, b, 0, "a")
		tail := open(t, b, broker.TailOptions{})
		b.FailWith(func(verb string, _ kafka.TopicPartition) error { return kafka.LeaderNotAvailable })
		if tail.Next(t.Context()) || kafka.CodeOf(tail.Err()) != kafka.LeaderNotAvailable || !strings.Contains(tail.Err().Error(), "read t-0") {
			t.Error(tail.Err())
		}
	})
}

// Errors that no time heals end the Tail at once, with their code and words.
func TestTailEndsOnErrors(t *testing.T) {
	b := brokertest.New()
	publish(t, b, 0, "a")
	ctx := t.Context()
	for _, o := range []struct {
		opts broker.TailOptions
		code kafka.ErrorCode
	}{
		{broker.TailOptions{Topic: "no"}, kafka.UnknownTopicOrPartition},
		{broker.TailOptions{Topic: "..", Create: true}, kafka.InvalidTopicException},
		{broker.TailOptions{Topic: "t", Partitions: []int32{1}}, kafka.UnknownTopicOrPartition},
		{broker.TailOptions{Topic: "t", From: -3}, kafka.OffsetOutOfRange},
		{broker.TailOptions{Topic: "t", From: 2}, kafka.OffsetOutOfRange},
	} {
		if _, err := broker.OpenTail(ctx, b, &broker.Session{}, o.opts); kafka.CodeOf(err) != o.code || kafka.MessageOf(err) == "" {
			t.Errorf("%+v: %v, want %s", o.opts, err, o.code)
		}
	}
	tail := open(t, b, broker.TailOptions{From: 5, Follow: true})
	if tail.Next(ctx) || kafka.CodeOf(tail.Err()) != kafka.OffsetOutOfRange {
		t.Error(tail.Err())
	}
	tail = open(t, b, broker.TailOptions{Follow: true})
	b.FailWith(func(verb string, _ kafka.TopicPartition) error { return kafka.TopicAuthorizationFailed })
	if tail.Next(ctx) || kafka.CodeOf(tail.Err()) != kafka.TopicAuthorizationFailed {
		t.Error(tail.Err())
	}
	b.FailWith(nil)
	tail = open(t, b, broker.TailOptions{Follow: true})
	b.DeleteTopics(ctx, nil, []broker.TopicRef{{Name: "t"}})
	publish(t, b, 0, "of another topic with this name")
	if tail.Next(ctx) || kafka.CodeOf(tail.Err()) != kafka.UnknownTopicOrPartition {
		t.Error(tail.Err())
	}
}

// A small batch that decompresses into very much ends the Tail with an error, not the process.
func TestTailRefusesBatchesThatDecompressIntoTooMuch(t *testing.T) {
	b := brokertest.New()
	if err := b.EnsureTopics(t.Context(), nil, []string{"t"})[0]; err != nil {
		t.Fatal(err)
	}
	o := record.PlainOptions()
	o.Codec = record.Gzip
	bomb, err := record.Build(nil, o, []record.Record{{Value: make([]byte, 2<<20), Timestamp: 1}})
	if err != nil {
		t.Fatal(err)
	}
	b.Produce(&broker.Session{}, &broker.ProduceRequest{Acks: -1, Timeout: time.Second, Partitions: []broker.ProducePartition{{Topic: "t", Records: bomb}}}).Wait(t.Context())
	tail := open(t, b, broker.TailOptions{MaxDecompressed: 1 << 20})
	for tail.Next(t.Context()) {
		for range tail.Records() {
			t.Error("a record came out")
		}
	}
	if kafka.CodeOf(tail.Err()) != kafka.CorruptMessage || !strings.Contains(tail.Err().Error(), "t-0 at offset 0") {
		t.Error(tail.Err())
	}
}

// Who stops in the middle of a fetch goes on after the last record seen.
func TestTailGoesOnAfterTheLastRecordSeen(t *testing.T) {
	b := brokertest.New()
	publish(t, b, 0, "a", "b", "c")
	tail := open(t, b, broker.TailOptions{})
	if !tail.Next(t.Context()) {
		t.Fatal(tail.Err())
	}
	for range tail.Records() {
		break
	}
	if got := rest(t, tail); !slices.Equal(got, []string{"0:1=b", "0:2=c"}) {
		t.Errorf("%q", got)
	}
}

// Counting says what is stored, and leaves out what retention deleted.
func TestCountStored(t *testing.T) {
	b := brokertest.New()
	b.Partitions = 2
	publish(t, b, 0, "a", "b")
	publish(t, b, 0, "c")
	b.Trim("t", 0, 1)
	got, err := broker.CountStored(t.Context(), b, &broker.Session{})
	if err != nil || got.Messages != 2 || got.Bytes == 0 || time.Since(got.Oldest) > time.Hour {
		t.Errorf("%+v %v", got, err)
	}
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := broker.CountStored(cancelled, b, &broker.Session{}); err == nil {
		t.Error("a count that was called off gave an answer")
	}
}

func BenchmarkTail(b *testing.B) {
	fake := brokertest.New()
	for range 100 {
		publish(b, fake, 0, strings.Repeat("x", 100), strings.Repeat("y", 100))
	}
	b.ReportAllocs()
	for b.Loop() {
		tail := open(b, fake, broker.TailOptions{})
		n := 0
		for tail.Next(context.Background()) {
			for range tail.Records() {
				n++
			}
		}
		if n != 200 {
			b.Fatal(n, tail.Err())
		}
	}
}
