package group

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/rafka-io/rafka/internal/coordinator"
)

func shareJoin(group, member string, topics ...string) *kmsg.ShareGroupHeartbeatRequest {
	r := shareBeat(group, member, 0)
	r.SubscribedTopicNames = topics
	return r
}

func shareBeat(group, member string, epoch int32) *kmsg.ShareGroupHeartbeatRequest {
	r := kmsg.NewPtrShareGroupHeartbeatRequest()
	r.Version, r.GroupID, r.MemberID, r.MemberEpoch = 1, group, member, epoch
	return r
}

func (w *world) shareBeat(r *kmsg.ShareGroupHeartbeatRequest) (resp *kmsg.ShareGroupHeartbeatResponse, err error) {
	err = w.op(func(op *coordinator.Op) { resp = w.Shard.ShareGroupHeartbeat(op, Client{"app", "/10.0.0.1"}, r) })
	return resp, err
}
