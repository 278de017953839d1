package controller

import (
	"slices"
	"strconv"

	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/metadata"
)

// DrainBroker marks a broker, also a dead one, so that Upkeep moves its replicas to others and it gets no new ones; on false: no longer.
// Nil records: it is so already. Errors: BrokerIDNotRegistered.
func DrainBroker(_ *Env, img *metadata.Image, id kafka.BrokerID, on bool) ([]metadata.Record, error) {
	b := img.Brokers[id]
	if b == nil {
		return nil, notRegistered(id)
	}
	if b.Draining == on {
		return nil, nil
	}
	drained := *b
	drained.Draining = on
	return []metadata.Record{&metadata.BrokerRecord{Broker: drained}}, nil
}

// UnregisterBroker forgets a broker that is fenced and has no replicas left. Errors: BrokerIDNotRegistered, InvalidRequest.
func UnregisterBroker(_ *Env, img *metadata.Image, id kafka.BrokerID) ([]metadata.Record, error) {
	b := img.Brokers[id]
	if b == nil {
		return nil, notRegistered(id)
	}
	if !b.Fenced {
		return nil, kafka.Errorf(kafka.InvalidRequest, "broker %d is running; drain it, stop it and try again", id)
	}
	has := func(p *metadata.Partition) bool { return slices.Contains(p.Replicas, id) }
	if topics := topicsWith(img, has); len(topics) > 0 {
		replicas := 0
		for _, t := range topics {
			for i := range t.Partitions {
				if has(&t.Partitions[i]) {
					replicas++
				}
			}
		}
		return nil, kafka.Errorf(kafka.InvalidRequest, "broker %d has %d replicas left, such as some of %s; drain it and wait until they have moved, or delete those topics", id, replicas, topics[0].Name)
	}
	return append(drainForgotten(img, id), &metadata.RemoveBrokerRecord{ID: id}), nil
}

// drainForgotten takes back that a broker drains, which would else be said of the next one that gets its id, and not be done.
func drainForgotten(img *metadata.Image, id kafka.BrokerID) []metadata.Record {
	r := metadata.Resource{Type: metadata.ResourceBroker, Name: strconv.Itoa(int(id))}
	if _, set := img.Configs[r][drainSetting]; !set {
		return nil
	}
	return []metadata.Record{&metadata.ConfigRecord{Resource: r, Name: drainSetting}}
}

func notRegistered(id kafka.BrokerID) error {
	return kafka.Errorf(kafka.BrokerIDNotRegistered, "Broker ID %d is not currently registered", id)
}
