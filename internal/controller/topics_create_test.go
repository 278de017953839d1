package controller_test

import (
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/rafka-io/rafka/internal/controller"
	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/metadata"
	"github.com/rafka-io/rafka/internal/seed"
)

// Every refusal has Kafka's code and Kafka's words.
func TestCreateTopicsRefuses(t *testing.T) {
	long := strings.Repeat("x", 250)
	type assignment = map[int32][]kafka.BrokerID
	plain := func(name string) controller.NewTopic {
		return controller.NewTopic{Name: name, Partitions: 1, Replication: 1}
	}
	manual := func(a assignment) controller.NewTopic {
		return controller.NewTopic{Name: "t", Partitions: -1, Replication: -1, Assignment: a}
	}
	for _, c := range []struct {
		topic controller.NewTopic
		want  string
	}{
		{plain("fresh"), "ok"},
		{plain(strings.Repeat("x", 249)), "ok"},
		{plain("aA0._-"), "ok"},
		{plain("__consumer_offsets"), "ok"},
		{controller.NewTopic{Name: "t", Partitions: -1, Replication: -1}, "ok"},
		{plain(""), "INVALID_TOPIC_EXCEPTION: Topic name is invalid: the empty string is not allowed"},
		{plain("."), "INVALID_TOPIC_EXCEPTION: Topic name is invalid: '.' is not allowed"},
		{plain(".."), "INVALID_TOPIC_EXCEPTION: Topic name is invalid: '..' is not allowed"},
		{plain(long), "INVALID_TOPIC_EXCEPTION: Topic name is invalid: the length of '" + long + "' is longer than the max allowed length 249"},
		{plain("a/b"), "INVALID_TOPIC_EXCEPTION: Topic name is invalid: 'a/b' contains one or more characters other than ASCII alphanumerics, '.', '_' and '-'"},
		{plain("../x"), "INVALID_TOPIC_EXCEPTION: Topic name is invalid: '../x' contains one or more characters other than ASCII alphanumerics, '.', '_' and '-'"},
		{plain("ä"), "INVALID_TOPIC_EXCEPTION: Topic name is invalid: 'ä' contains one or more characters other than ASCII alphanumerics, '.', '_' and '-'"},
		{plain("a\x00"), "INVALID_TOPIC_EXCEPTION: Topic name is invalid: 'a\x00' contains one or more characters other than ASCII alphanumerics, '.', '_' and '-'"},
		{plain("__cluster_metadata"), "TOPIC_AUTHORIZATION_FAILED: Authorization failed."},
		{plain("there"), "TOPIC_ALREADY_EXISTS: Topic 'there' already exists."},
		{plain("a_b"), "INVALID_TOPIC_EXCEPTION: Topic 'a_b' collides with existing topic: a.b"},
		{plain("twice"), "INVALID_REQUEST: Duplicate topic name."},
		{controller.NewTopic{Name: "t", Partitions: 0, Replication: 1}, "INVALID_PARTITIONS: Number of partitions was set to an invalid non-positive value."},
		{controller.NewTopic{Name: "t", Partitions: -2, Replication: 1}, "INVALID_PARTITIONS: Number of partitions was set to an invalid non-positive value."},
		{controller.NewTopic{Name: "t", Partitions: 1, Replication: 0}, "INVALID_REPLICATION_FACTOR: Replication factor must be larger than 0, or -1 to use the default value."},
		{controller.NewTopic{Name: "t", Partitions: 1, Replication: -2}, "INVALID_REPLICATION_FACTOR: Replication factor must be larger than 0, or -1 to use the default value."},
		{controller.NewTopic{Name: "t", Partitions: 1, Replication: 5}, "INVALID_REPLICATION_FACTOR: Unable to replicate the partition 5 time(s): The target replication factor of 5 cannot be reached because only 4 broker(s) are registered."},
		{controller.NewTopic{Name: "t", Partitions: 1, Replication: 4}, "ok"}, // one of them on a fenced broker, and not in sync
		{controller.NewTopic{Name: "t", Partitions: 200_001, Replication: 1}, "POLICY_VIOLATION: Excessively large number of partitions per request: 200001, the limit is 200000."},
		{controller.NewTopic{Name: "t", Partitions: 200_000, Replication: 1}, "POLICY_VIOLATION: The cluster would have 200006 partitions; the limit is 200000. Delete topics that are no longer used."},
		{controller.NewTopic{Name: "t", Partitions: 1, Replication: -1, Assignment: assignment{0: {1}}}, "INVALID_REQUEST: A manual partition assignment was specified, but numPartitions was not set to -1."},
		{controller.NewTopic{Name: "t", Partitions: -1, Replication: 1, Assignment: assignment{0: {1}}}, "INVALID_REQUEST: A manual partition assignment was specified, but replication factor was not set to -1."},
		{manual(assignment{0: {1}, 1: {2}}), "ok"},
		{manual(assignment{0: {4, 1}}), "ok"},
		{manual(assignment{0: {1}, 2: {2}}), "INVALID_REPLICA_ASSIGNMENT: partitions should be a consecutive 0-based integer sequence"},
		{manual(assignment{-1: {1}}), "INVALID_REPLICA_ASSIGNMENT: partitions should be a consecutive 0-based integer sequence"},
		{manual(assignment{0: {}}), "INVALID_REPLICA_ASSIGNMENT: The manual partition assignment includes an empty replica list."},
		{manual(assignment{0: {9}}), "INVALID_REPLICA_ASSIGNMENT: The manual partition assignment includes broker 9, but no such broker is registered."},
		{manual(assignment{0: {1, 2, 1}}), "INVALID_REPLICA_ASSIGNMENT: The manual partition assignment includes the broker 1 more than once."},
		{manual(assignment{0: {1, 2}, 1: {1}}), "INVALID_REPLICA_ASSIGNMENT: The manual partition assignment includes a partition with 1 replica(s), but this is not consistent with previous partitions, which have 2 replica(s)."},
		{manual(assignment{0: {4}}), "INVALID_REPLICA_ASSIGNMENT: All brokers specified in the manual partition assignment for partition 0 are fenced or in controlled shutdown."},
		{controller.NewTopic{Name: "t", Partitions: 1, Replication: 1, Configs: []controller.ConfigEntry{{Name: "retention.ms"}, {Name: "segment.ms"}}}, "INVALID_CONFIG: Null value not supported for topic configs: retention.ms,segment.ms"},
		{controller.NewTopic{Name: "t", Partitions: 1, Replication: 1, Configs: []controller.ConfigEntry{{Name: "retention.ms", Value: value("1")}}}, "ok"},
		{controller.NewTopic{Name: "t", Partitions: 1, Replication: 1, Configs: []controller.ConfigEntry{{Name: "retention.ms", Value: value("x")}}}, "INVALID_CONFIG: Invalid value x for configuration retention.ms: Not a number of type LONG"},
		{controller.NewTopic{Name: "t", Partitions: 1, Replication: 1, Configs: []controller.ConfigEntry{{Name: "no.such", Value: value("x")}}}, "INVALID_CONFIG: Unknown topic config name: no.such"},
	} {
		env, img := testEnv(), cluster(t, 4, 4)
		img = create(t, env, create(t, env, img, "there", 3), "a.b", 3)
		request := []controller.NewTopic{c.topic}
		if c.topic.Name == "twice" {
			request = append(request, plain("twice"))
		}
		records, answers := controller.CreateTopics(env, img, request)
		if got := said(answers[0].Err); got != c.want {
			t.Errorf("%.40q:\n got %s\nwant %s", c.topic.Name, got, c.want)
		}
		if (len(records) == 0) != (c.want != "ok") {
			t.Errorf("%.40q: %d records with %s", c.topic.Name, len(records), c.want)
		}
		if fresh := fold(t, img, records); c.want == "ok" && fresh.Topics.ByID(answers[0].ID) == nil {
			t.Errorf("%.40q: the answer's id is of no topic", c.topic.Name)
		}
	}
}

// One topic that is refused hinders no other, and topics of one request see each other.
func TestCreateTopicsDecidesEachOnItsOwn(t *testing.T) {
	env, img := testEnv(), cluster(t, 1)
	env.MaxPartitions = 10
	records, answers := controller.CreateTopics(env, img, []controller.NewTopic{
		{Name: "a.b", Partitions: 2, Replication: 1},
		{Name: "", Partitions: 1, Replication: 1},
		{Name: "a_b", Partitions: 1, Replication: 1},
		{Name: "c", Partitions: -1, Replication: -1, Configs: []controller.ConfigEntry{{"retention.ms", value("1")}, {"retention.ms", value("2")}}},
		{Name: "too-much", Partitions: 6, Replication: 1},
		{Name: "__transaction_state", Partitions: 5, Replication: 1},
	})
	var got []string
	for _, a := range answers {
		got = append(got, kafka.CodeOf(a.Err).Name())
	}
	want := []string{"NONE", "INVALID_TOPIC_EXCEPTION", "INVALID_TOPIC_EXCEPTION", "NONE", "POLICY_VIOLATION", "NONE"}
	if !slices.Equal(got, want) {
		t.Fatalf("got %v, want %v", got, want)
	}
	img = fold(t, img, records)
	if c := img.Topics.ByName("c"); len(c.Partitions) != 3 || answers[3].Partitions != 3 || answers[3].Replication != 1 {
		t.Fatalf("%+v %+v", c, answers[3])
	}
	if v := img.Configs.Topic("c"); !reflect.DeepEqual(v, map[string]string{"retention.ms": "2"}) {
		t.Fatalf("settings %v: the last value counts", v)
	}
	if !img.Topics.ByName("__transaction_state").Internal || img.Topics.ByName("c").Internal {
		t.Fatal("the wrong topics are internal")
	}
}

// CTL-1: nothing but image, request and ids decides. CTL-2, CTL-3: the first in-sync replica leads at epoch 0. CTL-4: a fenced broker
// leads nothing. CTL-5: all ids differ. Leaders and replicas are even.
func TestPlacementHoldsItsLaws(t *testing.T) {
	for range 200 {
		seed := seed.Of(t)
		rng := rand.New(rand.NewPCG(seed, 5))
		n := 1 + rng.IntN(7)
		var fenced []kafka.BrokerID
		for id := range n - 1 {
			if rng.IntN(4) == 0 {
				fenced = append(fenced, kafka.BrokerID(id+1))
			}
		}
		live := n - len(fenced)
		img := cluster(t, n, fenced...)
		request := []controller.NewTopic{{Name: "t", Partitions: int32(1 + rng.IntN(40)), Replication: int16(1 + rng.IntN(live))}, {Name: "u", Partitions: 1, Replication: 1}}
		records, answers := controller.CreateTopics(testEnv(), img, request)
		again, _ := controller.CreateTopics(testEnv(), img, request)
		if !reflect.DeepEqual(records, again) {
			t.Fatalf("seed %d: the same request gave other records", seed)
		}
		if answers[0].Err != nil || answers[0].ID == answers[1].ID {
			t.Fatalf("seed %d: %v", seed, answers)
		}
		img = fold(t, img, records)
		more, errs := controller.CreatePartitions(testEnv(), img, []controller.MorePartitions{{Topic: "t", Total: request[0].Partitions + int32(1+rng.IntN(20))}})
		if errs[0] != nil {
			t.Fatalf("seed %d: %v", seed, errs)
		}
		img = fold(t, img, more)
		leads, holds := map[kafka.BrokerID]int{}, map[kafka.BrokerID]int{}
		for i, p := range img.Topics.ByName("t").Partitions {
			leads[p.Leader]++
			for _, id := range p.Replicas {
				holds[id]++
			}
			distinct := slices.Compact(slices.Sorted(slices.Values(p.Replicas)))
			if len(distinct) != int(request[0].Replication) || p.Leader != p.ISR[0] || slices.Contains(fenced, p.Leader) || p.LeaderEpoch != 0 || p.PartitionEpoch != 0 {
				t.Fatalf("seed %d: partition %d is %+v with %v fenced", seed, i, p, fenced)
			}
		}
		for what, counts := range map[string]map[kafka.BrokerID]int{"leads": leads, "holds": holds} {
			most, least := 0, 1<<30
			for id := range n {
				if id := kafka.BrokerID(id + 1); !slices.Contains(fenced, id) {
					most, least = max(most, counts[id]), min(least, counts[id])
				}
			}
			if most-least > int(request[0].Replication) {
				t.Fatalf("seed %d: one broker %s %d, another %d", seed, what, most, least)
			}
		}
	}
}

// A hand-made assignment to one broker is as compact as a placed one, and a fenced replica is not in sync.
func TestAssignedPartitionsAreCompactAndHonest(t *testing.T) {
	a := map[int32][]kafka.BrokerID{}
	for i := range int32(1000) {
		a[i] = []kafka.BrokerID{2, 1}
	}
	records, answers := controller.CreateTopics(testEnv(), cluster(t, 2, 2), []controller.NewTopic{{Name: "t", Partitions: -1, Replication: -1, Assignment: a}})
	if answers[0].Err != nil || answers[0].Partitions != 1000 || answers[0].Replication != 2 {
		t.Fatalf("%+v", answers[0])
	}
	runs := records[0].(*metadata.TopicRecord).Partitions
	if len(runs) != 1 || runs[0].Leader != 1 || !slices.Equal(runs[0].ISR, []kafka.BrokerID{1}) || !slices.Equal(runs[0].Replicas, []kafka.BrokerID{2, 1}) {
		t.Fatalf("%+v", runs)
	}
}

// A source of ids that repeats itself ends the request, not the cluster.
func TestRepeatedTopicIDsAreRefused(t *testing.T) {
	env := testEnv()
	env.NewTopicID = func() kafka.UUID { return kafka.UUID{1} }
	img := create(t, env, cluster(t, 1), "a", 1)
	if _, answers := controller.CreateTopics(env, img, []controller.NewTopic{{Name: "b", Partitions: 1, Replication: 1}}); kafka.CodeOf(answers[0].Err) != kafka.UnknownServerError {
		t.Fatal(answers[0].Err)
	}
}

func BenchmarkCreateTopicOf10000Partitions(b *testing.B) {
	env, img := testEnv(), cluster(b, 1)
	request := []controller.NewTopic{{Name: "big", Partitions: 10_000, Replication: 1}}
	b.ReportAllocs()
	for b.Loop() {
		if _, answers := controller.CreateTopics(env, img, request); answers[0].Err != nil {
			b.Fatal(answers[0].Err)
		}
	}
}
