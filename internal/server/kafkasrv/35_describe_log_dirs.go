package kafkasrv

import (
	"context"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/rafka-io/rafka/internal/kafka"
)

// DescribeLogDirs: v1-5
//
// Behaviour: the data directories with the size of each partition's log; null asks for all partitions.
// v2 flexible · v3 error of the whole answer · v4 size of the volume · v5 cordoned directories
// Left out: replicas on their way to another directory (there is no AlterReplicaLogDirs), so none is a future one; cordoning.
func describeLogDirs(_ context.Context, r *request, q *kmsg.DescribeLogDirsRequest, a *kmsg.DescribeLogDirsResponse) {
	want := func(kafka.TopicPartition) bool { return true }
	if q.Topics != nil {
		wanted := make(map[kafka.TopicPartition]bool, r.content.Elements)
		for i := range q.Topics {
			for _, p := range q.Topics[i].Partitions {
				wanted[kafka.TopicPartition{Topic: q.Topics[i].Topic, Partition: p}] = true
			}
		}
		want = func(tp kafka.TopicPartition) bool { return wanted[tp] }
	}
	for _, dir := range r.conn.srv.broker.DescribeLogDirs(r.session, want) {
		m := kmsg.NewDescribeLogDirsResponseDir()
		m.ErrorCode, m.Dir, m.TotalBytes, m.UsableBytes = int16(kafka.CodeOf(dir.Err)), dir.Path, dir.Total, dir.Free
		place := map[string]int{}
		for _, log := range dir.Logs {
			at, ok := place[log.Topic]
			if !ok {
				at = len(m.Topics)
				place[log.Topic] = at
				t := kmsg.NewDescribeLogDirsResponseDirTopic()
				t.Topic = log.Topic
				m.Topics = append(m.Topics, t)
			}
			p := kmsg.NewDescribeLogDirsResponseDirTopicPartition()
			p.Partition, p.Size, p.OffsetLag = log.Partition, log.Size, log.Lag
			m.Topics[at].Partitions = append(m.Topics[at].Partitions, p)
		}
		a.Dirs = append(a.Dirs, m)
	}
}

// logDirPartitionCost is what one partition costs in an answer, in bytes.
const logDirPartitionCost = 160

// describeLogDirsCost counts all partitions if none is named.
func describeLogDirsCost(r *request) int64 {
	all := r.conn.srv.broker.Image().Topics.PartitionCount()
	if n := r.content.Elements; n > 0 {
		all = min(all, n)
	}
	return int64(all) * logDirPartitionCost
}
