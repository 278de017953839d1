package controller_test

import (
	"fmt"
	"reflect"
	"testing"

	"github.com/rafka-io/rafka/internal/controller"
	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/metadata"
)

func five(t testing.TB) *metadata.Image {
	t.Helper()
	return brokers(t, metadata.Broker{ID: 1}, metadata.Broker{ID: 2}, metadata.Broker{ID: 3}, metadata.Broker{ID: 4}, metadata.Broker{ID: 5})
}

func TestAlterReassignmentsRefuses(t *testing.T) {
	img := topic(t, five(t), "t", led(ids{1, 2}))
	img = topic(t, img, "moving", metadata.Partition{Replicas: ids{3, 1, 2}, ISR: ids{1, 2}, Leader: 1, Adding: ids{3}, Removing: ids{2}, PartitionEpoch: 5})
	img = topic(t, img, "only-new", metadata.Partition{Replicas: ids{3, 4, 1, 2}, ISR: ids{3}, Leader: 3, Adding: ids{3, 4}, Removing: ids{1, 2}, PartitionEpoch: 5})
	img = fold(t, img, []metadata.Record{&metadata.BrokerRecord{Broker: metadata.Broker{ID: 6, Fenced: true}}})
	img = topic(t, img, "new-is-dead", metadata.Partition{Replicas: ids{6, 1}, ISR: ids{6}, Leader: kafka.NoBroker, Adding: ids{6}, Removing: ids{1}, PartitionEpoch: 5})
	img = topic(t, img, "old-is-dead", metadata.Partition{Replicas: ids{1, 6}, ISR: ids{6}, Leader: kafka.NoBroker, Adding: ids{1}, Removing: ids{6}, PartitionEpoch: 5})
	for _, c := range []struct {
		topic    string
		index    int32
		replicas ids
		allow    bool
		want     string
	}{
		{"t", 0, ids{3, 1}, false, "ok"},
		{"t", 0, ids{1, 2}, false, "ok"},
		{"t", 0, ids{1}, true, "ok"},
		{"none", 0, ids{1}, true, "UNKNOWN_TOPIC_OR_PARTITION: Unable to find a topic named none."},
		{"t", 1, ids{1}, true, "UNKNOWN_TOPIC_OR_PARTITION: Unable to find partition t:1."},
		{"t", -1, ids{1}, true, "UNKNOWN_TOPIC_OR_PARTITION: Unable to find partition t:-1."},
		{"t", 0, nil, true, "NO_REASSIGNMENT_IN_PROGRESS: No partition reassignment is in progress."},
		{"t", 0, ids{}, true, "INVALID_REPLICA_ASSIGNMENT: The manual partition assignment includes an empty replica list."},
		{"t", 0, ids{1, 9}, true, "INVALID_REPLICA_ASSIGNMENT: The manual partition assignment includes broker 9, but no such broker is registered."},
		{"t", 0, ids{1, -1}, true, "INVALID_REPLICA_ASSIGNMENT: The manual partition assignment includes broker -1, but no such broker is registered."},
		{"t", 0, ids{1, 1}, true, "INVALID_REPLICA_ASSIGNMENT: The manual partition assignment includes the broker 1 more than once."},
		{"t", 0, ids{1}, false, "INVALID_REPLICATION_FACTOR: The replication factor is changed from 2 to 1"},
		{"t", 0, ids{1, 2, 3}, false, "INVALID_REPLICATION_FACTOR: The replication factor is changed from 2 to 3"},
		{"moving", 0, ids{4, 5}, false, "ok"},
		{"moving", 0, ids{1, 2, 3}, false, "INVALID_REPLICATION_FACTOR: The replication factor is changed from 2 to 3"},
		{"moving", 0, nil, false, "ok"},
		{"only-new", 0, nil, true, "INVALID_REPLICA_ASSIGNMENT: Unable to revert partition assignment for only-new:0 because it would require an unclean leader election."},
		{"only-new", 0, ids{1, 5}, true, "INVALID_REPLICA_ASSIGNMENT: Unable to revert partition assignment for only-new:0 because it would require an unclean leader election."},
		{"new-is-dead", 0, nil, true, "INVALID_REPLICA_ASSIGNMENT: Unable to revert partition assignment for new-is-dead:0 because it would require an unclean leader election."},
		{"old-is-dead", 0, nil, true, "ok"},
	} {
		r := controller.Reassignment{TopicPartition: kafka.TopicPartition{Topic: c.topic, Partition: c.index}, Replicas: c.replicas}
		records, errs := controller.AlterReassignments(testEnv(), img, []controller.Reassignment{r}, c.allow)
		if got := said(errs[0]); got != c.want {
			t.Errorf("%s-%d to %v:\n got %s\nwant %s", c.topic, c.index, c.replicas, got, c.want)
		}
		if errs[0] != nil && records != nil {
			t.Errorf("%s-%d to %v: %d records", c.topic, c.index, c.replicas, len(records))
		}
		fold(t, img, records)
	}
	env := testEnv()
	env.Unclean = func(*metadata.Image, string) bool { return true }
	records, errs := controller.AlterReassignments(env, img, []controller.Reassignment{{TopicPartition: kafka.TopicPartition{Topic: "only-new"}}}, true)
	if errs[0] != nil {
		t.Fatal(errs)
	}
	wantState(t, "cancelled where unclean elections are allowed", state(fold(t, img, records), "only-new"),
		metadata.Partition{Replicas: ids{1, 2}, ISR: ids{1}, Leader: 1, LeaderEpoch: 1, PartitionEpoch: 6})
	want := []controller.ReassigningPartition{
		{TopicPartition: kafka.TopicPartition{Topic: "moving"}, Replicas: ids{3, 1, 2}, Adding: ids{3}, Removing: ids{2}},
		{TopicPartition: kafka.TopicPartition{Topic: "new-is-dead"}, Replicas: ids{6, 1}, Adding: ids{6}, Removing: ids{1}},
		{TopicPartition: kafka.TopicPartition{Topic: "old-is-dead"}, Replicas: ids{1, 6}, Adding: ids{1}, Removing: ids{6}},
		{TopicPartition: kafka.TopicPartition{Topic: "only-new"}, Replicas: ids{3, 4, 1, 2}, Adding: ids{3, 4}, Removing: ids{1, 2}},
	}
	if list := controller.Reassigning(img); !reflect.DeepEqual(list, want) {
		t.Errorf("%+v", list)
	}
}

// A reassignment adds, waits until all that stay are in sync, and then takes away; each step is one record, and it can be turned at any time.
func TestReassignmentTakesAwayWhatItHasReplaced(t *testing.T) {
	start := metadata.Partition{Replicas: ids{1, 2}, ISR: ids{1, 2}, Leader: 1, LeaderEpoch: 3, PartitionEpoch: 5}
	type step struct {
		to    ids // reassign; nil with isr: the leader's proposal; both nil: cancel
		isr   ids
		after metadata.Partition
	}
	for name, steps := range map[string][]step{
		"to others": {
			{ids{3, 4}, nil, metadata.Partition{Replicas: ids{3, 4, 1, 2}, ISR: ids{1, 2}, Leader: 1, Adding: ids{3, 4}, Removing: ids{1, 2}, LeaderEpoch: 3, PartitionEpoch: 6}},
			{nil, ids{1, 2, 3}, metadata.Partition{Replicas: ids{3, 4, 1, 2}, ISR: ids{3, 1, 2}, Leader: 1, Adding: ids{3, 4}, Removing: ids{1, 2}, LeaderEpoch: 3, PartitionEpoch: 7}},
			{nil, ids{1, 3, 4}, metadata.Partition{Replicas: ids{3, 4}, ISR: ids{3, 4}, Leader: 3, LeaderEpoch: 4, PartitionEpoch: 8}},
		},
		"the leader stays": {
			{ids{3, 1}, nil, metadata.Partition{Replicas: ids{3, 1, 2}, ISR: ids{1, 2}, Leader: 1, Adding: ids{3}, Removing: ids{2}, LeaderEpoch: 3, PartitionEpoch: 6}},
			{nil, ids{1, 2, 3}, metadata.Partition{Replicas: ids{3, 1}, ISR: ids{3, 1}, Leader: 1, LeaderEpoch: 4, PartitionEpoch: 7}},
		},
		"another order": {
			{ids{2, 1}, nil, metadata.Partition{Replicas: ids{2, 1}, ISR: ids{1, 2}, Leader: 1, LeaderEpoch: 3, PartitionEpoch: 6}},
		},
		"fewer": {
			{ids{2}, nil, metadata.Partition{Replicas: ids{2}, ISR: ids{2}, Leader: 2, LeaderEpoch: 4, PartitionEpoch: 6}},
		},
		"more": {
			{ids{1, 2, 3}, nil, metadata.Partition{Replicas: ids{1, 2, 3}, ISR: ids{1, 2}, Leader: 1, Adding: ids{3}, LeaderEpoch: 3, PartitionEpoch: 6}},
			{nil, ids{1, 2, 3}, metadata.Partition{Replicas: ids{1, 2, 3}, ISR: ids{1, 2, 3}, Leader: 1, LeaderEpoch: 3, PartitionEpoch: 7}},
		},
		"cancelled": {
			{ids{3, 1}, nil, metadata.Partition{Replicas: ids{3, 1, 2}, ISR: ids{1, 2}, Leader: 1, Adding: ids{3}, Removing: ids{2}, LeaderEpoch: 3, PartitionEpoch: 6}},
			{nil, nil, metadata.Partition{Replicas: ids{1, 2}, ISR: ids{1, 2}, Leader: 1, LeaderEpoch: 4, PartitionEpoch: 7}},
		},
		"turned elsewhere": {
			{ids{3, 4}, nil, metadata.Partition{Replicas: ids{3, 4, 1, 2}, ISR: ids{1, 2}, Leader: 1, Adding: ids{3, 4}, Removing: ids{1, 2}, LeaderEpoch: 3, PartitionEpoch: 6}},
			{nil, ids{1, 2, 3}, metadata.Partition{Replicas: ids{3, 4, 1, 2}, ISR: ids{3, 1, 2}, Leader: 1, Adding: ids{3, 4}, Removing: ids{1, 2}, LeaderEpoch: 3, PartitionEpoch: 7}},
			{ids{4, 1}, nil, metadata.Partition{Replicas: ids{4, 1, 2}, ISR: ids{1, 2}, Leader: 1, Adding: ids{4}, Removing: ids{2}, LeaderEpoch: 4, PartitionEpoch: 8}},
			{nil, nil, metadata.Partition{Replicas: ids{1, 2}, ISR: ids{1, 2}, Leader: 1, LeaderEpoch: 5, PartitionEpoch: 9}},
		},
	} {
		env, img := testEnv(), topic(t, five(t), "t", start)
		tp := kafka.TopicPartition{Topic: "t"}
		for i, s := range steps {
			var records []metadata.Record
			var errs []error
			if p := state(img, "t"); s.isr == nil {
				records, errs = controller.AlterReassignments(env, img, []controller.Reassignment{{TopicPartition: tp, Replicas: s.to}}, true)
			} else {
				q := controller.ISRChange{TopicID: img.Topics.ByName("t").ID, LeaderEpoch: p.LeaderEpoch, PartitionEpoch: p.PartitionEpoch}
				for _, id := range s.isr {
					q.ISR = append(q.ISR, controller.ISRMember{ID: id, Epoch: 1})
				}
				records, errs = controller.AlterPartition(env, img, p.Leader, 1, []controller.ISRChange{q})
			}
			if code := kafka.CodeOf(errs[0]); code != kafka.None && code != kafka.NewLeaderElected || len(records) != 1 {
				t.Fatalf("%s, step %d: %v, %d records", name, i, errs[0], len(records))
			}
			img = fold(t, img, records)
			wantState(t, fmt.Sprintf("%s, step %d", name, i), state(img, "t"), s.after)
			if p := state(img, "t"); (len(controller.Reassigning(img)) == 1) != p.Reassigning() {
				t.Errorf("%s, step %d: the list is %v", name, i, controller.Reassigning(img))
			}
		}
	}
}

// Whoever is taken away may hear of it late. What it asks for until then is of an epoch that is over, so a leader does not take it for what the replica
// has that is given back to it, which begins with an empty log (CTL-3).
func TestAReplicaThatIsGivenBackIsOfAnotherEpoch(t *testing.T) {
	env, tp := testEnv(), kafka.TopicPartition{Topic: "t"}
	img := topic(t, five(t), "t", metadata.Partition{Replicas: ids{1, 2, 3}, ISR: ids{1, 2, 3}, Leader: 1, LeaderEpoch: 3, PartitionEpoch: 5})
	for _, to := range []ids{{1, 2}, {1, 2, 3}} {
		records, errs := controller.AlterReassignments(env, img, []controller.Reassignment{{TopicPartition: tp, Replicas: to}}, true)
		if errs[0] != nil {
			t.Fatal(errs)
		}
		img = fold(t, img, records)
	}
	wantState(t, "taken and given back", state(img, "t"), metadata.Partition{
		Replicas: ids{1, 2, 3}, ISR: ids{1, 2}, Leader: 1, Adding: ids{3}, LeaderEpoch: 4, PartitionEpoch: 7})
}

// A replica that is not alive ends no reassignment: what would be taken away may be the only good one.
func TestReassignmentDoesNotEndWithTheDead(t *testing.T) {
	img := topic(t, five(t), "t", metadata.Partition{Replicas: ids{1, 2}, ISR: ids{1}, Leader: 1, ELR: ids{2}, LeaderEpoch: 3, PartitionEpoch: 5})
	env := minISR(2)
	records, errs := controller.AlterReassignments(env, img, []controller.Reassignment{{TopicPartition: kafka.TopicPartition{Topic: "t"}, Replicas: ids{2}}}, true)
	if errs[0] != nil {
		t.Fatal(errs)
	}
	img = fold(t, img, records)
	wantState(t, "waits", state(img, "t"), metadata.Partition{Replicas: ids{2, 1}, ISR: ids{1}, Leader: 1, ELR: ids{2}, Removing: ids{1}, LeaderEpoch: 3, PartitionEpoch: 6})
	img = fold(t, img, controller.FenceBroker(env, img, 1))
	wantState(t, "ends with the living", state(img, "t"), metadata.Partition{Replicas: ids{2, 1}, ISR: ids{2}, Leader: 2, ELR: ids{1}, Removing: ids{1}, LeaderEpoch: 4, PartitionEpoch: 7})
	records, _ = controller.Upkeep(env, img, 1)
	wantState(t, "and is finished by upkeep", state(fold(t, img, records), "t"), metadata.Partition{Replicas: ids{2}, ISR: ids{2}, Leader: 2, LeaderEpoch: 5, PartitionEpoch: 8})
}

func TestUpdateFeaturesRefuses(t *testing.T) {
	const name = metadata.FeatureVersion
	for what, c := range map[string]struct {
		now      int16
		supports int16 // of broker 2; -1: it has not said
		updates  []controller.FeatureUpdate
		want     string
	}{
		"up":                  {0, 1, []controller.FeatureUpdate{{name, 1, controller.FeatureUpgrade}}, "ok"},
		"as it is":            {1, 0, []controller.FeatureUpdate{{name, 1, controller.FeatureUpgrade}}, "ok"},
		"no kind":             {0, 1, []controller.FeatureUpdate{{name, 1, 0}}, "INVALID_UPDATE_VERSION: Invalid update version 1 for feature rafka.version. The controller does not support the given upgrade type."},
		"negative":            {0, 1, []controller.FeatureUpdate{{name, -1, 1}}, "INVALID_UPDATE_VERSION: Invalid update version -1 for feature rafka.version. A feature version cannot be less than 0."},
		"unknown":             {0, 1, []controller.FeatureUpdate{{"metadata.version", 20, 1}}, "INVALID_UPDATE_VERSION: Invalid update version 20 for feature metadata.version. Only rafka.version can be raised; the levels of Kafka's features come with the release."},
		"too new":             {0, 1, []controller.FeatureUpdate{{name, 3, 1}}, "INVALID_UPDATE_VERSION: Invalid update version 3 for feature rafka.version. Broker -1, which decides, knows it up to level 2; start a newer release on every broker first."},
		"down by upgrade":     {1, 1, []controller.FeatureUpdate{{name, 0, 1}}, "INVALID_UPDATE_VERSION: Invalid update version 0 for feature rafka.version. Can't downgrade the version of this feature without setting the upgrade type to either safe or unsafe downgrade."},
		"down":                {1, 1, []controller.FeatureUpdate{{name, 0, controller.FeatureSafeDowngrade}}, "INVALID_UPDATE_VERSION: Invalid update version 0 for feature rafka.version. It is at level 1, and levels only rise: what has been written since could not be read at a lower one. Restore a backup from before the upgrade instead."},
		"down by force":       {1, 1, []controller.FeatureUpdate{{name, 0, controller.FeatureUnsafeDowngrade}}, "INVALID_UPDATE_VERSION: Invalid update version 0 for feature rafka.version. It is at level 1, and levels only rise: what has been written since could not be read at a lower one. Restore a backup from before the upgrade instead."},
		"up by downgrade":     {0, 1, []controller.FeatureUpdate{{name, 1, controller.FeatureSafeDowngrade}}, "INVALID_UPDATE_VERSION: Invalid update version 1 for feature rafka.version. Can't downgrade to a newer version."},
		"an old broker":       {0, 0, []controller.FeatureUpdate{{name, 1, 1}}, "INVALID_UPDATE_VERSION: Invalid update version 1 for feature rafka.version. Broker 2 knows it up to level 0; start a newer release there first."},
		"a silent broker":     {0, -1, []controller.FeatureUpdate{{name, 1, 1}}, "INVALID_UPDATE_VERSION: Invalid update version 1 for feature rafka.version. Broker 2 has not said which levels it knows: it is of a release that does not say it, or the controller has just begun. Start a newer release there, or try again in a moment."},
		"twice":               {0, 1, []controller.FeatureUpdate{{name, 1, 1}, {name, 1, 1}}, "INVALID_REQUEST: The feature rafka.version is named more than once."},
		"one refused, all so": {0, 1, []controller.FeatureUpdate{{name, 1, 1}, {"x", 1, 1}}, "INVALID_UPDATE_VERSION: Invalid update version 1 for feature x. Only rafka.version can be raised; the levels of Kafka's features come with the release."},
	} {
		env, img := testEnv(), brokers(t, metadata.Broker{ID: 1}, metadata.Broker{ID: 2}, metadata.Broker{ID: 3, Fenced: true})
		if c.now > 0 {
			img = fold(t, img, []metadata.Record{&metadata.FeatureLevelRecord{Name: name, Level: c.now}})
		}
		env.Supports = func(id kafka.BrokerID, _ string) (int16, bool) {
			if id == 2 {
				return c.supports, c.supports >= 0
			}
			return 1, id != 3
		}
		records, errs := controller.UpdateFeatures(env, img, c.updates)
		for _, err := range errs {
			if got := said(err); got != c.want {
				t.Errorf("%s:\n got %s\nwant %s", what, got, c.want)
			}
		}
		if after := fold(t, img, records); c.want == "ok" && after.Features[name] != 1 || c.want != "ok" && records != nil {
			t.Errorf("%s: %v with %s", what, records, c.want)
		}
	}
	env := testEnv() // nobody to ask
	if records, errs := controller.UpdateFeatures(env, brokers(t, metadata.Broker{ID: 1}), []controller.FeatureUpdate{{name, 1, 1}}); errs[0] != nil || len(records) != 1 {
		t.Errorf("%v %v", records, errs)
	}
}
