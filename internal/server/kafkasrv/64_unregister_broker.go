package kafkasrv

import (
	"context"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/rafka-io/rafka/internal/kafka"
)

// UnregisterBroker: v0
//
// Behaviour: forgets a broker that has gone for good and has no replicas left.
// Left out: nothing. The throttle time is 0.
func unregisterBroker(ctx context.Context, r *request, q *kmsg.UnregisterBrokerRequest, a *kmsg.UnregisterBrokerResponse) {
	a.ErrorCode, a.ErrorMessage = codeAndMessage(r.conn.srv.broker.UnregisterBroker(ctx, r.session, kafka.BrokerID(q.BrokerID)))
}
