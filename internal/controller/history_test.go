package controller_test

import (
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"

	"github.com/rafka-io/rafka/internal/controller"
	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/metadata"
	"github.com/rafka-io/rafka/internal/seed"
)

// Whatever is asked in whatever order, sensible or not: the records of a decision fold, the same request decides the same (CTL-1), every
// leader is in its ISR (CTL-2) and not fenced (CTL-4), no topic id comes back (CTL-5), and a refusal has a code of its own (KAF-1).
func TestRandomRequestsKeepTheLaws(t *testing.T) {
	for range 40 {
		seed := seed.Of(t)
		rng := rand.New(rand.NewPCG(seed, 13))
		img := cluster(t, 4, 3)
		used := map[kafka.UUID]string{}
		var next, again byte
		env, twin := testEnv(), testEnv()
		env.NewTopicID = func() kafka.UUID { next++; return kafka.UUID{0: next, 15: 1} }
		twin.NewTopicID = func() kafka.UUID { again++; return kafka.UUID{0: again, 15: 1} }
		for step := range 60 {
			request := randomRequest(rng)
			records, errs := request(env, img)
			same, _ := request(twin, img)
			if !reflect.DeepEqual(records, same) {
				t.Fatalf("seed %d step %d: two decisions about one request differ", seed, step)
			}
			for _, err := range errs {
				if err != nil && kafka.CodeOf(err) == kafka.UnknownServerError {
					t.Fatalf("seed %d step %d: %v", seed, step, err)
				}
			}
			before := img
			img = fold(t, img, records)
			for topic := range img.Topics.All() {
				if was, known := used[topic.ID]; known && before.Topics.ByID(topic.ID) == nil {
					t.Fatalf("seed %d step %d: the id of %s is that of %s again", seed, step, was, topic.Name)
				}
				used[topic.ID] = topic.Name
				for i, p := range topic.Partitions {
					if !slices.Contains(p.ISR, p.Leader) || img.Brokers[p.Leader].Fenced || len(p.Replicas) != len(topic.Partitions[0].Replicas) {
						t.Fatalf("seed %d step %d: %s-%d is %+v", seed, step, topic.Name, i, p)
					}
				}
			}
		}
	}
}

func randomRequest(rng *rand.Rand) func(*controller.Env, *metadata.Image) ([]metadata.Record, []error) {
	name := func() string {
		return []string{"a", "b", "a.b", "a_b", "", "x/y", "__consumer_offsets"}[rng.IntN(7)]
	}
	setting := func() string {
		return []string{"retention.ms", "cleanup.policy", "no.such", "preallocate"}[rng.IntN(4)]
	}
	text := func() string { return []string{"1", "compact", "true", "x", ""}[rng.IntN(5)] }
	replicas := func() (list []kafka.BrokerID) {
		for range rng.IntN(4) {
			list = append(list, kafka.BrokerID(rng.IntN(6)))
		}
		return list
	}
	switch rng.IntN(5) {
	case 0:
		refs := []controller.TopicRef{{Name: name()}, {ID: kafka.UUID{0: byte(rng.IntN(20)), 15: 1}}}
		return func(env *controller.Env, img *metadata.Image) ([]metadata.Record, []error) {
			records, answers := controller.DeleteTopics(env, img, refs)
			return records, []error{answers[0].Err, answers[1].Err}
		}
	case 1:
		more := []controller.MorePartitions{{Topic: name(), Total: int32(rng.IntN(9))}, {Topic: name(), Total: int32(rng.IntN(9)), Assignment: [][]kafka.BrokerID{replicas()}}}
		return func(env *controller.Env, img *metadata.Image) ([]metadata.Record, []error) {
			return controller.CreatePartitions(env, img, more)
		}
	case 2:
		types := []metadata.ResourceType{metadata.ResourceTopic, metadata.ResourceBroker, metadata.ResourceGroup, 1}
		r := controller.AlterResource{Resource: metadata.Resource{Type: types[rng.IntN(4)], Name: name()}, Replace: rng.IntN(3) == 0}
		for range rng.IntN(4) {
			v := text()
			r.Changes = append(r.Changes, controller.ConfigChange{Name: setting(), Op: controller.ConfigOp(rng.IntN(5)), Value: &v})
		}
		return func(env *controller.Env, img *metadata.Image) ([]metadata.Record, []error) {
			return controller.AlterConfigs(env, img, []controller.AlterResource{r})
		}
	}
	var topics []controller.NewTopic
	for range 1 + rng.IntN(3) {
		n := controller.NewTopic{Name: name(), Partitions: int32(rng.IntN(6) - 1), Replication: int16(rng.IntN(6) - 1)}
		if rng.IntN(3) == 0 {
			n.Partitions, n.Replication, n.Assignment = -1, -1, map[int32][]kafka.BrokerID{}
			for i := range 1 + rng.IntN(3) {
				n.Assignment[int32(i)] = replicas()
			}
		}
		if rng.IntN(3) == 0 {
			n.Configs = []controller.ConfigEntry{{Name: setting(), Value: value(text())}}
		}
		topics = append(topics, n)
	}
	return func(env *controller.Env, img *metadata.Image) ([]metadata.Record, []error) {
		records, answers := controller.CreateTopics(env, img, topics)
		var errs []error
		for _, a := range answers {
			errs = append(errs, a.Err)
		}
		return records, errs
	}
}
