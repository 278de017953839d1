package e2e

import (
	"strconv"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/rafka-io/rafka"
	"github.com/rafka-io/rafka/rafkatest"
)

// often makes the broker keep house all the time.
func often(t *testing.T) *rafkatest.Broker {
	return rafkatest.StartOnDisk(t, rafka.WithSetting("log.retention.check.interval.ms", "20"), rafka.WithSetting("log.cleaner.backoff.ms", "20"))
}

// The oldest segments go by themselves when a partition is larger than retention.bytes, and the rest can be read.
func TestRetentionBySize(t *testing.T) {
	b := often(t)
	create(t, b, "small", 1, "segment.bytes", "1048576", "retention.bytes", "2097152", "file.delete.delay.ms", "0")
	cl := client(t, b, kgo.DefaultProduceTopic("small"), kgo.ProducerBatchCompression(kgo.NoCompression()), kgo.ProducerBatchMaxBytes(200_000))
	const n = 80 // of 100 kB
	for i := range n {
		produce(t, cl, &kgo.Record{Value: value(i, 100_000)})
	}
	adm := admin(t, b)
	eventually(t, "old segments are deleted", func() bool { start, _ := bounds(t, adm, "small", 0); return start >= n/2 })
	start, end := bounds(t, adm, "small", 0)
	if end != n || end-start < 20 {
		t.Errorf("[%d, %d) is left of %d records", start, end, n)
	}
	if r := consume(t, b, "small", kgo.NewOffset().AtStart(), 1)[0]; r.Offset < start || string(r.Value) != string(value(int(r.Offset), 100_000)) {
		t.Errorf("the oldest record is %d, the log starts at %d", r.Offset, start)
	}
}

// Records older than retention.ms go although no record comes in, and a setting that is changed acts: first nothing goes, then everything.
func TestRetentionByTimeActsOnAnIdleTopicWhenItIsChanged(t *testing.T) {
	b := often(t)
	create(t, b, "old", 1, "retention.ms", "-1", "file.delete.delay.ms", "0")
	cl := client(t, b, kgo.DefaultProduceTopic("old"))
	for i := range 10 {
		produce(t, cl, &kgo.Record{Value: value(i, 100), Timestamp: time.Now().Add(-time.Hour)})
	}
	adm := admin(t, b)
	if start, end := bounds(t, adm, "old", 0); start != 0 || end != 10 {
		t.Fatalf("[%d, %d) although records are kept for ever", start, end)
	}
	alter(t, b, "old", "retention.ms", "60000")
	eventually(t, "records of an hour ago are deleted", func() bool { start, end := bounds(t, adm, "old", 0); return start == 10 && end == 10 })
	produce(t, cl, &kgo.Record{Value: []byte("young")})
	if r := consume(t, b, "old", kgo.NewOffset().AtStart(), 1)[0]; r.Offset != 10 || string(r.Value) != "young" {
		t.Errorf("record %d %q", r.Offset, r.Value)
	}
}

// A compacted topic keeps the latest record of each key, at its offset, and a deleted key goes in the end (CMP-1, CMP-2).
func TestCompactionKeepsTheLatestOfEachKey(t *testing.T) {
	b := often(t)
	create(t, b, "table", 1, "cleanup.policy", "compact", "segment.ms", "50", "min.cleanable.dirty.ratio", "0.01", "delete.retention.ms", "0", "file.delete.delay.ms", "0")
	cl := client(t, b, kgo.DefaultProduceTopic("table"))
	latest := map[string]string{}
	for i := range 200 {
		k, v := "key "+strconv.Itoa(i%10), "value "+strconv.Itoa(i)
		produce(t, cl, &kgo.Record{Key: []byte(k), Value: []byte(v)})
		latest[k] = v
	}
	produce(t, cl, &kgo.Record{Key: []byte("key 3")}) // a tombstone
	delete(latest, "key 3")
	at := 0
	eventually(t, "only the latest of each key is left", func() bool {
		at++ // a record of another key now and then, so that the segments before are closed and may be compacted
		produce(t, cl, &kgo.Record{Key: []byte("clock"), Value: []byte(strconv.Itoa(at))})
		_, end := bounds(t, admin(t, b), "table", 0)
		seen, extra := map[string]string{}, 0
		for _, r := range read(t, b, "table", end) {
			if string(r.Key) == "clock" {
				continue
			}
			if _, twice := seen[string(r.Key)]; twice || r.Value == nil {
				extra++
			}
			seen[string(r.Key)] = string(r.Value)
		}
		for k, v := range latest {
			if seen[k] != v {
				t.Fatalf("%s is %q, its last value was %q", k, seen[k], v)
			}
		}
		return extra == 0 && len(seen) == len(latest)
	})
}

// read reads partition 0 of a topic up to an offset, over the gaps that compaction leaves.
func read(t *testing.T, b *rafkatest.Broker, topic string, end int64) []*kgo.Record {
	t.Helper()
	cl := client(t, b, kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{topic: {0: kgo.NewOffset().AtStart()}}))
	defer cl.Close()
	var all []*kgo.Record
	for len(all) == 0 || all[len(all)-1].Offset < end-1 { // the last record is never compacted away: it lies in the active segment
		all = append(all, poll(t, cl, 1)...)
	}
	return all
}
