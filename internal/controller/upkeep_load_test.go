package controller_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/rafka-io/rafka/internal/controller"
	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/metadata"
	"github.com/rafka-io/rafka/internal/seed"
)

const mib = 1 << 20

// traffic gives partitions of a topic a load, in MiB/s.
func traffic(img *metadata.Image, topic string, rates ...int64) (loads []controller.Load) {
	for i, n := range rates {
		loads = append(loads, controller.Load{Topic: img.Topics.ByName(topic).ID, Partition: int32(i), BytesPerSecond: n * mib, Size: mib})
	}
	return loads
}

// work is what brokers have to do: a leader twice what a follower has.
func work(img *metadata.Image, loads []controller.Load) map[kafka.BrokerID]int64 {
	w := map[kafka.BrokerID]int64{}
	for _, l := range loads {
		for i, id := range img.Topics.ByID(l.Topic).Partitions[l.Partition].Replicas {
			w[id] += l.BytesPerSecond
			if i == 0 {
				w[id] += l.BytesPerSecond
			}
		}
	}
	return w
}

// Who leads is changed before anything is copied, and replicas move where that does not help; both say why.
func TestUpkeepSpreadsLoad(t *testing.T) {
	env := testEnv()
	img := topic(t, five(t), "t", led(ids{1, 2}), led(ids{1, 2}), led(ids{3, 4}), led(ids{4, 5}), led(ids{5, 3}))
	env.Loads = traffic(img, "t", 40, 30, 10)
	records, why := controller.Upkeep(env, img, 0)
	after := fold(t, img, records)
	if p := after.Topics.ByName("t").Partitions; p[0].Leader == p[1].Leader || len(why) == 0 || !strings.Contains(why[0], "which has it too: broker 1 has to do with 140.0 MiB/s and broker 2 with 70.0 MiB/s, of which the partition is ") {
		t.Errorf("%+v %q", p, why)
	}
	alone := topic(t, five(t), "t", led(ids{1}), led(ids{1}), led(ids{2}), led(ids{3}), led(ids{4}), led(ids{5}))
	env.Loads = traffic(alone, "t", 40, 40)
	records, why = controller.Upkeep(env, alone, 5)
	if list := controller.Reassigning(fold(t, alone, records)); len(list) != 1 || !strings.Contains(why[0], "goes from brokers [1] to [2]: broker 1 has to do with 160.0 MiB/s and broker 2 with 0 B/s, of which the partition is 40.0 MiB/s") {
		t.Errorf("%+v %q", list, why)
	}
	for i := range env.Loads {
		env.Loads[i].Size = 1 << 50
	}
	if records, why := controller.Upkeep(env, alone, 5); records != nil {
		t.Errorf("years of copying are not worth it: %q", why)
	}
}

// What an operator has placed stays until somebody says otherwise, and nothing is evened out where that is turned off.
func TestUpkeepLeavesWhatIsPlacedByHand(t *testing.T) {
	env := testEnv()
	img := newTopic(t, env, five(t), "t", 10, 2)
	var list []controller.Reassignment
	for i := range int32(10) {
		list = append(list, controller.Reassignment{TopicPartition: kafka.TopicPartition{Topic: "t", Partition: i}, Replicas: ids{1, 2}})
	}
	records, errs := controller.AlterReassignments(env, img, list, false)
	pins := controller.PlacedByHand(img, list, errs)
	if len(pins) != 1 {
		t.Fatalf("%+v", pins)
	}
	placed, _ := keepUp(t, env, arrive(t, env, fold(t, img, append(records, pins...))), 5) // the first of the replicas leads
	env.Loads = traffic(placed, "t", 50, 50, 50)
	if after, said := keepUp(t, env, placed, 5); len(said) != 0 {
		t.Errorf("%q %+v", said, after.Topics.ByName("t"))
	}
	refused := make([]error, len(list))
	for i := range refused {
		refused[i] = kafka.UnknownTopicOrPartition
	}
	for what, none := range map[string][]metadata.Record{
		"set already": controller.PlacedByHand(placed, list, errs), "refused": controller.PlacedByHand(img, list, refused),
		"cancelled": controller.PlacedByHand(img, []controller.Reassignment{{TopicPartition: list[0].TopicPartition}}, []error{nil}),
	} {
		if none != nil {
			t.Errorf("%s: %+v", what, none)
		}
	}
	on := "true"
	back := fold(t, placed, []metadata.Record{&metadata.ConfigRecord{Resource: metadata.Resource{Type: metadata.ResourceTopic, Name: "t"}, Name: "rafka.balance.enable", Value: &on}})
	env.Inherited = func(_ *metadata.Image, _ metadata.Resource, name string) string {
		return map[string]string{"rafka.balance.enable": "false"}[name]
	}
	even, said := keepUp(t, env, back, 5)
	if holds, _, _ := load(even); len(said) == 0 {
		t.Errorf("it is on for the topic: %v", holds)
	}
	off := fold(t, placed, []metadata.Record{&metadata.ConfigRecord{Resource: metadata.Resource{Type: metadata.ResourceTopic, Name: "t"}, Name: "rafka.balance.enable"}})
	if records, why := controller.Upkeep(env, off, 5); records != nil {
		t.Errorf("it is off for the cluster: %q", why)
	}
}

// Random clusters under a steady load come to rest, with every topic's number of replicas and racks kept, numbers as even as without load, and nobody
// busier than before. Drained and dead brokers get nothing.
func TestUpkeepComesToRestUnderLoad(t *testing.T) {
	base := seed.Of(t)
	for run := range uint64(60) {
		rng := rand.New(rand.NewPCG(base, run))
		env := testEnv()
		var list []metadata.Broker
		for id := range 3 + rng.IntN(5) {
			list = append(list, metadata.Broker{ID: kafka.BrokerID(id + 1), Rack: string(rune('a' + id%3))})
		}
		img := brokers(t, list...)
		for i := range 1 + rng.IntN(4) {
			img = newTopic(t, env, img, fmt.Sprint("t", i), 1+rng.Int32N(20), 1+int16(rng.IntN(3)))
		}
		if rng.IntN(2) == 0 {
			img = join(t, img, metadata.Broker{ID: 1, Rack: "a", Draining: true})
		}
		if rng.IntN(2) == 0 {
			img = fold(t, img, controller.FenceBroker(env, img, 2))
		}
		img, _ = keepUp(t, env, img, 5)
		racks := map[string]int{}
		count := func(img *metadata.Image, visit func(key string, replicas, racks int)) {
			for _, topic := range img.Topics.Sorted() {
				for i, p := range topic.Partitions {
					seen := map[string]bool{}
					for _, id := range p.Replicas {
						seen[img.Brokers[id].Rack] = true
					}
					visit(fmt.Sprint(topic.Name, "-", i, " of ", len(p.Replicas)), len(p.Replicas), len(seen))
				}
			}
		}
		count(img, func(key string, _, n int) { racks[key] = n })
		for _, topic := range img.Topics.Sorted() {
			for i := range topic.Partitions {
				if rng.IntN(3) == 0 {
					env.Loads = append(env.Loads, controller.Load{Topic: topic.ID, Partition: int32(i), BytesPerSecond: rng.Int64N(100 * mib), Size: mib})
				}
			}
		}
		before := work(img, env.Loads)
		after, said := keepUp(t, env, img, 5)
		busiest := func(w map[kafka.BrokerID]int64) (n int64) {
			for _, v := range w {
				n = max(n, v)
			}
			return n
		}
		now := work(after, env.Loads)
		if busiest(now) > busiest(before) {
			t.Errorf("seed %d run %d: %v became %v: %q", base, run, before, now, said)
		}
		count(after, func(key string, _, n int) {
			if n < racks[key] {
				t.Errorf("seed %d run %d: %s was in %d racks and is in %d", base, run, key, racks[key], n)
			}
		})
		if slices.ContainsFunc(said, func(s string) bool { return strings.Contains(s, "replicas and broker") }) {
			t.Errorf("seed %d run %d: what was moved for the load was evened out again: %q", base, run, said)
		}
	}
}
