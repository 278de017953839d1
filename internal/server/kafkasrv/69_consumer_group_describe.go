package kafkasrv

import (
	"context"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// ConsumerGroupDescribe: v0-1
//
// Behaviour: state, epochs, members and their assignments of KIP-848 groups. Each group has its own error.
// v1 kinds of members
// Left out: nothing.
func consumerGroupDescribe(ctx context.Context, r *request, q *kmsg.ConsumerGroupDescribeRequest, a *kmsg.ConsumerGroupDescribeResponse) {
	*a = *r.conn.srv.broker.ConsumerGroupDescribe(ctx, r.session, q)
	for i := range a.Groups {
		g := &a.Groups[i]
		g.AuthorizedOperations = toldOperations(q.IncludeAuthorizedOperations, g.ErrorCode)
	}
}
