package e2e

import (
	"fmt"
	"strconv"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/rafka-io/rafka"
	"github.com/rafka-io/rafka/rafkatest"
)

// delayed is a record that is to be delivered so long after it was sent.
func delayed(topic, value string, delay time.Duration) *kgo.Record {
	return &kgo.Record{Topic: topic, Value: []byte(value), Headers: []kgo.RecordHeader{{Key: "rafka-delay-ms", Value: strconv.AppendInt(nil, delay.Milliseconds(), 10)}}}
}

// PAR-8: consumers of every kind get a delayed record at its time and once, and none trips over what stands in the log until then.
func TestDelayedRecordsReachEveryKindOfConsumer(t *testing.T) {
	b := rafkatest.Start(t, atOnce)
	create(t, b, "later", 1, "rafka.delivery.delay.enable", "true")
	producer := client(t, b)
	sent := time.Now()
	const wait = 700 * time.Millisecond
	produce(t, producer, &kgo.Record{Topic: "later", Value: []byte("now")}, delayed("later", "second", 2*wait), delayed("later", "first", wait))
	// The others wait from when they came, which was before now: this one is due after them however long that took.
	at := delayed("later", "third", 0)
	at.Headers = []kgo.RecordHeader{{Key: "rafka-deliver-at", Value: strconv.AppendInt(nil, time.Now().Add(3*wait).UnixMilli(), 10)}}
	produce(t, producer, at)
	if at.Offset < 3 {
		t.Errorf("the delayed record has offset %d", at.Offset)
	}

	partitions := map[string]map[int32]kgo.Offset{"later": {0: kgo.NewOffset().AtStart()}}
	for name, opts := range map[string][]kgo.Opt{
		"simple":         {kgo.ConsumePartitions(partitions)},
		"read committed": {kgo.ConsumePartitions(partitions), kgo.FetchIsolationLevel(kgo.ReadCommitted())},
		"group":          {kgo.ConsumerGroup("g"), kgo.ConsumeTopics("later"), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart())},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cl := client(t, b, opts...)
			got := poll(t, cl, 4)
			last := int64(-1)
			for i, want := range []string{"now", "first", "second", "third"} {
				r := got[i]
				if string(r.Value) != want || r.Offset <= last {
					t.Errorf("record %d is %q at %d, want %q after %d", i, r.Value, r.Offset, want, last)
				}
				last = r.Offset
				if due := sent.Add(time.Duration(i) * wait); i > 0 && r.Timestamp.Before(due.Truncate(time.Millisecond)) {
					t.Errorf("%q was released at %v, before %v", want, r.Timestamp, due)
				}
			}
		})
	}
}

// PAR-8: what waits outlives a restart.
func TestDelayedRecordsOutliveARestart(t *testing.T) {
	dir := rafka.WithDataDir(t.TempDir())
	b := rafkatest.StartOnDisk(t, dir)
	create(t, b, "later", 3, "rafka.delivery.delay.enable", "true")
	producer := client(t, b, kgo.RecordPartitioner(kgo.ManualPartitioner()))
	for i := range 30 {
		r := delayed("later", fmt.Sprint(i), 3*time.Second)
		r.Partition = int32(i % 3)
		produce(t, producer, r)
	}
	producer.Close()
	stop(t, b)
	b = rafkatest.StartOnDisk(t, dir)
	cl := client(t, b, kgo.ConsumeTopics("later"), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	seen := map[string]int{}
	for _, r := range poll(t, cl, 30) {
		seen[string(r.Value)]++
	}
	if len(seen) != 30 {
		t.Errorf("%d records came: %v", len(seen), seen)
	}
}
