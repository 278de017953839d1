package kafkasrv

import (
	"context"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/rafka-io/rafka/internal/kafka"
)

// RemoveRaftVoter: v0
//
// Behaviour: has a node vote on the metadata no more; it goes on following them.
// Left out: nothing. The throttle time is 0.
func removeRaftVoter(ctx context.Context, r *request, q *kmsg.RemoveRaftVoterRequest, a *kmsg.RemoveRaftVoterResponse) {
	err := r.conn.srv.broker.RemoveVoter(ctx, r.session, q.ClusterID, kafka.BrokerID(q.VoterID), q.VoterDirectoryID)
	a.ErrorCode, a.ErrorMessage = codeAndMessage(err)
}
