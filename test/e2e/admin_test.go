package e2e

import (
	"errors"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/rafka-io/rafka"
	"github.com/rafka-io/rafka/rafkatest"
)

func setting(key, value string) rafka.Option { return rafka.WithSetting(key, value) }

// alter sets one key of a topic.
func alter(t *testing.T, b *rafkatest.Broker, topic, key, value string) {
	t.Helper()
	answers, err := admin(t, b).AlterTopicConfigs(within(t), []kadm.AlterConfig{{Op: kadm.SetConfig, Name: key, Value: &value}}, topic)
	if err != nil || answers[0].Err != nil {
		t.Fatalf("set %s=%s of %s: %v %v", key, value, topic, err, answers)
	}
}

// described is the value of a topic's key and where it comes from.
func described(t *testing.T, b *rafkatest.Broker, topic, key string) (string, string) {
	t.Helper()
	answers, err := admin(t, b).DescribeTopicConfigs(within(t), topic)
	if err != nil || answers[0].Err != nil {
		t.Fatalf("describe %s: %v %v", topic, err, answers)
	}
	for _, c := range answers[0].Configs {
		if c.Key == key {
			return c.MaybeValue(), c.Source.String()
		}
	}
	t.Fatalf("%s has no %s", topic, key)
	return "", ""
}

// A topic's whole life through Kafka's admin API: each answer is what the next question sees.
func TestAdminRoundTrip(t *testing.T) {
	b := rafkatest.StartOnDisk(t)
	adm := admin(t, b)
	create(t, b, "orders", 2, "retention.ms", "3600000")
	if _, err := adm.CreateTopic(within(t), 1, 1, nil, "orders"); !errors.Is(err, kerr.TopicAlreadyExists) {
		t.Errorf("a second creation: %v", err)
	}
	if _, err := adm.CreateTopic(within(t), 1, 3, nil, "replicated"); !errors.Is(err, kerr.InvalidReplicationFactor) {
		t.Errorf("three replicas on one broker: %v", err)
	}
	if _, err := adm.CreateTopic(within(t), 1, 1, nil, "../etc"); !errors.Is(err, kerr.InvalidTopicException) {
		t.Errorf("a name that is a path: %v", err)
	}
	if v, source := described(t, b, "orders", "retention.ms"); v != "3600000" || source != "DYNAMIC_TOPIC_CONFIG" {
		t.Errorf("retention.ms=%s from %s", v, source)
	}
	if v, source := described(t, b, "orders", "segment.bytes"); v != "1073741824" || source != "DEFAULT_CONFIG" {
		t.Errorf("segment.bytes=%s from %s", v, source)
	}
	alter(t, b, "orders", "retention.ms", "7200000")
	if v, _ := described(t, b, "orders", "retention.ms"); v != "7200000" {
		t.Errorf("retention.ms=%s after the change", v)
	}
	if _, err := adm.AlterTopicConfigs(within(t), []kadm.AlterConfig{{Op: kadm.DeleteConfig, Name: "retention.ms"}}, "orders"); err != nil {
		t.Fatal(err)
	}
	if v, source := described(t, b, "orders", "retention.ms"); v != "604800000" || source != "DEFAULT_CONFIG" {
		t.Errorf("retention.ms=%s from %s after it was taken back", v, source)
	}

	if added, err := adm.UpdatePartitions(within(t), 5, "orders"); err != nil || added.Error() != nil {
		t.Fatal(err, added)
	}
	topics, err := adm.ListTopics(within(t))
	if err != nil || len(topics["orders"].Partitions) != 5 {
		t.Fatalf("%d partitions, error %v", len(topics["orders"].Partitions), err)
	}
	cl := client(t, b, kgo.DefaultProduceTopic("orders"), kgo.RecordPartitioner(kgo.ManualPartitioner()))
	for i := range 10 {
		produce(t, cl, &kgo.Record{Partition: 4, Value: value(i, 10)})
	}
	low := kadm.Offsets{}
	low.AddOffset("orders", 4, 7, -1)
	if answers, err := adm.DeleteRecords(within(t), low); err != nil || answers.Error() != nil {
		t.Fatal(err, answers)
	}
	if start, end := bounds(t, adm, "orders", 4); start != 7 || end != 10 {
		t.Errorf("[%d, %d) after the records before 7 were deleted", start, end)
	}

	if deleted, err := adm.DeleteTopics(within(t), "orders"); err != nil || deleted.Error() != nil {
		t.Fatal(err, deleted)
	}
	if topics, err := admin(t, b).ListTopics(within(t)); err != nil || topics.Has("orders") {
		t.Errorf("the topic is still there: %v, error %v", topics.Names(), err)
	}
	create(t, b, "orders", 1) // the same name again, without the old records
	if start, end := bounds(t, adm, "orders", 0); start != 0 || end != 0 {
		t.Errorf("[%d, %d) in a new topic", start, end)
	}
}

// Offsets are found by time, at the start, at the end and by the largest timestamp.
func TestListOffsetsByTime(t *testing.T) {
	b := rafkatest.StartOnDisk(t)
	create(t, b, "times", 1)
	base := time.Now().Add(-time.Hour).Truncate(time.Second)
	cl := client(t, b, kgo.DefaultProduceTopic("times"))
	for i := range 100 {
		produce(t, cl, &kgo.Record{Timestamp: base.Add(time.Duration(i) * time.Second)})
	}
	adm := admin(t, b)
	for _, c := range []struct {
		at   time.Time
		want int64
	}{{base.Add(-time.Minute), 0}, {base, 0}, {base.Add(41500 * time.Millisecond), 42}, {base.Add(99 * time.Second), 99}, {base.Add(time.Hour), 100}} {
		found, err := adm.ListOffsetsAfterMilli(within(t), c.at.UnixMilli(), "times")
		if err != nil {
			t.Fatal(err)
		}
		if o, _ := found.Lookup("times", 0); o.Offset != c.want {
			t.Errorf("after %v: offset %d, want %d", c.at.Sub(base), o.Offset, c.want)
		}
	}
	if largest, err := adm.ListMaxTimestampOffsets(within(t), "times"); err != nil {
		t.Error(err)
	} else if o, _ := largest.Lookup("times", 0); o.Offset != 99 || o.Timestamp != base.Add(99*time.Second).UnixMilli() {
		t.Errorf("largest timestamp %+v", o)
	}
}

// Whether an ack means on disk or in the page cache is visible with where it was decided, in all spellings.
func TestDurabilityIsDescribed(t *testing.T) {
	b := rafkatest.StartOnDisk(t)
	create(t, b, "safe", 1)
	create(t, b, "cached", 1, "write.caching", "true")
	create(t, b, "flushed", 1, "flush.messages", "1000")
	for topic, want := range map[string][2]string{
		"safe": {"false", "DEFAULT_CONFIG"}, "cached": {"true", "DYNAMIC_TOPIC_CONFIG"},
	} {
		if v, source := described(t, b, topic, "write.caching"); v != want[0] || source != want[1] {
			t.Errorf("%s: write.caching=%s from %s", topic, v, source)
		}
	}
	if v, source := described(t, b, "flushed", "flush.messages"); v != "1000" || source != "DYNAMIC_TOPIC_CONFIG" {
		t.Errorf("flush.messages=%s from %s", v, source)
	}
	broker := rafkatest.StartOnDisk(t, setting("write.caching", "true"))
	create(t, broker, "inherits", 1)
	if v, source := described(t, broker, "inherits", "write.caching"); v != "true" || source != "STATIC_BROKER_CONFIG" {
		t.Errorf("write.caching=%s from %s", v, source)
	}
	for _, topic := range []string{"safe", "cached", "flushed"} {
		produce(t, client(t, b), &kgo.Record{Topic: topic, Value: []byte("x")})
	}
}
