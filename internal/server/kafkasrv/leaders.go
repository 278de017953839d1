package kafkasrv

import (
	"slices"

	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/metadata"
	"github.com/rafka-io/rafka/internal/wire"
)

// leaders collects the brokers that a client should ask instead (KIP-951): it is told their addresses in the same answer. Nearly always
// there are none.
type leaders []kafka.BrokerID

// knowsLeader reports whether an error means "ask another" and says whom.
func knowsLeader(err error, leader kafka.BrokerID) bool {
	if err == nil || leader < 0 {
		return false
	}
	code := kafka.CodeOf(err)
	return code == kafka.NotLeaderOrFollower || code == kafka.FencedLeaderEpoch
}

func (l *leaders) add(err error, leader kafka.BrokerID) {
	if knowsLeader(err, leader) && !slices.Contains(*l, leader) {
		*l = append(*l, leader)
	}
}

// each goes through those that the client can reach.
func (l leaders) each(r *request, do func(b *metadata.Broker, at endpoint)) {
	if len(l) == 0 {
		return
	}
	r.eachBroker(r.conn.srv.broker.Image(), func(b *metadata.Broker, at endpoint) {
		if slices.Contains(l, b.ID) {
			do(b, at)
		}
	})
}

// appendTag appends the tagged fields of a response: none, or tag 0 with the leaders' addresses.
func (l leaders) appendTag(b []byte, r *request) []byte {
	if len(l) == 0 {
		return append(b, 0)
	}
	var nodes []byte
	n := 0
	l.each(r, func(broker *metadata.Broker, at endpoint) {
		n++
		nodes = wire.AppendInt32(nodes, int32(broker.ID))
		nodes = wire.AppendString(nodes, at.host, true)
		nodes = wire.AppendInt32(nodes, at.port)
		nodes = appendMessage(nodes, broker.Rack, true)
		nodes = append(nodes, 0)
	})
	if n == 0 {
		return append(b, 0)
	}
	head := wire.AppendCount(nil, n, true)
	b = append(b, 1, 0)
	b = wire.AppendUvarint(b, uint32(len(head)+len(nodes)))
	b = append(b, head...)
	return append(b, nodes...)
}

// appendLeader appends the tagged field that names a partition's leader.
func appendLeader(b []byte, tag uint32, leader kafka.BrokerID, epoch kafka.LeaderEpoch) []byte {
	b = wire.AppendUvarint(b, tag)
	b = wire.AppendUvarint(b, 9) // bytes: two integers and no tags
	b = wire.AppendInt32(b, int32(leader))
	b = wire.AppendInt32(b, int32(epoch))
	return append(b, 0)
}

// sortedBrokers are the ids of the registered brokers.
func sortedBrokers(img *metadata.Image) []kafka.BrokerID {
	ids := make([]kafka.BrokerID, 0, len(img.Brokers))
	for id := range img.Brokers {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	return ids
}
