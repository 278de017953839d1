package kafkasrv

import (
	"context"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// LeaveGroup: v0-5
//
// Behaviour: members leave a classic group. Each has its own error.
// v3 many members, static ones by instance · v4 flexible · v5 reason
// Left out: the throttle time is 0.
func leaveGroup(ctx context.Context, r *request, q *kmsg.LeaveGroupRequest, a *kmsg.LeaveGroupResponse) {
	if r.version < 3 {
		m := kmsg.NewLeaveGroupRequestMember()
		m.MemberID = q.MemberID
		q.Members = append(q.Members[:0], m)
	}
	*a = *r.conn.srv.broker.LeaveGroup(ctx, r.session, q)
	if r.version < 3 && a.ErrorCode == 0 && len(a.Members) == 1 {
		a.ErrorCode = a.Members[0].ErrorCode
	}
}
