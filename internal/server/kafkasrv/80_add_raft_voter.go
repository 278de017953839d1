package kafkasrv

import (
	"context"
	"net"
	"strconv"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/rafka-io/rafka/internal/broker"
	"github.com/rafka-io/rafka/internal/kafka"
)

// AddRaftVoter: v0-1
//
// Behaviour: has a node vote on the metadata, and answers when it does. A node that is registered is reached by the peer addresses that it told,
// whatever the request says.
// v1 whether to answer only when the change is committed
// Left out: it always is when we answer. The throttle time is 0.
func addRaftVoter(ctx context.Context, r *request, q *kmsg.AddRaftVoterRequest, a *kmsg.AddRaftVoterResponse) {
	ctx, cancel := withTimeout(ctx, q.TimeoutMillis)
	defer cancel()
	v := broker.NewVoter{ID: kafka.BrokerID(q.VoterID), Directory: q.VoterDirectoryID}
	for i := range q.Listeners {
		v.Addresses = append(v.Addresses, net.JoinHostPort(q.Listeners[i].Host, strconv.Itoa(int(q.Listeners[i].Port))))
	}
	a.ErrorCode, a.ErrorMessage = codeAndMessage(r.conn.srv.broker.AddVoter(ctx, r.session, q.ClusterID, v))
}
