package controller_test

import (
	"errors"
	"math"
	"slices"
	"testing"

	"github.com/rafka-io/rafka/internal/controller"
	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/metadata"
)

func TestDeleteTopicsRefuses(t *testing.T) {
	env := testEnv()
	img := create(t, env, create(t, env, cluster(t, 1), "a", 1), "b", 1)
	a, b := img.Topics.ByName("a").ID, img.Topics.ByName("b").ID
	for _, c := range []struct {
		refs    []controller.TopicRef
		want    []string
		records int
	}{
		{[]controller.TopicRef{{Name: "a"}, {ID: b}}, []string{"ok", "ok"}, 2},
		{[]controller.TopicRef{{Name: "x"}, {Name: "a"}}, []string{"UNKNOWN_TOPIC_OR_PARTITION: This server does not host this topic-partition.", "ok"}, 1},
		{[]controller.TopicRef{{ID: kafka.UUID{9}}}, []string{"UNKNOWN_TOPIC_ID: This server does not host this topic ID."}, 0},
		{[]controller.TopicRef{{}}, []string{"INVALID_REQUEST: Neither topic name nor id were specified."}, 0},
		{[]controller.TopicRef{{Name: "a"}, {Name: "a"}, {Name: "b"}}, []string{"INVALID_REQUEST: Duplicate topic name.", "INVALID_REQUEST: Duplicate topic name.", "ok"}, 1},
		{[]controller.TopicRef{{ID: a}, {ID: a}}, []string{"INVALID_REQUEST: Duplicate topic id.", "INVALID_REQUEST: Duplicate topic id."}, 0},
		{[]controller.TopicRef{{ID: a}, {Name: "a"}}, []string{"INVALID_REQUEST: The provided topic name maps to an ID that was already supplied.", "INVALID_REQUEST: The provided topic name maps to an ID that was already supplied."}, 0},
	} {
		records, answers := controller.DeleteTopics(env, img, c.refs)
		var got []string
		for i, d := range answers {
			got = append(got, said(d.Err))
			if d.Err == nil && (d.Name == "" || d.ID.IsZero() || c.refs[i].Name != "" && c.refs[i].Name != d.Name) {
				t.Errorf("%+v is answered by %+v", c.refs[i], d)
			}
		}
		if !slices.Equal(got, c.want) || len(records) != c.records {
			t.Errorf("%v:\n got %q and %d records\nwant %q and %d", c.refs, got, len(records), c.want, c.records)
		}
		fold(t, img, records)
	}
	env.DeleteTopics = false
	if records, answers := controller.DeleteTopics(env, img, []controller.TopicRef{{Name: "a"}}); said(answers[0].Err) != "TOPIC_DELETION_DISABLED: Topic deletion is disabled." || records != nil {
		t.Fatal(answers)
	}
}

func TestCreatePartitionsRefuses(t *testing.T) {
	env := testEnv()
	env.MaxPartitions = 100
	img := create(t, env, create(t, env, cluster(t, 2, 2), "t", 4), "u", 4)
	for _, c := range []struct {
		ask  controller.MorePartitions
		want string
	}{
		{controller.MorePartitions{Topic: "t", Total: 5}, "ok"},
		{controller.MorePartitions{Topic: "t", Total: 6, Assignment: [][]kafka.BrokerID{{1}, {1}}}, "ok"},
		{controller.MorePartitions{Topic: "x", Total: 5}, "UNKNOWN_TOPIC_OR_PARTITION: This server does not host this topic-partition."},
		{controller.MorePartitions{Topic: "t", Total: 4}, "INVALID_PARTITIONS: Topic already has 4 partition(s)."},
		{controller.MorePartitions{Topic: "t", Total: 2}, "INVALID_PARTITIONS: The topic t currently has 4 partition(s); 2 would not be an increase."},
		{controller.MorePartitions{Topic: "t", Total: -1}, "INVALID_PARTITIONS: The topic t currently has 4 partition(s); -1 would not be an increase."},
		{controller.MorePartitions{Topic: "t", Total: math.MaxInt32}, "POLICY_VIOLATION: Excessively large number of partitions per request: 2147483643, the limit is 100."},
		{controller.MorePartitions{Topic: "t", Total: 97}, "POLICY_VIOLATION: The cluster would have 101 partitions; the limit is 100. Delete topics that are no longer used."},
		{controller.MorePartitions{Topic: "t", Total: 6, Assignment: [][]kafka.BrokerID{{1}}}, "INVALID_REPLICA_ASSIGNMENT: Attempted to add 2 additional partition(s), but only 1 assignment(s) were specified."},
		{controller.MorePartitions{Topic: "t", Total: 5, Assignment: [][]kafka.BrokerID{}}, "INVALID_REPLICA_ASSIGNMENT: Attempted to add 1 additional partition(s), but only 0 assignment(s) were specified."},
		{controller.MorePartitions{Topic: "t", Total: 5, Assignment: [][]kafka.BrokerID{{7}}}, "INVALID_REPLICA_ASSIGNMENT: The manual partition assignment includes broker 7, but no such broker is registered."},
		{controller.MorePartitions{Topic: "t", Total: 5, Assignment: [][]kafka.BrokerID{{1, 2}}}, "INVALID_REPLICA_ASSIGNMENT: The manual partition assignment includes a partition with 2 replica(s), but this is not consistent with previous partitions, which have 1 replica(s)."},
		{controller.MorePartitions{Topic: "t", Total: 5, Assignment: [][]kafka.BrokerID{{2}}}, "INVALID_REPLICA_ASSIGNMENT: All brokers specified in the manual partition assignment for partition 4 are fenced or in controlled shutdown."},
	} {
		records, errs := controller.CreatePartitions(env, img, []controller.MorePartitions{c.ask})
		if got := said(errs[0]); got != c.want {
			t.Errorf("%+v:\n got %s\nwant %s", c.ask, got, c.want)
		}
		after := fold(t, img, records).Topics.ByName("t")
		if want := int(c.ask.Total); c.want == "ok" && len(after.Partitions) != want || c.want != "ok" && len(after.Partitions) != 4 {
			t.Errorf("%+v: %d partitions", c.ask, len(after.Partitions))
		}
	}
	records, errs := controller.CreatePartitions(env, img, []controller.MorePartitions{{Topic: "t", Total: 5}, {Topic: "t", Total: 6}})
	if said(errs[0]) != "INVALID_REQUEST: Duplicate topic name." || said(errs[1]) != said(errs[0]) || records != nil {
		t.Fatal(errs)
	}
	// What the request has asked for before counts against the room.
	if _, errs = controller.CreatePartitions(env, img, []controller.MorePartitions{{Topic: "t", Total: 54}, {Topic: "u", Total: 54}}); errs[0] != nil || kafka.CodeOf(errs[1]) != kafka.PolicyViolation {
		t.Fatal(errs)
	}
}

// Producer ids are handed out in blocks that never overlap, and the last one is not exceeded.
func TestProducerIDBlocksFollowEachOther(t *testing.T) {
	img := metadata.Empty()
	for i := range 3 {
		records, first, err := controller.AllocateProducerIDs(img)
		if err != nil || first != kafka.ProducerID(i*controller.ProducerIDBlock) {
			t.Fatalf("block %d begins at %d (%v)", i, first, err)
		}
		img = fold(t, img, records)
	}
	img = fold(t, img, []metadata.Record{&metadata.ProducerIDsRecord{Next: math.MaxInt64 - 10}})
	if records, _, err := controller.AllocateProducerIDs(img); kafka.CodeOf(err) != kafka.UnknownServerError || records != nil {
		t.Fatal(err)
	}
}

// A node that starts again writes only what has changed, and refuses data that is not its own.
func TestBootstrapWritesOnlyWhatChanged(t *testing.T) {
	n := controller.Node{Broker: metadata.Broker{ID: 1, Endpoints: []metadata.Endpoint{{Listener: "PLAINTEXT", Host: "localhost", Port: 9092}}}, NewClusterID: "made-up"}
	records, err := controller.Bootstrap(metadata.Empty(), n)
	if err != nil || len(records) != 4 {
		t.Fatalf("%v %v", records, err)
	}
	img := fold(t, metadata.Empty(), records)
	if img.ClusterID != "made-up" || img.Controller != 1 || img.Brokers[1].Epoch != 1 || img.Features[metadata.FeatureVersion] != metadata.LevelBrokerFeatures {
		t.Fatalf("%+v", img)
	}
	n.NewClusterID = "another"
	if records, err = controller.Bootstrap(img, n); err != nil || len(records) != 0 {
		t.Fatalf("%v %v", records, err)
	}
	n.Broker.Endpoints = []metadata.Endpoint{{Listener: "PLAINTEXT", Host: "localhost", Port: 1234}}
	if records, err = controller.Bootstrap(img, n); err != nil || len(records) != 1 || fold(t, img, records).Brokers[1].Epoch != 2 {
		t.Fatalf("%v %v", records, err)
	}
	n.ClusterID = "made-up"
	if _, err = controller.Bootstrap(img, n); err != nil {
		t.Fatal(err)
	}
	n.ClusterID = "foreign"
	if _, err = controller.Bootstrap(img, n); !errors.Is(err, controller.ErrForeignData) {
		t.Fatal(err)
	}
	n.ClusterID, n.Broker.ID = "", 2
	if _, err = controller.Bootstrap(img, n); !errors.Is(err, controller.ErrForeignData) {
		t.Fatal(err)
	}
	n.Broker.ID, n.ClusterID = 1, "configured"
	if records, err = controller.Bootstrap(metadata.Empty(), n); err != nil || fold(t, metadata.Empty(), records).ClusterID != "configured" {
		t.Fatal(err)
	}
}
