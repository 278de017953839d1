package app

import (
	"context"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/rafka-io/rafka/internal/broker/route"
	"github.com/rafka-io/rafka/internal/cluster/lanes"
	"github.com/rafka-io/rafka/internal/cluster/peer"
	"github.com/rafka-io/rafka/internal/config"
	"github.com/rafka-io/rafka/internal/controller"
	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/partition"
	"github.com/rafka-io/rafka/internal/replica"
	"github.com/rafka-io/rafka/internal/storage"
	"github.com/rafka-io/rafka/internal/txnmarker"
)

// leaders is how followers reach the brokers that they fetch from.
type leaders struct{ peers *peer.Peers }

// Dial implements replica.Peers.
func (l leaders) Dial(ctx context.Context, to kafka.BrokerID) (replica.FetchConn, error) {
	c, err := l.peers.Dial(ctx, to)
	if err != nil {
		return nil, err
	}
	return fetchConn{c}, nil
}

type fetchConn struct{ *peer.KafkaConn }

// Fetch implements replica.FetchConn.
func (c fetchConn) Fetch(ctx context.Context, q *kmsg.FetchRequest) (replica.FetchFrame, error) {
	f, err := c.KafkaConn.Fetch(ctx, q)
	if err != nil {
		return nil, err
	}
	return f, nil
}

// replication adds to the options of the partitions what a node of a cluster needs.
func (a *App) replication(o *replica.Options, st *config.Static) {
	if a.peers == nil {
		return
	}
	o.Peers = leaders{a.peers}
	o.Call = a.peers.Call
	named := func(logs []storage.ID) []controller.FailedReplica {
		list := make([]controller.FailedReplica, len(logs))
		for i, id := range logs {
			list[i] = controller.FailedReplica{TopicID: id.TopicID, Partition: id.Partition}
		}
		return list
	}
	o.Failed = func(ctx context.Context, logs []storage.ID) error { return a.loop.FailReplicas(ctx, named(logs)) }
	o.Full = func(ctx context.Context, logs []storage.ID) error { return a.loop.StepOut(ctx, named(logs)) }
	o.FetchMaxWait = st.Duration("replica.fetch.wait.max.ms")
	o.FetchMaxBytes, o.FetchPartitionBytes = int(st.Int("replica.fetch.response.max.bytes")), int(st.Int("replica.fetch.max.bytes"))
	o.MaxLag, o.MaxSilence = st.Duration("replica.lag.time.max.ms"), st.Duration("rafka.replica.silent.max.ms")
	o.BrokerEpoch = func() int64 { return a.loop.BrokerEpoch() }
	o.Lease = func() bool { return a.loop.Lease() }
	o.AlterPartition = func(ctx context.Context, list []partition.ISRProposal) []error {
		changes := make([]controller.ISRChange, len(list))
		for i, q := range list {
			changes[i] = controller.ISRChange{TopicID: q.Partition.TopicID, Partition: q.Partition.Partition, LeaderEpoch: q.Epoch, PartitionEpoch: q.PartitionEpoch}
			for _, m := range q.ISR {
				changes[i].ISR = append(changes[i].ISR, controller.ISRMember{ID: m.ID, Epoch: m.Epoch})
			}
		}
		return a.loop.AlterPartition(ctx, changes)
	}
}

// dialPeer makes a connection of Kafka's protocol that is nobody else's. An error is a nil interface's, not that of a nil connection.
func (a *App) dialPeer(ctx context.Context, to kafka.BrokerID) (lanes.Conn, error) {
	c, err := a.peers.Dial(ctx, to)
	if err != nil {
		return nil, err
	}
	return c, nil
}

// markerWriter writes markers on a broker, this one or another.
func (a *App) markerWriter(local *txnmarker.Local) func(kafka.BrokerID) txnmarker.Writer {
	if a.peers != nil {
		return txnmarker.Writers(a.node, local, a.lanes)
	}
	return func(id kafka.BrokerID) txnmarker.Writer {
		if id == a.node {
			return local
		}
		return nil
	}
}

// elsewhere are the verbs that reach the whole cluster from this node.
func (a *App) elsewhere(states route.States) {
	if a.peers == nil {
		return
	}
	a.route = route.New(route.Options{
		Local: a.broker, NodeID: a.node, Peers: a.lanes, States: states,
		Dial: func(ctx context.Context, to kafka.BrokerID) (route.Conn, error) {
			c, err := a.peers.Dial(ctx, to)
			if err != nil {
				return nil, err
			}
			return c, nil
		},
	})
	a.onStop("routes to other brokers", func(context.Context) error { a.route.Close(); return nil })
}

// handOverPatience is how much of the time for a stop goes to handing over what is led here.
const handOverPatience = 5 * time.Second

// farewell is how long the doors stay open after everything was handed over, so that clients which come late, because they wait between two tries (a
// quarter of a second, by default), are told who leads now. A client that finds the door closed asks for metadata, and some do that every five
// seconds at most.
const farewell = 500 * time.Millisecond
