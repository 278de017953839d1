package e2e

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/rafka-io/rafka/rafkatest"
)

// patience is how long a test waits for what has to come. It is no measure of speed: a loaded machine may need some of it.
const patience = time.Minute

// within is a context that ends with the test's patience.
func within(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	return ctx
}

// client connects to b and is closed by the test's end.
func client(t *testing.T, b *rafkatest.Broker, opts ...kgo.Opt) *kgo.Client {
	t.Helper()
	cl, err := kgo.NewClient(append([]kgo.Opt{kgo.SeedBrokers(b.Addr), kgo.Dialer(b.Dial)}, opts...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cl.Close)
	return cl
}

func admin(t *testing.T, b *rafkatest.Broker) *kadm.Client { return kadm.NewClient(client(t, b)) }

// create makes a topic; settings are key, value, key, value.
func create(t *testing.T, b *rafkatest.Broker, topic string, partitions int32, settings ...string) {
	t.Helper()
	configs := map[string]*string{}
	for i := 0; i < len(settings); i += 2 {
		configs[settings[i]] = &settings[i+1]
	}
	if _, err := admin(t, b).CreateTopic(within(t), partitions, -1, configs, topic); err != nil {
		t.Fatalf("create %s: %v", topic, err)
	}
}

// produce sends records one after another to partition 0 of topic, or where their Partition says with a manual partitioner.
func produce(t *testing.T, cl *kgo.Client, records ...*kgo.Record) {
	t.Helper()
	if err := cl.ProduceSync(within(t), records...).FirstErr(); err != nil {
		t.Fatalf("produce: %v", err)
	}
}

// consume reads n records of partition 0 of topic from an offset.
func consume(t *testing.T, b *rafkatest.Broker, topic string, from kgo.Offset, n int) []*kgo.Record {
	t.Helper()
	cl := client(t, b, kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{topic: {0: from}}))
	defer cl.Close()
	return poll(t, cl, n)
}

// poll takes n records from a client that consumes.
func poll(t *testing.T, cl *kgo.Client, n int) []*kgo.Record {
	t.Helper()
	ctx := within(t)
	var got []*kgo.Record
	for len(got) < n {
		fetches := cl.PollFetches(ctx)
		if err := fetches.Err0(); err != nil {
			t.Fatalf("%d of %d records came: %v", len(got), n, err)
		}
		fetches.EachError(func(topic string, p int32, err error) { t.Fatalf("fetch %s-%d: %v", topic, p, err) })
		got = append(got, fetches.Records()...)
	}
	return got
}

// bounds are the offsets of the oldest and of the next record of a partition.
func bounds(t *testing.T, adm *kadm.Client, topic string, partition int32) (start, end int64) {
	t.Helper()
	s, err := adm.ListStartOffsets(within(t), topic)
	if err != nil {
		t.Fatal(err)
	}
	e, err := adm.ListEndOffsets(within(t), topic)
	if err != nil {
		t.Fatal(err)
	}
	from, _ := s.Lookup(topic, partition)
	to, _ := e.Lookup(topic, partition)
	return from.Offset, to.Offset
}

// eventually waits until what is so; the broker does it by itself and tells nobody.
func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for end := time.After(patience); !is(); {
		select {
		case <-tick.C:
		case <-end:
			t.Fatalf("waited %v in vain: %s", patience, what)
		}
	}
}

// value is a payload of n bytes that differs from record to record.
func value(i, n int) []byte {
	v := fmt.Appendf(make([]byte, 0, n), "record %d ", i)
	for len(v) < n {
		v = append(v, byte('a'+(i+len(v)*7)%26))
	}
	return v[:n]
}
