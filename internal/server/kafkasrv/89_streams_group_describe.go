package kafkasrv

import (
	"context"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// StreamsGroupDescribe: v0-1
//
// Behaviour: state, epochs, topology, members and their tasks of streams groups. Each group has its own error.
// v1 descriptions of topologies, the assignor
// Left out: nothing.
func streamsGroupDescribe(ctx context.Context, r *request, q *kmsg.StreamsGroupDescribeRequest, a *kmsg.StreamsGroupDescribeResponse) {
	*a = *r.conn.srv.broker.StreamsGroupDescribe(ctx, r.session, q)
	for i := range a.Groups {
		g := &a.Groups[i]
		g.AuthorizedOperations = toldOperations(q.IncludeAuthorizedOperations, g.ErrorCode)
	}
}
