package metadata

import (
	"errors"
	"math/rand/v2"
	"reflect"
	"runtime"
	"slices"
	"strconv"
	"testing"

	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/seed"
)

// fingerprint is everything in an image as bytes; equal bytes, equal images.
func fingerprint(img *Image) string {
	return strconv.FormatInt(int64(img.Offset), 10) + string(AppendRecords(nil, SnapshotOf(img).Records))
}

// MET-1, MET-2: whatever the history, the image is what plain maps say it should be; a snapshot taken at any point and continued
// gives the same image; and no image changes afterwards, though images share most of their memory.
func TestImageIsTheFoldOfItsRecords(t *testing.T) {
	for range 30 {
		seed := seed.Of(t)
		h := newHistory(seed)
		img, continued := Empty(), Empty()
		var images []*Image
		var prints []string
		for step := range 60 {
			records := h.batch()
			var err error
			var delta *Delta
			before := img
			if img, delta, err = Fold(img, records); err != nil {
				t.Fatalf("seed %d step %d: %v", seed, step, err)
			}
			checkOracle(t, seed, step, img, h)
			checkDelta(t, seed, step, before, img, delta)
			if continued, _, err = Fold(continued, roundTrip(t, records)); err != nil {
				t.Fatalf("seed %d step %d: %v", seed, step, err)
			}
			if step%7 == 0 {
				s := SnapshotOf(img)
				s.Records = roundTrip(t, s.Records)
				if continued, _, err = s.Image(); err != nil {
					t.Fatalf("seed %d step %d: snapshot: %v", seed, step, err)
				}
			}
			if fingerprint(img) != fingerprint(continued) {
				t.Fatalf("seed %d step %d: snapshot and tail give another image", seed, step)
			}
			images, prints = append(images, img), append(prints, fingerprint(img))
		}
		for i := range images {
			if fingerprint(images[i]) != prints[i] {
				t.Fatalf("seed %d: image %d changed after it was made", seed, i)
			}
		}
	}
}

func roundTrip(t *testing.T, records []Record) []Record {
	t.Helper()
	out, err := DecodeRecords(AppendRecords(nil, records))
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func checkOracle(t *testing.T, seed uint64, step int, img *Image, h *history) {
	t.Helper()
	partitions := 0
	for _, want := range h.topics {
		partitions += len(want.Partitions)
		if got := img.Topics.ByName(want.Name); !reflect.DeepEqual(got, want) || img.Topics.ByID(want.ID) != got {
			t.Fatalf("seed %d step %d: topic %q is %+v, want %+v", seed, step, want.Name, got, want)
		}
	}
	if img.Topics.Len() != len(h.topics) || img.Topics.PartitionCount() != partitions {
		t.Fatalf("seed %d step %d: %d topics with %d partitions, want %d with %d", seed, step,
			img.Topics.Len(), img.Topics.PartitionCount(), len(h.topics), partitions)
	}
	if len(img.Configs) != len(h.configs) {
		t.Fatalf("seed %d step %d: configs %v, want %v", seed, step, img.Configs, h.configs)
	}
	for r, want := range h.configs {
		if !reflect.DeepEqual(img.Configs[r], want) {
			t.Fatalf("seed %d step %d: %s has %v, want %v", seed, step, r, img.Configs[r], want)
		}
	}
	for id, want := range h.brokers {
		if !reflect.DeepEqual(*img.Brokers[id], want) {
			t.Fatalf("seed %d step %d: broker %d is %+v, want %+v", seed, step, id, img.Brokers[id], want)
		}
	}
	if img.NextProducerID != h.next || img.Features[FeatureVersion] != h.level || img.Term != h.term || img.ClusterID != h.cluster {
		t.Fatalf("seed %d step %d: %+v", seed, step, img)
	}
}

// checkDelta compares the delta with a comparison of the two images topic by topic.
func checkDelta(t *testing.T, seed uint64, step int, before, after *Image, d *Delta) {
	t.Helper()
	if d.From != before.Offset || d.To != after.Offset {
		t.Fatalf("seed %d step %d: delta %d..%d, images %d..%d", seed, step, d.From, d.To, before.Offset, after.Offset)
	}
	seen := map[kafka.UUID]TopicDelta{}
	for _, c := range d.Topics {
		id := kafka.UUID{}
		if c.After != nil {
			id = c.After.ID
		} else {
			id = c.Before.ID
		}
		if c.Before != before.Topics.ByID(id) || c.After != after.Topics.ByID(id) {
			t.Fatalf("seed %d step %d: delta of topic %s is not between the images", seed, step, id)
		}
		seen[id] = c
	}
	ids := map[kafka.UUID]bool{}
	for topic := range before.Topics.All() {
		ids[topic.ID] = true
	}
	for topic := range after.Topics.All() {
		ids[topic.ID] = true
	}
	for id := range ids {
		b, a := before.Topics.ByID(id), after.Topics.ByID(id)
		if _, has := seen[id]; b != a && !has {
			t.Fatalf("seed %d step %d: the delta leaves out topic %s", seed, step, id)
		}
		if b == nil || a == nil {
			continue
		}
		for i := range a.Partitions {
			same := i < len(b.Partitions) && reflect.DeepEqual(a.Partitions[i], b.Partitions[i])
			if !same && !slices.Contains(seen[id].Partitions, int32(i)) {
				t.Fatalf("seed %d step %d: the delta leaves out %s-%d", seed, step, a.Name, i)
			}
		}
	}
}

// MET-3, MET-4, and the contradictions that a store must never let in. Fold refuses the batch as a whole.
func TestFoldRefusesWhatContradictsTheImage(t *testing.T) {
	id := kafka.UUID{1: 1}
	one := []PartitionRun{{Count: 2, Partition: Partition{Replicas: []kafka.BrokerID{1}, ISR: []kafka.BrokerID{1}, Leader: 1, LeaderEpoch: 3, PartitionEpoch: 3}}}
	base, _, err := Fold(Empty(), []Record{
		&ClusterRecord{ID: "c"},
		&FeatureLevelRecord{Name: FeatureVersion, Level: 1},
		&TopicRecord{ID: id, Name: "t", Partitions: one},
		&ProducerIDsRecord{Next: 1000},
		&ControllerRecord{Controller: 1, Term: 5},
	})
	if err != nil {
		t.Fatal(err)
	}
	print := fingerprint(base)
	for name, c := range map[string]struct {
		record Record
		want   error
	}{
		"another cluster":        {&ClusterRecord{ID: "d"}, ErrConflict},
		"level falls":            {&FeatureLevelRecord{Name: FeatureVersion, Level: 0}, ErrConflict},
		"level unknown":          {&FeatureLevelRecord{Name: FeatureVersion, Level: 99}, ErrUnknownRecord},
		"feature unknown":        {&FeatureLevelRecord{Name: "nobody.knows", Level: 1}, ErrUnknownRecord},
		"name in use":            {&TopicRecord{ID: kafka.UUID{2}, Name: "t", Partitions: one}, ErrConflict},
		"id in use":              {&TopicRecord{ID: id, Name: "u", Partitions: one}, ErrConflict},
		"no name":                {&TopicRecord{ID: kafka.UUID{2}, Partitions: one}, ErrConflict},
		"too many partitions":    {&TopicRecord{ID: kafka.UUID{2}, Name: "u", Partitions: []PartitionRun{{Count: MaxPartitions}, {Count: 1}}}, ErrConflict},
		"empty run":              {&TopicRecord{ID: kafka.UUID{2}, Name: "u", Partitions: []PartitionRun{{}}}, ErrConflict},
		"partitions of no topic": {&PartitionRecord{TopicID: kafka.UUID{2}, Runs: one}, ErrConflict},
		"partitions with a gap":  {&PartitionRecord{TopicID: id, First: 3, Runs: one}, ErrConflict},
		"change of no partition": {&PartitionChangeRecord{TopicID: id, Partition: 2}, ErrConflict},
		"epoch falls":            {&PartitionChangeRecord{TopicID: id, Partition: 0}, ErrConflict},
		"removal of no topic":    {&RemoveTopicRecord{ID: kafka.UUID{2}}, ErrConflict},
		"producer ids again":     {&ProducerIDsRecord{Next: 999}, ErrConflict},
		"older term":             {&ControllerRecord{Controller: 2, Term: 4}, ErrConflict},
	} {
		t.Run(name, func(t *testing.T) {
			_, _, err := Fold(base, []Record{&BrokerRecord{Broker: Broker{ID: 9}}, &RemoveTopicRecord{ID: id}, &TopicRecord{ID: kafka.UUID{7}, Name: "v", Partitions: one}, c.record})
			if name == "name in use" || name == "partitions with a gap" || name == "change of no partition" || name == "epoch falls" {
				_, _, err = Fold(base, []Record{&BrokerRecord{Broker: Broker{ID: 9}}, c.record})
			}
			if !errors.Is(err, c.want) {
				t.Fatalf("got %v, want %v", err, c.want)
			}
			if fingerprint(base) != print {
				t.Fatal("the refused batch left traces in the image")
			}
		})
	}
}

// A topic made and removed in one batch is in no delta, and one replaced by another of its name is in it twice.
func TestDeltaOfTopicsThatComeAndGo(t *testing.T) {
	run := []PartitionRun{{Count: 1, Partition: Partition{Replicas: []kafka.BrokerID{1}, ISR: []kafka.BrokerID{1}, Leader: 1}}}
	v := "1"
	set := &ConfigRecord{Resource: Resource{ResourceTopic, "t"}, Name: "retention.ms", Value: &v}
	img, delta, err := Fold(Empty(), []Record{&TopicRecord{ID: kafka.UUID{1}, Name: "t", Partitions: run}, set, &RemoveTopicRecord{ID: kafka.UUID{1}}})
	if err != nil || len(delta.Topics) != 0 || img.Topics.Len() != 0 || len(img.Configs) != 0 {
		t.Fatalf("%v %+v", err, delta)
	}
	if img, _, err = Fold(img, []Record{&TopicRecord{ID: kafka.UUID{2}, Name: "t", Partitions: run}, set}); err != nil {
		t.Fatal(err)
	}
	img, delta, err = Fold(img, []Record{&RemoveTopicRecord{ID: kafka.UUID{2}}, &TopicRecord{ID: kafka.UUID{3}, Name: "t", Partitions: run}})
	if err != nil || len(delta.Topics) != 2 || delta.Topics[0].After != nil || delta.Topics[1].Before != nil {
		t.Fatalf("%v %+v", err, delta)
	}
	if len(img.Configs) != 0 || len(delta.Configs) != 1 {
		t.Fatalf("the new topic inherits %v; delta %v", img.Configs, delta.Configs)
	}
	if _, _, err := Fold(img, []Record{&RemoveTopicRecord{ID: kafka.UUID{3}}, &PartitionRecord{TopicID: kafka.UUID{3}, First: 1, Runs: run}}); !errors.Is(err, ErrConflict) {
		t.Fatalf("partitions of a topic that the same batch removed: %v", err)
	}
}

// Kafka refuses a_b beside a.b.
func TestTopicsOfOneShapeAreFound(t *testing.T) {
	run := []PartitionRun{{Count: 1, Partition: Partition{Replicas: []kafka.BrokerID{1}}}}
	img, _, err := Fold(Empty(), []Record{&TopicRecord{ID: kafka.UUID{1}, Name: "a.b", Partitions: run}, &TopicRecord{ID: kafka.UUID{2}, Name: "plain", Partitions: run}})
	if err != nil {
		t.Fatal(err)
	}
	if c := img.Topics.Colliding("a_b"); c == nil || c.Name != "a.b" {
		t.Fatalf("a_b collides with %v", c)
	}
	for _, name := range []string{"a.b", "ab", "plain", "plain_"} {
		if c := img.Topics.Colliding(name); c != nil {
			t.Fatalf("%s collides with %v", name, c)
		}
	}
	if img, _, err = Fold(img, []Record{&RemoveTopicRecord{ID: kafka.UUID{1}}}); err != nil || img.Topics.Colliding("a_b") != nil {
		t.Fatal("a removed topic still collides")
	}
}

// A nil table answers as an empty one, so that no door needs to ask.
func TestNilTopicsAreEmpty(t *testing.T) {
	var none *Topics
	if none.ByName("a") != nil || none.ByID(kafka.UUID{}) != nil || none.Colliding("a.b") != nil || none.Len() != 0 || len(none.Sorted()) != 0 {
		t.Fatal("a nil *Topics has topics")
	}
	if _, _, ok := Empty().Partition(kafka.TopicPartition{Topic: "t"}); ok {
		t.Fatal("a partition of no topic")
	}
}

// The largest topics that users ask for must stay cheap: memory for 10,000 partitions, and for one change among 10,000 topics.
func TestFoldCopiesLittle(t *testing.T) {
	run := []PartitionRun{{Count: 10_000, Partition: Partition{Replicas: []kafka.BrokerID{1}, ISR: []kafka.BrokerID{1}, Leader: 1}}}
	create := []Record{&TopicRecord{ID: kafka.UUID{1}, Name: "big", Partitions: run}}
	if got := allocated(func() { _, _, _ = Fold(Empty(), create) }); got > 10_000*140 {
		t.Errorf("a topic of 10,000 partitions takes %d bytes, want at most 140 a partition", got)
	}
	if size := len(AppendRecords(nil, create)); size > 64 {
		t.Errorf("its record takes %d bytes", size)
	}

	var many []Record
	rng := rand.New(rand.NewPCG(1, 2))
	small := []PartitionRun{{Count: 1, Partition: run[0].Partition}}
	for i := range 10_000 {
		id := kafka.UUID{}
		for j := range id {
			id[j] = byte(rng.Uint32())
		}
		many = append(many, &TopicRecord{ID: id, Name: "topic-" + strconv.Itoa(i), Partitions: small})
	}
	img, _, err := Fold(Empty(), many)
	if err != nil {
		t.Fatal(err)
	}
	one := []Record{&TopicRecord{ID: kafka.UUID{9, 9, 9}, Name: "one-more", Partitions: small}}
	if got := allocated(func() { _, _, _ = Fold(img, one) }); got > 64<<10 {
		t.Errorf("one topic more beside 10,000 copies %d bytes", got)
	}
}

func allocated(f func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

func BenchmarkFoldTopicOf10000Partitions(b *testing.B) {
	run := []PartitionRun{{Count: 10_000, Partition: Partition{Replicas: []kafka.BrokerID{1}, ISR: []kafka.BrokerID{1}, Leader: 1}}}
	records := []Record{&TopicRecord{ID: kafka.UUID{1}, Name: "big", Partitions: run}}
	b.ReportAllocs()
	for b.Loop() {
		if _, _, err := Fold(Empty(), records); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkFoldOneTopicAmong10000(b *testing.B) {
	small := []PartitionRun{{Count: 1, Partition: Partition{Replicas: []kafka.BrokerID{1}, ISR: []kafka.BrokerID{1}, Leader: 1}}}
	img := Empty()
	for i := range 10_000 {
		var err error
		id := kafka.UUID{0: byte(i), 7: byte(i >> 8), 3: 1}
		if img, _, err = Fold(img, []Record{&TopicRecord{ID: id, Name: "topic-" + strconv.Itoa(i), Partitions: small}}); err != nil {
			b.Fatal(err)
		}
	}
	one := []Record{&TopicRecord{ID: kafka.UUID{9, 9, 9}, Name: "one-more", Partitions: small}}
	b.ReportAllocs()
	for b.Loop() {
		if _, _, err := Fold(img, one); err != nil {
			b.Fatal(err)
		}
	}
}
