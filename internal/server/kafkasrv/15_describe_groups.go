package kafkasrv

import (
	"context"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/rafka-io/rafka/internal/kafka"
)

// DescribeGroups: v0-6
//
// Behaviour: state and members of classic groups. Each group has its own error. One that does not exist is GROUP_ID_NOT_FOUND; before
// version 6, which came with that, it is a group in the state Dead.
// v3 authorized operations · v4 static members · v5 flexible · v6 messages (KIP-1043)
// Left out: nothing.
func describeGroups(ctx context.Context, r *request, q *kmsg.DescribeGroupsRequest, a *kmsg.DescribeGroupsResponse) {
	*a = *r.conn.srv.broker.DescribeGroups(ctx, r.session, q)
	for i := range a.Groups {
		g := &a.Groups[i]
		if g.ErrorCode == int16(kafka.GroupIDNotFound) {
			g.State = "Dead"
			if r.version < 6 {
				g.ErrorCode = 0
			}
		}
		g.AuthorizedOperations = toldOperations(q.IncludeAuthorizedOperations, g.ErrorCode)
	}
}
