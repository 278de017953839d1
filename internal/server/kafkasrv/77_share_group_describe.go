package kafkasrv

import (
	"context"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// ShareGroupDescribe: v1
//
// Behaviour: state, epochs, members and their assignments of share groups. Each group has its own error.
// Left out: nothing.
func shareGroupDescribe(ctx context.Context, r *request, q *kmsg.ShareGroupDescribeRequest, a *kmsg.ShareGroupDescribeResponse) {
	*a = *r.conn.srv.broker.ShareGroupDescribe(ctx, r.session, q)
	for i := range a.Groups {
		g := &a.Groups[i]
		g.AuthorizedOperations = toldOperations(q.IncludeAuthorizedOperations, g.ErrorCode)
	}
}
