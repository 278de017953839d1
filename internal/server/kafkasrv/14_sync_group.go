package kafkasrv

import (
	"bytes"
	"context"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/rafka-io/rafka/internal/kafka"
)

// SyncGroup: v0-5
//
// Behaviour: the leader of a classic group tells the assignment, the others wait for theirs as JoinGroup waits.
// v3 static members · v4 flexible · v5 protocol type and name, which must be there
// Left out: the throttle time is 0.
func syncGroup(ctx context.Context, r *request, q *kmsg.SyncGroupRequest, a *kmsg.SyncGroupResponse) {
	if r.version >= 5 && (q.ProtocolType == nil || q.Protocol == nil) {
		a.ErrorCode = int16(kafka.InconsistentGroupProtocol)
		return
	}
	for i := range q.GroupAssignment {
		q.GroupAssignment[i].MemberAssignment = bytes.Clone(q.GroupAssignment[i].MemberAssignment)
	}
	r.beginWait()
	*a = *r.conn.srv.broker.SyncGroup(r.conn.polls.of(ctx), r.session, q)
	r.endWait()
	r.hold(int64(len(a.MemberAssignment)))
}
