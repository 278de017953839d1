package kafkasrv

import (
	"context"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/rafka-io/rafka/internal/kafka"
)

// Kinds of endpoints of DescribeCluster.
const (
	endpointsOfBrokers     = 1
	endpointsOfControllers = 2
)

// LoadTag is the tagged field of a broker in DescribeCluster's answer with what that has to do (mesh.Load), which clients that do not know
// it skip. Kafka's own tags begin at 0.
const LoadTag = 10_000

// DescribeCluster: v0-2
//
// Behaviour: the brokers with their addresses on the client's listener. Asking for controllers is refused as on Kafka's brokers: they are
// not reached here.
// v1 kind of endpoints · v2 fenced brokers as well
// Left out: nothing. Added: a tagged field with the load of each broker, as gossip has it.
func describeCluster(_ context.Context, r *request, q *kmsg.DescribeClusterRequest, a *kmsg.DescribeClusterResponse) {
	if r.version >= 1 && q.EndpointType != endpointsOfBrokers {
		err := kafka.Errorf(kafka.UnsupportedEndpointType, "there are no endpoints of type %d; brokers are 1", q.EndpointType)
		if q.EndpointType == endpointsOfControllers {
			err = kafka.Errorf(kafka.MismatchedEndpointType, "this is an endpoint of a broker; ask it for brokers (endpoint type 1)")
		}
		a.EndpointType = q.EndpointType
		a.ErrorCode, a.ErrorMessage = codeAndMessage(err)
		return
	}
	img := r.conn.srv.broker.Image()
	a.ClusterID, a.ControllerID = img.ClusterID, int32(r.controller(img))
	if q.IncludeClusterAuthorizedOperations {
		a.ClusterAuthorizedOperations = clusterOperations
	}
	for _, id := range sortedBrokers(img) {
		b := img.Brokers[id]
		if b.Fenced && !q.IncludeFencedBrokers {
			continue
		}
		at, ok := r.endpointFor(b)
		if !ok {
			continue
		}
		m := kmsg.NewDescribeClusterResponseBroker()
		m.NodeID, m.Host, m.Port, m.Rack, m.IsFenced = int32(b.ID), at.host, at.port, optional(b.Rack), b.Fenced
		if load := r.conn.srv.opts.Load(id); len(load) > 0 {
			m.UnknownTags.Set(LoadTag, load)
		}
		a.Brokers = append(a.Brokers, m)
	}
}
