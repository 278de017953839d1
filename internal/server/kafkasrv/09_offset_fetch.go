package kafkasrv

import (
	"context"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/rafka-io/rafka/internal/kafka"
)

// OffsetFetch: v1-10
//
// Behaviour: committed offsets of groups; null topics are all of a group. A group fails on its own.
// v2 error of the whole answer, null topics · v5 leader epochs · v6 flexible · v7 waits for transactions if asked (UNSTABLE_OFFSET_COMMIT) ·
// v8 many groups · v9 checks of the member (KIP-848) · v10 topic ids
// Left out: v0, which read from ZooKeeper. The throttle time is 0.
func offsetFetch(ctx context.Context, r *request, q *kmsg.OffsetFetchRequest, a *kmsg.OffsetFetchResponse) {
	if r.version >= 8 {
		*a = *r.conn.srv.broker.OffsetFetch(ctx, r.session, q)
		return
	}
	g := kmsg.NewOffsetFetchRequestGroup()
	g.Group = q.Group
	for i := range q.Topics {
		t := kmsg.NewOffsetFetchRequestGroupTopic()
		t.Topic, t.Partitions = q.Topics[i].Topic, q.Topics[i].Partitions
		g.Topics = append(g.Topics, t)
	}
	if q.Topics != nil && g.Topics == nil {
		g.Topics = []kmsg.OffsetFetchRequestGroupTopic{} // none is not all
	}
	q.Groups = append(q.Groups[:0], g)
	for _, g := range r.conn.srv.broker.OffsetFetch(ctx, r.session, q).Groups {
		a.ErrorCode = g.ErrorCode
		a.Topics = offsetsOfOne(g.Topics)
	}
	if r.version == 1 && a.ErrorCode != 0 {
		a.Topics = offsetErrors(q.Topics, a.ErrorCode)
	}
}

// offsetsOfOne is a group's offsets as versions before 8 have them.
func offsetsOfOne(topics []kmsg.OffsetFetchResponseGroupTopic) []kmsg.OffsetFetchResponseTopic {
	old := make([]kmsg.OffsetFetchResponseTopic, len(topics))
	for i := range topics {
		old[i].Topic = topics[i].Topic
		old[i].Partitions = make([]kmsg.OffsetFetchResponseTopicPartition, len(topics[i].Partitions))
		for j := range topics[i].Partitions {
			p := &topics[i].Partitions[j]
			old[i].Partitions[j] = kmsg.OffsetFetchResponseTopicPartition{
				Partition: p.Partition, Offset: p.Offset, LeaderEpoch: p.LeaderEpoch, Metadata: p.Metadata, ErrorCode: p.ErrorCode,
			}
		}
	}
	return old
}

// offsetErrors tells the error of the group at every partition, where version 1 has its only place for it.
func offsetErrors(asked []kmsg.OffsetFetchRequestTopic, code int16) []kmsg.OffsetFetchResponseTopic {
	old := make([]kmsg.OffsetFetchResponseTopic, len(asked))
	none := ""
	for i := range asked {
		old[i].Topic = asked[i].Topic
		for _, n := range asked[i].Partitions {
			p := kmsg.NewOffsetFetchResponseTopicPartition()
			p.Partition, p.Offset, p.Metadata, p.ErrorCode = n, int64(kafka.NoOffset), &none, code
			old[i].Partitions = append(old[i].Partitions, p)
		}
	}
	return old
}
