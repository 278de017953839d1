package controller_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/rafka-io/rafka/internal/controller"
	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/metadata"
)

// arrive has every reassignment reach its goal: leaders say that all replicas are in sync.
func arrive(t testing.TB, env *controller.Env, img *metadata.Image) *metadata.Image {
	t.Helper()
	for _, topic := range img.Topics.Sorted() {
		for i, p := range topic.Partitions {
			if p.Leader == kafka.NoBroker || len(p.ISR) == len(p.Replicas) {
				continue
			}
			q := controller.ISRChange{TopicID: topic.ID, Partition: int32(i), LeaderEpoch: p.LeaderEpoch, PartitionEpoch: p.PartitionEpoch}
			for _, id := range p.Replicas {
				if !img.Brokers[id].Fenced {
					q.ISR = append(q.ISR, controller.ISRMember{ID: id, Epoch: -1})
				}
			}
			records, errs := controller.AlterPartition(env, img, p.Leader, img.Brokers[p.Leader].Epoch, []controller.ISRChange{q})
			if code := kafka.CodeOf(errs[0]); code != kafka.None && code != kafka.NewLeaderElected {
				t.Fatal(errs)
			}
			img = fold(t, img, records)
		}
	}
	return img
}

// keepUp calls Upkeep until it has nothing more to do, and returns what it said. No more than limit may be under way at a time.
func keepUp(t testing.TB, env *controller.Env, img *metadata.Image, limit int) (*metadata.Image, []string) {
	t.Helper()
	var said []string
	for range 1000 {
		records, why := controller.Upkeep(env, img, limit)
		said = append(said, why...)
		if records == nil {
			return img, said
		}
		img = fold(t, img, records)
		if n := len(controller.Reassigning(img)); n > limit {
			t.Fatalf("%d reassignments under way, at most %d are wanted", n, limit)
		}
		img = arrive(t, env, img)
	}
	t.Fatal("upkeep never rests")
	return nil, nil
}

// load is how many replicas each broker holds, and of how many it is the first and the leader.
func load(img *metadata.Image) (holds, first, leads map[kafka.BrokerID]int) {
	holds, first, leads = map[kafka.BrokerID]int{}, map[kafka.BrokerID]int{}, map[kafka.BrokerID]int{}
	for t := range img.Topics.All() {
		for _, p := range t.Partitions {
			first[p.Replicas[0]]++
			leads[p.Leader]++
			for _, id := range p.Replicas {
				holds[id]++
			}
		}
	}
	return holds, first, leads
}

func wantEven(t *testing.T, what string, counts map[kafka.BrokerID]int, among ...kafka.BrokerID) {
	t.Helper()
	most, least := 0, 1<<30
	for _, id := range among {
		most, least = max(most, counts[id]), min(least, counts[id])
	}
	if most-least > max(2, most/10) || len(slices.Collect(maps.Keys(counts))) > len(among) {
		t.Errorf("%s is uneven: %v", what, counts)
	}
}

func join(t *testing.T, img *metadata.Image, list ...metadata.Broker) *metadata.Image {
	t.Helper()
	for _, b := range list {
		b.Epoch = int64(img.Offset) + 1
		img = fold(t, img, []metadata.Record{&metadata.BrokerRecord{Broker: b}})
	}
	return img
}

func newTopic(t *testing.T, env *controller.Env, img *metadata.Image, name string, partitions int32, replication int16) *metadata.Image {
	t.Helper()
	records, answers := controller.CreateTopics(env, img, []controller.NewTopic{{Name: name, Partitions: partitions, Replication: replication}})
	if answers[0].Err != nil {
		t.Fatal(answers[0].Err)
	}
	return fold(t, img, records)
}

// On a cluster of one, and on one where all is well, there is nothing to do.
func TestUpkeepLeavesAloneWhatIsWell(t *testing.T) {
	env := testEnv()
	img := newTopic(t, env, newTopic(t, env, brokers(t, metadata.Broker{ID: 1}), "t", 20, 1), "__consumer_offsets", 50, 1)
	for _, img := range []*metadata.Image{metadata.Empty(), img, newTopic(t, env, newTopic(t, env, five(t), "t", 50, 3), "__consumer_offsets", 50, 3)} {
		if records, why := controller.Upkeep(env, img, 10); records != nil || why != nil {
			t.Errorf("%d records: %v", len(records), why)
		}
	}
}

// The cluster's own topics, which began on one broker, get the replicas they should have when others join, and their leaders are spread.
func TestUpkeepRaisesInternalTopics(t *testing.T) {
	env := testEnv()
	img := newTopic(t, env, newTopic(t, env, brokers(t, metadata.Broker{ID: 1}), "__consumer_offsets", 50, 1), "__share_group_state", 10, 1)
	img = join(t, img, metadata.Broker{ID: 2})
	img, said := keepUp(t, env, img, 7)
	for topic := range img.Topics.All() {
		for i, p := range topic.Partitions {
			if len(p.Replicas) != 2 {
				t.Fatalf("%s-%d with two brokers is %+v", topic.Name, i, p)
			}
		}
	}
	if len(said) == 0 || !strings.Contains(said[0], "__consumer_offsets-0 goes from brokers [1] to [2 1]: the cluster's own topics have 2 replicas") {
		t.Errorf("it says %q", said)
	}
	img, _ = keepUp(t, env, join(t, img, metadata.Broker{ID: 3}, metadata.Broker{ID: 4}), 7)
	for topic := range img.Topics.All() {
		for i, p := range topic.Partitions {
			if len(p.Replicas) != 3 || len(p.ISR) != 3 {
				t.Fatalf("%s-%d with four brokers is %+v", topic.Name, i, p)
			}
		}
	}
	holds, first, leads := load(img)
	wantEven(t, "replicas", holds, 1, 2, 3, 4)
	wantEven(t, "first replicas", first, 1, 2, 3, 4)
	wantEven(t, "leaders", leads, 1, 2, 3, 4)
	env.Inherited = func(_ *metadata.Image, _ metadata.Resource, name string) string {
		return map[string]string{"offsets.topic.replication.factor": "1", "auto.leader.rebalance.enable": "false"}[name]
	}
	one := newTopic(t, env, five(t), "__consumer_offsets", 5, 1)
	if records, why := controller.Upkeep(env, one, 10); records != nil {
		t.Errorf("the operator wants one replica: %v", why)
	}
}

// A draining broker ends up with nothing, dead or alive, and what it cannot give away is said.
func TestUpkeepEmptiesDrainingBrokers(t *testing.T) {
	for _, dead := range []bool{false, true} {
		env := testEnv()
		img := newTopic(t, env, five(t), "t", 30, 3)
		img = join(t, img, metadata.Broker{ID: 2, Draining: true})
		if dead {
			img = fold(t, img, controller.FenceBroker(env, img, 2))
		}
		img, said := keepUp(t, env, img, 4)
		holds, _, leads := load(img)
		if holds[2] != 0 || len(said) == 0 || !strings.Contains(said[0], "brokers [2] are draining") {
			t.Errorf("dead %v: broker 2 holds %d replicas; %q", dead, holds[2], said)
		}
		wantEven(t, "replicas", holds, 1, 3, 4, 5)
		wantEven(t, "leaders", leads, 1, 3, 4, 5)
	}
	env := testEnv()
	img := newTopic(t, env, brokers(t, metadata.Broker{ID: 1}, metadata.Broker{ID: 2}), "t", 4, 2)
	records, why := controller.Upkeep(env, join(t, img, metadata.Broker{ID: 2, Draining: true}), 4)
	if want := "[4 replicas stay on broker 2, which is draining: their partitions have no leader to copy from, or no other broker can take them]"; records != nil || fmt.Sprint(why) != want {
		t.Errorf("%v %v", records, why)
	}
}

// New brokers get their part of everything; nothing moves to and fro.
func TestUpkeepFillsNewBrokers(t *testing.T) {
	env := testEnv()
	img := newTopic(t, env, newTopic(t, env, brokers(t, metadata.Broker{ID: 1}, metadata.Broker{ID: 2}, metadata.Broker{ID: 3}), "a", 40, 3), "b", 17, 2)
	img, said := keepUp(t, env, join(t, img, metadata.Broker{ID: 4}, metadata.Broker{ID: 5}), 5)
	holds, first, leads := load(img)
	all := ids{1, 2, 3, 4, 5}
	wantEven(t, "replicas", holds, all...)
	wantEven(t, "first replicas", first, all...)
	wantEven(t, "leaders", leads, all...)
	moved := 0
	for _, s := range said {
		if strings.Contains(s, "goes from brokers") {
			moved++
		}
	}
	if total := 40*3 + 17*2; moved > total*2/5+2 {
		t.Errorf("%d moves for two of five brokers and %d replicas", moved, total)
	}
}

// Evening out does not put two replicas into one rack where they are in two, and drained replicas go to a rack of their own if there is one.
func TestUpkeepKeepsRacksApart(t *testing.T) {
	env := testEnv()
	img := brokers(t, metadata.Broker{ID: 1, Rack: "a"}, metadata.Broker{ID: 2, Rack: "a"}, metadata.Broker{ID: 3, Rack: "b"}, metadata.Broker{ID: 4, Rack: "b"})
	img = newTopic(t, env, img, "t", 24, 2)
	apart := func() {
		t.Helper()
		for i, p := range img.Topics.ByName("t").Partitions {
			if img.Brokers[p.Replicas[0]].Rack == img.Brokers[p.Replicas[1]].Rack {
				t.Fatalf("t-%d is in one rack: %+v", i, p)
			}
		}
	}
	apart()
	img, _ = keepUp(t, env, join(t, img, metadata.Broker{ID: 5, Rack: "a"}), 3)
	apart()
	img, _ = keepUp(t, env, join(t, img, metadata.Broker{ID: 3, Rack: "b", Draining: true}), 3)
	apart()
	if holds, _, _ := load(img); holds[3] != 0 || holds[4] != 24 {
		t.Errorf("%v", holds)
	}
}

// Leaders go back to the first of their replicas when more than a tenth of a broker's are elsewhere, not for less, and not when that is
// switched off.
func TestUpkeepPrefersTheFirstReplica(t *testing.T) {
	env := testEnv()
	back := newTopic(t, env, brokers(t, metadata.Broker{ID: 1}, metadata.Broker{ID: 2}), "t", 40, 2)
	back = fold(t, back, controller.FenceBroker(env, back, 1))
	back = arrive(t, env, fold(t, back, controller.UnfenceBroker(env, back, 1)))
	if _, _, leads := load(back); leads[1] != 0 {
		t.Fatalf("%v", leads)
	}
	img, said := keepUp(t, env, back, 1)
	if _, _, leads := load(img); leads[1] != 20 || len(said) != 1 || !strings.Contains(said[0], "broker 1 leads 20 partitions again") {
		t.Errorf("%v, %q", leads, said)
	}
	two := fold(t, img, func() (records []metadata.Record) {
		for i, p := range img.Topics.ByName("t").Partitions {
			if p.Leader == 1 && len(records) < 2 {
				p.Leader, p.LeaderEpoch, p.PartitionEpoch = 2, p.LeaderEpoch+1, p.PartitionEpoch+1
				records = append(records, &metadata.PartitionChangeRecord{TopicID: img.Topics.ByName("t").ID, Partition: int32(i), State: p})
			}
		}
		return records
	}())
	if records, why := controller.Upkeep(env, two, 1); records != nil {
		t.Errorf("two of twenty are not worth it: %v", why)
	}
	env.Inherited = func(*metadata.Image, metadata.Resource, string) string { return "false" }
	if records, why := controller.Upkeep(env, back, 1); records != nil {
		t.Errorf("it is switched off: %v", why)
	}
}

// What nobody has asked for but can be mended is: a topic whose setting allows unclean elections by now.
func TestUpkeepMends(t *testing.T) {
	env := testEnv()
	img := topic(t, fold(t, five(t), []metadata.Record{&metadata.BrokerRecord{Broker: metadata.Broker{ID: 1, Fenced: true}}}), "t",
		metadata.Partition{Replicas: ids{1, 2}, ISR: ids{1}, Leader: kafka.NoBroker, LeaderEpoch: 3, PartitionEpoch: 5},
		metadata.Partition{Replicas: ids{1, 2}, ISR: ids{1, 2}, Leader: 1, LeaderEpoch: 3, PartitionEpoch: 5})
	records, why := controller.Upkeep(env, img, 0)
	after := fold(t, img, records).Topics.ByName("t").Partitions
	wantState(t, "nobody may", after[0], state(img, "t"))
	wantState(t, "led by the dead", after[1], metadata.Partition{Replicas: ids{1, 2}, ISR: ids{2}, Leader: 2, LeaderEpoch: 4, PartitionEpoch: 6})
	if len(why) != 1 {
		t.Errorf("%q", why)
	}
	env.Unclean = func(*metadata.Image, string) bool { return true }
	records, _ = controller.Upkeep(env, img, 0)
	wantState(t, "anybody may", state(fold(t, img, records), "t"), metadata.Partition{Replicas: ids{1, 2}, ISR: ids{2}, Leader: 2, LeaderEpoch: 4, PartitionEpoch: 6})
}

// While brokers or topics come, nothing is evened out; what protects data goes on.
func TestUpkeepWaitsWithEveningOut(t *testing.T) {
	env := testEnv()
	img := newTopic(t, env, brokers(t, metadata.Broker{ID: 1}, metadata.Broker{ID: 2}, metadata.Broker{ID: 3}), "a", 40, 2)
	img = join(t, img, metadata.Broker{ID: 4})
	env.Restless = true
	if records, why := controller.Upkeep(env, img, 5); records != nil {
		t.Errorf("%v", why)
	}
	if records, _ := controller.Upkeep(env, join(t, img, metadata.Broker{ID: 1, Draining: true}), 5); records == nil {
		t.Error("a draining broker keeps what it has")
	}
	env.Restless = false
	if records, _ := controller.Upkeep(env, img, 5); records == nil {
		t.Error("a new broker gets nothing")
	}
}
