package metadata

import (
	"fmt"
	"reflect"
	"slices"
	"testing"

	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/seed"
)

// MET-2: a node that loads a snapshot in between is told by Between what it missed: everything that differs, nothing that does not, and at the
// ends of a history that nobody missed the same as the records said.
func TestBetweenTellsWhatASnapshotSkipped(t *testing.T) {
	for range 30 {
		seed := seed.Of(t)
		h := newHistory(seed)
		img := Empty()
		images := []*Image{img}
		for step := range 40 {
			next, folded, err := Fold(img, h.batch())
			if err != nil {
				t.Fatalf("seed %d step %d: %v", seed, step, err)
			}
			checkWithin(t, seed, step, Between(img, next), folded)
			img = next
			images = append(images, img)
		}
		for range 40 {
			from := h.rng.IntN(len(images))
			to := from + h.rng.IntN(len(images)-from)
			// Loaded anew, so that nothing is shared.
			loaded, _, err := SnapshotOf(images[to]).Image()
			if err != nil {
				t.Fatal(err)
			}
			d := Between(images[from], loaded)
			checkDifference(t, seed, images[from], loaded, d)
			if from == to && !d.IsEmpty() {
				t.Fatalf("seed %d: an image differs from its snapshot: %+v", seed, d)
			}
		}
	}
}

// checkWithin: what two neighbouring images differ in is part of what the records between them touched.
func checkWithin(t *testing.T, seed uint64, step int, d, folded *Delta) {
	t.Helper()
	if d.From != folded.From || d.To != folded.To || d.Cluster && !folded.Cluster {
		t.Fatalf("seed %d step %d: %+v is not within %+v", seed, step, d, folded)
	}
	for _, r := range d.Configs {
		if !slices.Contains(folded.Configs, r) {
			t.Fatalf("seed %d step %d: nobody touched %s", seed, step, r)
		}
	}
	for _, id := range d.Brokers {
		if !slices.Contains(folded.Brokers, id) {
			t.Fatalf("seed %d step %d: nobody touched broker %d", seed, step, id)
		}
	}
	for _, c := range d.Topics {
		if !slices.ContainsFunc(folded.Topics, func(f TopicDelta) bool { return f.Before == c.Before && f.After == c.After }) {
			t.Fatalf("seed %d step %d: nobody touched %+v", seed, step, c)
		}
	}
}

// checkDifference: the delta names exactly what differs.
func checkDifference(t *testing.T, seed uint64, old, new *Image, d *Delta) {
	t.Helper()
	for r := range old.Configs {
		if same := reflect.DeepEqual(old.Configs[r], new.Configs[r]); same == slices.Contains(d.Configs, r) {
			t.Fatalf("seed %d: settings of %s are equal: %v, and in the delta: %v", seed, r, same, !same)
		}
	}
	for r := range new.Configs {
		if old.Configs[r] == nil && !slices.Contains(d.Configs, r) {
			t.Fatalf("seed %d: the delta leaves out the new settings of %s", seed, r)
		}
	}
	for id := kafka.BrokerID(0); id < 4; id++ {
		if same := fmt.Sprintf("%+v", broker(old, id)) == fmt.Sprintf("%+v", broker(new, id)); same == slices.Contains(d.Brokers, id) {
			t.Fatalf("seed %d: broker %d is equal: %v, and in the delta: %v", seed, id, same, !same)
		}
	}
	same := old.ClusterID == new.ClusterID && old.Controller == new.Controller && old.Term == new.Term && old.NextProducerID == new.NextProducerID &&
		old.Features[FeatureVersion] == new.Features[FeatureVersion]
	if same == d.Cluster {
		t.Fatalf("seed %d: the cluster's own facts are equal: %v, and in the delta: %v", seed, same, d.Cluster)
	}
	told := map[kafka.UUID]TopicDelta{}
	for _, c := range d.Topics {
		topic := c.After
		if topic == nil {
			topic = c.Before
		}
		if _, twice := told[topic.ID]; twice || c.Before != old.Topics.ByID(topic.ID) || c.After != new.Topics.ByID(topic.ID) {
			t.Fatalf("seed %d: the delta of %s is told twice or is not between the images", seed, topic.Name)
		}
		told[topic.ID] = c
	}
	for before := range old.Topics.All() {
		after := new.Topics.ByID(before.ID)
		if c, has := told[before.ID]; after == nil {
			if !has {
				t.Fatalf("seed %d: the delta leaves out that %s was removed", seed, before.Name)
			}
		} else if want := different(before, after); !slices.Equal(c.Partitions, want) || has != (want != nil) {
			t.Fatalf("seed %d: the delta says partitions %v of %s, different are %v", seed, c.Partitions, before.Name, want)
		}
	}
	for after := range new.Topics.All() {
		if c, has := told[after.ID]; old.Topics.ByID(after.ID) == nil && (!has || c.Partitions != nil) {
			t.Fatalf("seed %d: the delta leaves out that %s was made, or calls it changed", seed, after.Name)
		}
	}
}

// A topic that was removed and made anew under its name is told as both, in that order.
func TestBetweenTellsARemovedTopicBeforeTheOneThatTookItsName(t *testing.T) {
	make := func(id byte) *Image {
		img, _, err := Fold(Empty(), []Record{&TopicRecord{ID: kafka.UUID{id}, Name: "t", Partitions: []PartitionRun{{Count: 1,
			Partition: Partition{Replicas: []kafka.BrokerID{1}, ISR: []kafka.BrokerID{1}, Leader: 1}}}}})
		if err != nil {
			t.Fatal(err)
		}
		return img
	}
	d := Between(make(1), make(2))
	if len(d.Topics) != 2 || d.Topics[0].After != nil || d.Topics[1].Before != nil || d.Topics[1].After.ID != (kafka.UUID{2}) {
		t.Fatalf("%+v", d.Topics)
	}
}

func different(before, after *Topic) (list []int32) {
	for i := range after.Partitions {
		if i >= len(before.Partitions) || fmt.Sprint(before.Partitions[i]) != fmt.Sprint(after.Partitions[i]) {
			list = append(list, int32(i))
		}
	}
	return list
}

func broker(img *Image, id kafka.BrokerID) any {
	if b := img.Brokers[id]; b != nil {
		return *b
	}
	return nil
}
