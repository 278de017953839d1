package controller_test

import (
	"testing"

	"github.com/rafka-io/rafka/internal/controller"
	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/metadata"
)

func TestAlterPartitionRefuses(t *testing.T) {
	img := fold(t, three(t), []metadata.Record{
		&metadata.BrokerRecord{Broker: metadata.Broker{ID: 4, Epoch: 14, Fenced: true}},
		&metadata.BrokerRecord{Broker: metadata.Broker{ID: 5, Epoch: 15, ShuttingDown: true}},
	})
	img = topic(t, img, "t", led(ids{1, 2, 3, 4, 5, 6}, 1, 2))
	id := img.Topics.ByName("t").ID
	isr := func(list ...kafka.BrokerID) (members []controller.ISRMember) {
		for _, id := range list {
			members = append(members, controller.ISRMember{ID: id, Epoch: int64(id) + 10})
		}
		return members
	}
	change := func(isr []controller.ISRMember) controller.ISRChange {
		return controller.ISRChange{TopicID: id, LeaderEpoch: 3, PartitionEpoch: 5, ISR: isr}
	}
	with := func(f func(*controller.ISRChange)) controller.ISRChange {
		q := change(isr(1, 2, 3))
		f(&q)
		return q
	}
	for name, c := range map[string]struct {
		by    kafka.BrokerID
		epoch int64
		q     controller.ISRChange
		want  string
	}{
		"grows":                {1, 11, change(isr(1, 2, 3)), "ok"},
		"shrinks":              {1, 11, change(isr(1)), "ok"},
		"stays":                {1, 11, change(isr(2, 1)), "ok"},
		"unchecked epoch":      {1, 11, change([]controller.ISRMember{{1, -1}, {3, -1}}), "ok"},
		"stale leader":         {1, 10, change(isr(1, 2)), "STALE_BROKER_EPOCH: broker 1 is not registered with epoch 10; it has to register first"},
		"unknown leader":       {9, 19, change(isr(1, 2)), "STALE_BROKER_EPOCH: broker 9 is not registered with epoch 19; it has to register first"},
		"unknown topic":        {1, 11, with(func(q *controller.ISRChange) { q.TopicID = kafka.UUID{9} }), "UNKNOWN_TOPIC_ID: This server does not host this topic ID."},
		"no topic":             {1, 11, with(func(q *controller.ISRChange) { q.TopicID = kafka.UUID{} }), "UNKNOWN_TOPIC_ID: This server does not host this topic ID."},
		"unknown partition":    {1, 11, with(func(q *controller.ISRChange) { q.Partition = 1 }), "UNKNOWN_TOPIC_OR_PARTITION: topic t has no partition 1"},
		"negative partition":   {1, 11, with(func(q *controller.ISRChange) { q.Partition = -1 }), "UNKNOWN_TOPIC_OR_PARTITION: topic t has no partition -1"},
		"leader epoch ahead":   {1, 11, with(func(q *controller.ISRChange) { q.LeaderEpoch = 4 }), "NOT_CONTROLLER: t-0 is at leader epoch 3 and partition epoch 5 here, the request says 4 and 5: ask the broker that decides now"},
		"state ahead":          {1, 11, with(func(q *controller.ISRChange) { q.PartitionEpoch = 6 }), "NOT_CONTROLLER: t-0 is at leader epoch 3 and partition epoch 5 here, the request says 3 and 6: ask the broker that decides now"},
		"leader epoch behind":  {1, 11, with(func(q *controller.ISRChange) { q.LeaderEpoch = 2 }), "FENCED_LEADER_EPOCH: t-0 is at leader epoch 3, the request says 2"},
		"state behind":         {1, 11, with(func(q *controller.ISRChange) { q.PartitionEpoch = 4 }), "INVALID_UPDATE_VERSION: t-0 is at partition epoch 5, the request says 4"},
		"not the leader":       {2, 12, change(isr(1, 2)), "INVALID_REQUEST: t-0 is led by broker 1, not 2"},
		"no replica":           {1, 11, change(isr(1, 9)), "INVALID_REQUEST: broker 9 cannot be in sync with t-0, or not twice: its replicas are [1 2 3 4 5 6]"},
		"twice":                {1, 11, change(isr(1, 2, 2)), "INVALID_REQUEST: broker 2 cannot be in sync with t-0, or not twice: its replicas are [1 2 3 4 5 6]"},
		"without itself":       {1, 11, change(isr(2, 3)), "INVALID_REQUEST: the leader of t-0, 1, must be in sync with itself"},
		"nobody":               {1, 11, change(nil), "INVALID_REQUEST: the leader of t-0, 1, must be in sync with itself"},
		"with a fenced one":    {1, 11, change(isr(1, 2, 4)), "INELIGIBLE_REPLICA: broker 4 cannot be in sync with t-0: it is fenced"},
		"with a stopping one":  {1, 11, change(isr(1, 2, 5)), "INELIGIBLE_REPLICA: broker 5 cannot be in sync with t-0: it is shutting down"},
		"with an earlier one":  {1, 11, change([]controller.ISRMember{{1, 11}, {3, 12}}), "INELIGIBLE_REPLICA: broker 3 cannot be in sync with t-0: it is registered anew since"},
		"with a forgotten one": {1, 11, change(isr(1, 6)), "INELIGIBLE_REPLICA: broker 6 cannot be in sync with t-0: it is not registered"},
	} {
		records, errs := controller.AlterPartition(testEnv(), img, c.by, c.epoch, []controller.ISRChange{c.q})
		if got := said(errs[0]); got != c.want {
			t.Errorf("%s:\n got %s\nwant %s", name, got, c.want)
		}
		if changes := name != "stays" && c.want == "ok"; changes != (len(records) == 1) {
			t.Errorf("%s: %d records", name, len(records))
		}
		fold(t, img, records)
	}
	// The second proposal of a request about one partition starts from a state that the first has changed.
	records, errs := controller.AlterPartition(testEnv(), img, 1, 11, []controller.ISRChange{change(isr(1, 2, 3)), change(isr(1))})
	if len(records) != 1 || errs[0] != nil || kafka.CodeOf(errs[1]) != kafka.InvalidUpdateVersion {
		t.Errorf("%v %v", records, errs)
	}
}

// KIP-966: who leaves while the ISR falls below min.insync.replicas stays eligible, until there are enough again.
func TestEligibleReplicasAreThoseThatLeftBelowTheLeast(t *testing.T) {
	env, img := minISR(2), topic(t, three(t), "t", led(ids{1, 2, 3}))
	id := img.Topics.ByName("t").ID
	step := func(isr, elr ids) {
		t.Helper()
		p := state(img, "t")
		q := controller.ISRChange{TopicID: id, LeaderEpoch: p.LeaderEpoch, PartitionEpoch: p.PartitionEpoch}
		for _, id := range isr {
			q.ISR = append(q.ISR, controller.ISRMember{ID: id, Epoch: -1})
		}
		records, errs := controller.AlterPartition(env, img, 1, 11, []controller.ISRChange{q})
		if errs[0] != nil {
			t.Fatal(errs)
		}
		img = fold(t, img, records)
		wantState(t, "in sync", state(img, "t"), metadata.Partition{Replicas: ids{1, 2, 3}, ISR: isr, Leader: 1, ELR: elr, LeaderEpoch: 3, PartitionEpoch: p.PartitionEpoch + 1})
	}
	step(ids{1, 2}, nil)
	step(ids{1}, ids{2})
	step(ids{1, 3}, nil)
	step(ids{1}, ids{3})
	step(ids{1, 2, 3}, nil)
	step(ids{1}, ids{2, 3})
}

// A lower min.insync.replicas lets the watermark move, so that nobody is eligible any more from the same moment on.
func TestLowerMinISREndsEligibility(t *testing.T) {
	env := modelEnv()
	two := "2"
	resource := metadata.Resource{Type: metadata.ResourceTopic, Name: "t"}
	img := topic(t, three(t), "t", metadata.Partition{Replicas: ids{1, 2, 3}, ISR: ids{1}, Leader: 1, ELR: ids{2}, LeaderEpoch: 3, PartitionEpoch: 5})
	img = fold(t, img, []metadata.Record{&metadata.ConfigRecord{Resource: resource, Name: "min.insync.replicas", Value: &two}})
	for name, c := range map[string]struct {
		change controller.ConfigChange
		elr    ids
	}{
		"another setting": {controller.ConfigChange{Name: "retention.ms", Value: value("1")}, ids{2}},
		"more":            {controller.ConfigChange{Name: "min.insync.replicas", Value: value("3")}, ids{2}},
		"less":            {controller.ConfigChange{Name: "min.insync.replicas", Value: value("1")}, nil},
		"the default":     {controller.ConfigChange{Name: "min.insync.replicas", Op: controller.OpDelete}, nil},
	} {
		records, errs := controller.AlterConfigs(env, img, []controller.AlterResource{{Resource: resource, Changes: []controller.ConfigChange{c.change}}})
		if errs[0] != nil {
			t.Fatal(errs)
		}
		want := state(img, "t")
		if want.ELR = c.elr; c.elr == nil {
			want.PartitionEpoch++
		}
		wantState(t, name, state(fold(t, img, records), "t"), want)
	}
}

func TestElectLeadersRefuses(t *testing.T) {
	img := fold(t, three(t), []metadata.Record{&metadata.BrokerRecord{Broker: metadata.Broker{ID: 3, Epoch: 13, Fenced: true}}})
	img = topic(t, img, "well", led(ids{1, 2}))
	img = topic(t, img, "elsewhere", metadata.Partition{Replicas: ids{1, 2}, ISR: ids{1, 2}, Leader: 2, LeaderEpoch: 3, PartitionEpoch: 5})
	img = topic(t, img, "late", metadata.Partition{Replicas: ids{1, 2}, ISR: ids{2}, Leader: 2, LeaderEpoch: 3, PartitionEpoch: 5})
	img = topic(t, img, "lost", metadata.Partition{Replicas: ids{3, 2}, ISR: ids{3}, Leader: kafka.NoBroker, LeaderEpoch: 3, PartitionEpoch: 5})
	img = topic(t, img, "gone", metadata.Partition{Replicas: ids{3}, ISR: ids{3}, Leader: kafka.NoBroker, LeaderEpoch: 3, PartitionEpoch: 5})
	for _, c := range []struct {
		kind  int8
		topic string
		index int32
		want  string
	}{
		{0, "well", 0, "ELECTION_NOT_NEEDED: well-0 is led by broker 1"},
		{1, "well", 0, "ELECTION_NOT_NEEDED: well-0 is led by broker 1"},
		{0, "elsewhere", 0, "ok"},
		{1, "elsewhere", 0, "ELECTION_NOT_NEEDED: elsewhere-0 is led by broker 2"},
		{0, "late", 0, "PREFERRED_LEADER_NOT_AVAILABLE: no broker can lead late-0 as asked: its replicas are [1 2], in sync are [2]"},
		{0, "lost", 0, "PREFERRED_LEADER_NOT_AVAILABLE: no broker can lead lost-0 as asked: its replicas are [3 2], in sync are [3]"},
		{1, "lost", 0, "ok"},
		{1, "gone", 0, "ELIGIBLE_LEADERS_NOT_AVAILABLE: no broker can lead gone-0 as asked: its replicas are [3], in sync are [3]"},
		{0, "none", 0, "UNKNOWN_TOPIC_OR_PARTITION: No such topic as none"},
		{0, "well", 1, "UNKNOWN_TOPIC_OR_PARTITION: No such partition as well-1"},
		{0, "well", -1, "UNKNOWN_TOPIC_OR_PARTITION: No such partition as well--1"},
		{2, "well", 0, "INVALID_REQUEST: Unknown election type 2"},
	} {
		records, answers := controller.ElectLeaders(testEnv(), img, c.kind, []kafka.TopicPartition{{Topic: c.topic, Partition: c.index}})
		if got := said(answers[0].Err); got != c.want {
			t.Errorf("%d of %s:\n got %s\nwant %s", c.kind, c.topic, got, c.want)
		}
		if (c.want == "ok") != (len(records) == 1) {
			t.Errorf("%d of %s: %d records", c.kind, c.topic, len(records))
		}
	}
	// Of all: those that need none are not in the answer.
	records, answers := controller.ElectLeaders(testEnv(), img, controller.PreferredElection, nil)
	if len(records) != 1 || len(answers) != 4 || state(fold(t, img, records), "elsewhere").Leader != 1 {
		t.Errorf("%v %v", records, answers)
	}
	records, answers = controller.ElectLeaders(testEnv(), img, controller.UncleanElection, nil)
	if p := state(fold(t, img, records), "lost"); len(records) != 1 || len(answers) != 2 || p.Leader != 2 || len(p.ISR) != 1 {
		t.Errorf("%v %v", records, answers)
	}
}
