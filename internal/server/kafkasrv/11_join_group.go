package kafkasrv

import (
	"bytes"
	"context"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// JoinGroup: v0-9
//
// Behaviour: makes the client a member of a classic group and answers when the group's next generation begins, which may take minutes:
// until then nothing is held of the request but what the group keeps. A drain of the connection ends the wait.
// v1 rebalance timeout (before: the session timeout) · v4 MEMBER_ID_REQUIRED · v5 static members · v6 flexible · v7 protocol type · v8 reason ·
// v9 tells a returning static leader to skip the assignment
// Left out: the throttle time is 0.
func joinGroup(ctx context.Context, r *request, q *kmsg.JoinGroupRequest, a *kmsg.JoinGroupResponse) {
	if r.version == 0 {
		q.RebalanceTimeoutMillis = q.SessionTimeoutMillis
	}
	for i := range q.Protocols {
		q.Protocols[i].Metadata = bytes.Clone(q.Protocols[i].Metadata)
	}
	r.beginWait()
	*a = *r.conn.srv.broker.JoinGroup(r.conn.polls.of(ctx), r.session, q)
	r.endWait()
	size := 0
	for i := range a.Members {
		size += memberCost + len(a.Members[i].ProtocolMetadata)
	}
	r.hold(int64(size))
}

// memberCost is what one member costs in an answer beside what it says of itself, in bytes.
const memberCost = 160
