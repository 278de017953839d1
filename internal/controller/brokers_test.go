package controller_test

import (
	"testing"

	"github.com/rafka-io/rafka/internal/controller"
	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/metadata"
)

func registration(id kafka.BrokerID, process byte) controller.Registration {
	return controller.Registration{
		Broker: metadata.Broker{ID: id, Incarnation: kafka.UUID{process}}, ClusterID: "c", Features: map[string]int16{metadata.FeatureVersion: 1},
	}
}

// three is a cluster of three brokers of processes 1, 2 and 3.
func three(t testing.TB) *metadata.Image {
	t.Helper()
	img := brokers(t,
		metadata.Broker{ID: 1, Epoch: 11, Incarnation: kafka.UUID{1}},
		metadata.Broker{ID: 2, Epoch: 12, Incarnation: kafka.UUID{2}},
		metadata.Broker{ID: 3, Epoch: 13, Incarnation: kafka.UUID{3}})
	return fold(t, img, []metadata.Record{&metadata.ClusterRecord{ID: "c"}, &metadata.FeatureLevelRecord{Name: metadata.FeatureVersion, Level: 1}})
}

func TestRegisterBrokerRefuses(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*controller.Registration)
		want   string
	}{
		"a new broker":        {func(*controller.Registration) {}, "ok"},
		"no belief":           {func(r *controller.Registration) { r.ClusterID = "" }, "ok"},
		"another cluster":     {func(r *controller.Registration) { r.ClusterID = "d" }, "INCONSISTENT_CLUSTER_ID: Expected cluster ID c, but got cluster ID d"},
		"no id":               {func(r *controller.Registration) { r.Broker.ID = -1 }, "INVALID_REGISTRATION: a broker needs an id of 0 or more and an incarnation to register, not -1 and CQAAAAAAAAAAAAAAAAAAAA"},
		"no incarnation":      {func(r *controller.Registration) { r.Broker.Incarnation = kafka.UUID{} }, "INVALID_REGISTRATION: a broker needs an id of 0 or more and an incarnation to register, not 9 and AAAAAAAAAAAAAAAAAAAAAA"},
		"an old release":      {func(r *controller.Registration) { r.Features = nil }, "UNSUPPORTED_VERSION: broker 9 knows rafka.version up to level 0, and the cluster is at level 1; start a newer release there"},
		"the id of another":   {func(r *controller.Registration) { r.Broker.ID = 1 }, "DUPLICATE_BROKER_REGISTRATION: Another broker is registered with that broker id: 1. If it is the process before this one, its lease ends in a moment; else give this one another node.id."},
		"the same process":    {func(r *controller.Registration) { r.Broker.ID, r.Broker.Incarnation = 1, kafka.UUID{1} }, "ok"},
		"a newer release":     {func(r *controller.Registration) { r.Features[metadata.FeatureVersion] = 9 }, "ok"},
		"features of its own": {func(r *controller.Registration) { r.Features["its.own"] = 1 }, "ok"},
	} {
		r := registration(9, 9)
		c.change(&r)
		records, epoch, err := controller.RegisterBroker(testEnv(), three(t), r)
		if got := said(err); got != c.want {
			t.Errorf("%s:\n got %s\nwant %s", name, got, c.want)
		}
		if (err != nil) != (epoch == -1) || err != nil && records != nil {
			t.Errorf("%s: epoch %d and %d records with %v", name, epoch, len(records), err)
		}
	}
}

// The epoch of a registration is higher than every one before; the same process keeps its own, and what an operator wants of the broker stays.
func TestRegistrationsHaveRisingEpochs(t *testing.T) {
	env, img := testEnv(), three(t)
	register := func(r controller.Registration) (int64, int) {
		t.Helper()
		records, epoch, err := controller.RegisterBroker(env, img, r)
		if err != nil {
			t.Fatal(err)
		}
		img = fold(t, img, records)
		return epoch, len(records)
	}
	if epoch, n := register(registration(1, 1)); epoch != 11 || n != 0 || img.Brokers[1].Fenced {
		t.Fatalf("the same process: epoch %d, %d records, %+v", epoch, n, img.Brokers[1])
	}
	moved := registration(1, 1)
	moved.Broker.Rack = "r"
	if epoch, n := register(moved); epoch != 11 || n != 1 || img.Brokers[1].Rack != "r" || img.Brokers[1].Fenced {
		t.Fatalf("the same process in another rack: epoch %d, %d records, %+v", epoch, n, img.Brokers[1])
	}
	drained, err := controller.DrainBroker(env, img, 1, true)
	if err != nil {
		t.Fatal(err)
	}
	img = fold(t, fold(t, img, drained), controller.FenceBroker(env, img, 1))
	img = fold(t, img, []metadata.Record{&metadata.BrokerRecord{Broker: metadata.Broker{ID: 1, Epoch: 99, Incarnation: kafka.UUID{1}, Fenced: true, ShuttingDown: true, Draining: true}}})
	epoch, _ := register(registration(1, 4))
	if b := img.Brokers[1]; epoch != 100 || b.Epoch != 100 || !b.Fenced || b.ShuttingDown || !b.Draining {
		t.Fatalf("another process: epoch %d, %+v", epoch, b)
	}
	if later, _ := register(registration(7, 7)); later != int64(img.Offset) || img.Brokers[7].Epoch != later || !img.Brokers[7].Fenced {
		t.Fatalf("a new broker: epoch %d, %+v", later, img.Brokers[7])
	}
}

// The broker of a cluster of one goes on leading when the cluster becomes one of several, because it is still the same directory.
func TestBrokerOfAClusterOfOneIsTakenOver(t *testing.T) {
	img := topic(t, brokers(t, metadata.Broker{ID: 1, Epoch: 4}), "t", led(ids{1}))
	records, epoch, err := controller.RegisterBroker(testEnv(), img, registration(1, 1))
	if err != nil || epoch != 4 || len(records) != 1 {
		t.Fatalf("%d %v %v", epoch, records, err)
	}
	if b := fold(t, img, records).Brokers[1]; b.Fenced || b.Incarnation != (kafka.UUID{1}) {
		t.Fatalf("%+v", b)
	}
}

// KIP-966: an empty disk ends what its broker was in sync with or eligible for; what it alone had has no leader until an operator says so.
func TestEmptyDiskCountsForNothing(t *testing.T) {
	img := three(t)
	img = topic(t, img, "last", metadata.Partition{Replicas: ids{1, 2}, ISR: ids{1}, Leader: kafka.NoBroker, LeaderEpoch: 4, PartitionEpoch: 6})
	img = topic(t, img, "eligible", metadata.Partition{Replicas: ids{2, 1, 3}, ISR: ids{2}, Leader: 2, ELR: ids{1, 3}, LeaderEpoch: 4, PartitionEpoch: 6})
	img = topic(t, img, "saved", metadata.Partition{Replicas: ids{1, 2, 3}, ISR: ids{1}, Leader: kafka.NoBroker, ELR: ids{3}, LeaderEpoch: 4, PartitionEpoch: 6})
	img = topic(t, img, "others", led(ids{2, 3}))
	env := minISR(2)
	img = fold(t, img, []metadata.Record{&metadata.BrokerRecord{Broker: metadata.Broker{ID: 1, Epoch: 11, Incarnation: kafka.UUID{1}, Fenced: true}}})
	r := registration(1, 4)
	r.EmptyDisk = true
	records, _, err := controller.RegisterBroker(env, img, r)
	if err != nil {
		t.Fatal(err)
	}
	img = fold(t, img, records)
	wantState(t, "the last in sync", state(img, "last"), metadata.Partition{Replicas: ids{1, 2}, Leader: kafka.NoBroker, LeaderEpoch: 4, PartitionEpoch: 7})
	wantState(t, "eligible", state(img, "eligible"), metadata.Partition{Replicas: ids{2, 1, 3}, ISR: ids{2}, Leader: 2, ELR: ids{3}, LeaderEpoch: 4, PartitionEpoch: 7})
	wantState(t, "another is eligible", state(img, "saved"), metadata.Partition{Replicas: ids{1, 2, 3}, ISR: ids{3}, Leader: 3, LeaderEpoch: 5, PartitionEpoch: 7})
	wantState(t, "of others", state(img, "others"), led(ids{2, 3}))
	img = fold(t, img, controller.UnfenceBroker(env, img, 1))
	if p := state(img, "last"); p.Leader != kafka.NoBroker {
		t.Fatalf("it leads what it has lost: %+v", p)
	}
	records, _ = controller.ElectLeaders(env, img, controller.UncleanElection, []kafka.TopicPartition{{Topic: "last"}})
	if p := state(fold(t, img, records), "last"); p.Leader != 1 || len(p.ISR) != 1 {
		t.Fatalf("an operator may have it lead: %+v", p)
	}
	// Without an empty disk it is what it was.
	img = fold(t, img, []metadata.Record{&metadata.BrokerRecord{Broker: metadata.Broker{ID: 2, Epoch: 12, Incarnation: kafka.UUID{2}, Fenced: true}}})
	if records, _, err = controller.RegisterBroker(env, img, registration(2, 5)); err != nil || len(records) != 1 {
		t.Fatalf("%v %v", records, err)
	}
}

// A dead broker leaves every ISR of which it is not the last; leaders are the first that is in sync, else eligible, else nobody, else, where
// that is allowed, anybody.
func TestFencedBrokerHandsOver(t *testing.T) {
	fencedISR := func(p metadata.Partition) metadata.Partition { p.LeaderEpoch++; p.PartitionEpoch++; return p }
	for name, c := range map[string]struct {
		before, after metadata.Partition
		least         int
		unclean       bool
	}{
		"a leader":             {led(ids{1, 3, 2}), fencedISR(metadata.Partition{Replicas: ids{1, 3, 2}, ISR: ids{3, 2}, Leader: 3, LeaderEpoch: 3, PartitionEpoch: 5}), 1, false},
		"a follower":           {led(ids{3, 1, 2}), metadata.Partition{Replicas: ids{3, 1, 2}, ISR: ids{3, 2}, Leader: 3, LeaderEpoch: 3, PartitionEpoch: 6}, 1, false},
		"not in sync":          {led(ids{3, 1, 2}, 3, 2), led(ids{3, 1, 2}, 3, 2), 1, false},
		"below the least":      {led(ids{1, 2}), fencedISR(metadata.Partition{Replicas: ids{1, 2}, ISR: ids{2}, Leader: 2, ELR: ids{1}, LeaderEpoch: 3, PartitionEpoch: 5}), 2, false},
		"the least is less":    {led(ids{1}), fencedISR(metadata.Partition{Replicas: ids{1}, ISR: ids{1}, Leader: kafka.NoBroker, LeaderEpoch: 3, PartitionEpoch: 5}), 2, false},
		"the last":             {led(ids{1, 2}, 1), fencedISR(metadata.Partition{Replicas: ids{1, 2}, ISR: ids{1}, Leader: kafka.NoBroker, LeaderEpoch: 3, PartitionEpoch: 5}), 1, false},
		"the last, eligible":   {metadata.Partition{Replicas: ids{1, 2, 3}, ISR: ids{1}, Leader: 1, ELR: ids{3}, LeaderEpoch: 3, PartitionEpoch: 5}, metadata.Partition{Replicas: ids{1, 2, 3}, ISR: ids{3}, Leader: 3, ELR: ids{1}, LeaderEpoch: 4, PartitionEpoch: 6}, 2, false},
		"the last, unclean":    {led(ids{1, 2}, 1), metadata.Partition{Replicas: ids{1, 2}, ISR: ids{2}, Leader: 2, LeaderEpoch: 4, PartitionEpoch: 6}, 1, true},
		"eligible and unclean": {metadata.Partition{Replicas: ids{1, 2, 3}, ISR: ids{1}, Leader: 1, ELR: ids{3}, LeaderEpoch: 3, PartitionEpoch: 5}, metadata.Partition{Replicas: ids{1, 2, 3}, ISR: ids{3}, Leader: 3, ELR: ids{1}, LeaderEpoch: 4, PartitionEpoch: 6}, 2, true},
	} {
		env := minISR(c.least)
		env.Unclean = func(*metadata.Image, string) bool { return c.unclean }
		img := topic(t, three(t), "t", c.before)
		records := controller.FenceBroker(env, img, 1)
		img = fold(t, img, records)
		if !img.Brokers[1].Fenced {
			t.Errorf("%s: not fenced", name)
		}
		wantState(t, name, state(img, "t"), c.after)
		if again := controller.FenceBroker(env, img, 1); again != nil {
			t.Errorf("%s: fenced again: %v", name, again)
		}
	}
	if records := controller.FenceBroker(testEnv(), three(t), 9); records != nil {
		t.Errorf("a broker that is not there: %v", records)
	}
}

// A broker that comes back leads what nobody leads and it may; one that is shutting down, or not there, does not.
func TestUnfencedBrokerLeadsWhatNobodyLeads(t *testing.T) {
	env, img := testEnv(), topic(t, topic(t, three(t), "only", led(ids{1})), "both", led(ids{1, 2}))
	img = fold(t, img, controller.FenceBroker(env, img, 1))
	if state(img, "only").Leader != kafka.NoBroker || state(img, "both").Leader != 2 {
		t.Fatalf("%+v %+v", state(img, "only"), state(img, "both"))
	}
	img = fold(t, img, controller.UnfenceBroker(env, img, 1))
	wantState(t, "its own", state(img, "only"), metadata.Partition{Replicas: ids{1}, ISR: ids{1}, Leader: 1, LeaderEpoch: 5, PartitionEpoch: 7})
	if state(img, "both").Leader != 2 || img.Brokers[1].Fenced {
		t.Fatalf("%+v", state(img, "both"))
	}
	if again := controller.UnfenceBroker(env, img, 1); again != nil {
		t.Fatalf("%v", again)
	}
	img = fold(t, img, []metadata.Record{&metadata.BrokerRecord{Broker: metadata.Broker{ID: 2, Fenced: true, ShuttingDown: true}}})
	if controller.UnfenceBroker(env, img, 2) != nil || controller.UnfenceBroker(env, img, 9) != nil {
		t.Fatal("unfenced")
	}
}

// CTL-4: a broker that stops hands over what others can lead, serves the rest to the end, and gets nothing new; what a follower catches up
// with on the way is handed over too.
func TestStoppingBrokerHandsOverWhatItCan(t *testing.T) {
	env, img := testEnv(), topic(t, topic(t, topic(t, three(t), "alone", led(ids{1})), "late", led(ids{1, 2}, 1)), "both", led(ids{1, 2}))
	records, done := controller.StopBroker(env, img, 1)
	if img = fold(t, img, records); done || !img.Brokers[1].ShuttingDown {
		t.Fatalf("done %v, %+v", done, img.Brokers[1])
	}
	wantState(t, "both", state(img, "both"), metadata.Partition{Replicas: ids{1, 2}, ISR: ids{2}, Leader: 2, LeaderEpoch: 4, PartitionEpoch: 6})
	wantState(t, "alone", state(img, "alone"), led(ids{1}))
	if records, done = controller.StopBroker(env, img, 1); done || records != nil {
		t.Fatalf("done %v %v", done, records)
	}
	change := controller.ISRChange{TopicID: img.Topics.ByName("late").ID, LeaderEpoch: 3, PartitionEpoch: 5, ISR: []controller.ISRMember{{ID: 1, Epoch: 11}, {ID: 2, Epoch: 12}}}
	records, errs := controller.AlterPartition(env, img, 1, 11, []controller.ISRChange{change})
	if kafka.CodeOf(errs[0]) != kafka.NewLeaderElected {
		t.Fatal(errs)
	}
	img = fold(t, img, records)
	wantState(t, "late", state(img, "late"), metadata.Partition{Replicas: ids{1, 2}, ISR: ids{2}, Leader: 2, LeaderEpoch: 4, PartitionEpoch: 6})
	if records, done = controller.StopBroker(env, img, 1); !done || records != nil {
		t.Fatalf("done %v %v", done, records)
	}
	if p := state(img, "alone"); p.Leader != 1 {
		t.Fatalf("what nobody else has is served to the end: %+v", p)
	}
	if records, done = controller.StopBroker(env, img, 9); !done || records != nil {
		t.Fatal("a broker that is not there")
	}
}

func TestLeavingBrokers(t *testing.T) {
	env := testEnv()
	img := topic(t, fold(t, three(t), []metadata.Record{&metadata.BrokerRecord{Broker: metadata.Broker{ID: 3, Fenced: true}}, &metadata.BrokerRecord{Broker: metadata.Broker{ID: 4, Fenced: true}}}), "t", led(ids{1, 3}, 1))
	for id, want := range map[kafka.BrokerID]string{
		9: "BROKER_ID_NOT_REGISTERED: Broker ID 9 is not currently registered",
		1: "INVALID_REQUEST: broker 1 is running; drain it, stop it and try again",
		3: "INVALID_REQUEST: broker 3 has 1 replicas left, such as some of t; drain it and wait until they have moved, or delete those topics",
		4: "ok",
	} {
		records, err := controller.UnregisterBroker(env, img, id)
		if got := said(err); got != want {
			t.Errorf("broker %d:\n got %s\nwant %s", id, got, want)
		}
		if after := fold(t, img, records); err == nil && after.Brokers[id] != nil {
			t.Errorf("broker %d is still there", id)
		}
	}
	if _, err := controller.DrainBroker(env, img, 9, true); said(err) != "BROKER_ID_NOT_REGISTERED: Broker ID 9 is not currently registered" {
		t.Error(err)
	}
	records, err := controller.DrainBroker(env, img, 3, true)
	if err != nil || !fold(t, img, records).Brokers[3].Draining {
		t.Errorf("%v %v", records, err)
	}
	if records, err = controller.DrainBroker(env, img, 3, false); err != nil || records != nil {
		t.Errorf("%v %v", records, err)
	}
}

// Who decides says so once, in a term of its own.
func TestClaimRaisesTheTerm(t *testing.T) {
	img := fold(t, three(t), controller.Claim(metadata.Empty(), 1))
	if controller.Claim(img, 1) != nil {
		t.Fatal("claimed again")
	}
	if img = fold(t, img, controller.Claim(img, 2)); img.Controller != 2 || img.Term != 2 {
		t.Fatalf("%d in term %d", img.Controller, img.Term)
	}
}
