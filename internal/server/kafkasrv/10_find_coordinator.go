package kafkasrv

import (
	"context"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/metadata"
)

// FindCoordinator: v0-6
//
// Behaviour: the broker to ask about groups, transactional ids and share partitions, by the address on the client's own listener. The
// internal topic behind it is created on first use. A key fails on its own.
// v1 kinds of keys, messages · v3 flexible · v4 many keys · v5 TRANSACTION_ABORTABLE · v6 share partitions (KIP-932)
// Left out: the throttle time is 0.
func findCoordinator(ctx context.Context, r *request, q *kmsg.FindCoordinatorRequest, a *kmsg.FindCoordinatorResponse) {
	if r.version < 4 {
		q.CoordinatorKeys = []string{q.CoordinatorKey}
	}
	const shareKeys = 2
	if q.CoordinatorType == shareKeys && r.version < 6 {
		q.CoordinatorType = -1 // as unknown as any other that the version does not have
	}
	*a = *r.conn.srv.broker.FindCoordinator(ctx, r.session, q)
	img := r.conn.srv.broker.Image()
	for i := range a.Coordinators {
		c := &a.Coordinators[i]
		r.locate(img, c)
		if c.ErrorCode == 0 {
			c.ErrorMessage = r.noError()
		}
		if r.version < 4 {
			a.ErrorCode, a.ErrorMessage, a.NodeID, a.Host, a.Port = c.ErrorCode, c.ErrorMessage, c.NodeID, c.Host, c.Port
		}
	}
}

// noError is the message that goes with no error. Kafka's is not null, and depends on the version.
func (r *request) noError() *string {
	message := ""
	if r.version < 4 {
		message = "NONE"
	}
	return &message
}

// locate fills in where the client reaches a coordinator.
func (r *request) locate(img *metadata.Image, c *kmsg.FindCoordinatorResponseCoordinator) {
	if c.ErrorCode == 0 {
		if b := img.Brokers[kafka.BrokerID(c.NodeID)]; b != nil && !b.Fenced {
			if at, ok := r.endpointFor(b); ok {
				c.Host, c.Port = at.host, at.port
				return
			}
		}
		c.ErrorCode, c.ErrorMessage = codeAndMessage(kafka.Errorf(kafka.CoordinatorNotAvailable, "the coordinator of %q, broker %d, is not alive or has no address on this listener", c.Key, c.NodeID))
	}
	c.NodeID, c.Host, c.Port = int32(kafka.NoBroker), "", -1
}
