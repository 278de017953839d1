package broker

import (
	"testing"
	"time"

	"github.com/rafka-io/rafka/internal/config"
	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/metadata"
)

// KIP-392: a consumer that names its rack is sent to the replica there, at once and without records, if that is in sync and alive and the offset is
// one that it can have.
func TestConsumersAreSentToTheirRack(t *testing.T) {
	w := newWorld(t)
	w.cluster()
	w.replicated("a", 1, 1, 2, 3)
	w.fill("a", 0, 1, 10)
	for id := range kafka.BrokerID(2) {
		w.followed(follow(id+2, 0, from("a", 0, 1)))
	}
	w.rackAware = true
	ask := func(rack string, offset kafka.Offset) FetchResult {
		req := fetchRequest(0, 1, from("a", 0, offset))
		req.Rack, req.AnyReplica = rack, true
		r := w.fetch(req)[0]
		releaseRecords([]FetchResult{r})
		return r
	}
	for rack, want := range map[string]kafka.BrokerID{"a": kafka.NoBroker, "b": 2, "c": 3, "d": kafka.NoBroker, "": kafka.NoBroker} {
		if r := ask(rack, 0); r.Err != nil || r.PreferredRead != want || r.HighWatermark != 1 || r.Records != nil && want != kafka.NoBroker {
			t.Errorf("rack %q: %+v", rack, r)
		}
	}
	if r := ask("b", 1); r.PreferredRead != 2 {
		t.Errorf("at the high watermark: %+v", r)
	}
	if r := ask("b", 9); kafka.CodeOf(r.Err) != kafka.OffsetOutOfRange || r.PreferredRead != kafka.NoBroker {
		t.Errorf("beyond the end: %+v", r)
	}
	old := fetchRequest(0, 1, from("a", 0, 0))
	old.Rack = "b"
	if r := w.fetch(old)[0]; r.PreferredRead != kafka.NoBroker || got(r) == 0 {
		t.Errorf("a client that cannot: %+v", r)
	}
	if r := w.followed(follow(2, 0, from("a", 0, 0))); r.PreferredRead != kafka.NoBroker || got(r) == 0 {
		t.Errorf("a follower: %+v", r)
	}
	w.fold(&metadata.BrokerRecord{Broker: metadata.Broker{ID: 2, Epoch: 2, Rack: "b", ShuttingDown: true}})
	if r := ask("b", 0); r.PreferredRead != kafka.NoBroker {
		t.Errorf("a broker that is going: %+v", r)
	}
	w.fold(&metadata.PartitionChangeRecord{TopicID: kafka.UUID{1}, State: metadata.Partition{Replicas: []kafka.BrokerID{1, 2, 3}, ISR: []kafka.BrokerID{1}, Leader: 1}})
	if r := ask("c", 0); r.PreferredRead != kafka.NoBroker {
		t.Errorf("a replica that is not in sync: %+v", r)
	}
	w.rackAware = false
	if r := ask("b", 0); r.PreferredRead != kafka.NoBroker {
		t.Errorf("without a selector: %+v", r)
	}
}

// A consumer that is sent away does not wait, whatever it is willing to.
func TestPreferredReplicaIsToldAtOnce(t *testing.T) {
	w := newWorld(t)
	w.cluster()
	w.replicated("a", 1, 1, 2)
	w.rackAware = true
	req := fetchRequest(time.Hour, 1<<20, from("a", 0, 0))
	req.Rack, req.AnyReplica = "b", true
	if r := w.fetch(req)[0]; r.PreferredRead != 2 {
		t.Errorf("%+v", r)
	}
}

// replica.selector.class: Kafka's rack-aware one acts, without one only leaders serve.
func TestSelectorIsConfigured(t *testing.T) {
	for class, want := range map[string]bool{"": false, "org.apache.kafka.common.replica.LeaderSelector": false, rackAwareSelector: true} {
		values := map[string]string{}
		if class != "" {
			values["replica.selector.class"] = class
		}
		static, _, err := config.Load(config.Sources{Values: values})
		if err != nil {
			t.Fatal(err)
		}
		if got := (Settings{Node: 1, Static: static}).rackAware(); got != want {
			t.Errorf("%q: %t", class, got)
		}
	}
}
