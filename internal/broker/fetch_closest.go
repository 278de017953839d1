package broker

import (
	"slices"
	"strconv"

	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/metadata"
	"github.com/rafka-io/rafka/internal/partition"
)

// rackAwareSelector is the only value of replica.selector.class that does something: Kafka's own selector of the replica in the consumer's rack.
const rackAwareSelector = "org.apache.kafka.common.replica.RackAwareReplicaSelector"

// rackAware reports whether replica.selector.class asks for replicas in the consumer's rack. It cannot be changed while the broker runs.
func (s Settings) rackAware() bool {
	img := metadata.Empty()
	node := metadata.Resource{Type: metadata.ResourceBroker, Name: strconv.Itoa(int(s.Node))}
	return s.Value(img, node, "replica.selector.class") == rackAwareSelector
}

// closest finds the replica that a consumer should read from (KIP-392). The zero one finds none.
type closest struct {
	brokers map[kafka.BrokerID]*metadata.Broker
	rack    string
}

// closest finds nothing if the request is answered here in any case.
func (b *Broker) closest(req *FetchRequest) closest {
	if !b.rackAware || req.Rack == "" || !req.AnyReplica || req.ReplicaID >= 0 {
		return closest{}
	}
	return closest{b.Image().Brokers, req.Rack}
}

// to is the first replica of a partition led here that is in sync and in the consumer's rack; NoBroker: the leader is, or none. The first, and not
// the one that is furthest, so that a consumer is not sent to and fro: all that are in sync have what is committed.
func (c closest) to(p *partition.Partition) kafka.BrokerID {
	if c.brokers == nil {
		return kafka.NoBroker
	}
	role := p.Role()
	if !role.IsLeader {
		return kafka.NoBroker
	}
	found := kafka.NoBroker
	for _, id := range role.Replicas {
		at := c.brokers[id]
		if at == nil || at.Rack != c.rack || at.Fenced || at.ShuttingDown || !slices.Contains(role.ISR, id) {
			continue
		}
		if id == role.Leader {
			return kafka.NoBroker
		}
		if found == kafka.NoBroker {
			found = id
		}
	}
	return found
}
