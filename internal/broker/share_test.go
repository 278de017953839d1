package broker

import (
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/rafka-io/rafka/internal/kafka"
)

// BRK-1: a broker without share groups says so of the whole, or of each partition or group where an answer has no place for the whole.
func TestBrokerWithoutQueuesSaysSo(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	codes := map[string]int16{
		"ShareFetch":              w.ShareFetch(ctx, anybody, &kmsg.ShareFetchRequest{}).ErrorCode,
		"ShareAcknowledge":        w.ShareAcknowledge(ctx, anybody, &kmsg.ShareAcknowledgeRequest{}).ErrorCode,
		"AlterShareGroupOffsets":  w.AlterShareGroupOffsets(ctx, anybody, &kmsg.AlterShareGroupOffsetsRequest{}).ErrorCode,
		"DeleteShareGroupOffsets": w.DeleteShareGroupOffsets(ctx, anybody, &kmsg.DeleteShareGroupOffsetsRequest{}).ErrorCode,
		"DescribeShareGroupOffsets": w.DescribeShareGroupOffsets(ctx, anybody, &kmsg.DescribeShareGroupOffsetsRequest{
			Groups: []kmsg.DescribeShareGroupOffsetsRequestGroup{{GroupID: "g"}},
		}).Groups[0].ErrorCode,
		"InitializeShareGroupState": w.InitializeShareGroupState(ctx, anybody, &kmsg.InitializeShareGroupStateRequest{
			Topics: []kmsg.InitializeShareGroupStateRequestTopic{{Partitions: []kmsg.InitializeShareGroupStateRequestTopicPartition{{Partition: 1}}}},
		}).Topics[0].Partitions[0].ErrorCode,
		"ReadShareGroupState": w.ReadShareGroupState(ctx, anybody, &kmsg.ReadShareGroupStateRequest{
			Topics: []kmsg.ReadShareGroupStateRequestTopic{{Partitions: []kmsg.ReadShareGroupStateRequestTopicPartition{{Partition: 1}}}},
		}).Topics[0].Partitions[0].ErrorCode,
		"WriteShareGroupState": w.WriteShareGroupState(ctx, anybody, &kmsg.WriteShareGroupStateRequest{
			Topics: []kmsg.WriteShareGroupStateRequestTopic{{Partitions: []kmsg.WriteShareGroupStateRequestTopicPartition{{Partition: 1}}}},
		}).Topics[0].Partitions[0].ErrorCode,
		"DeleteShareGroupState": w.DeleteShareGroupState(ctx, anybody, &kmsg.DeleteShareGroupStateRequest{
			Topics: []kmsg.DeleteShareGroupStateRequestTopic{{Partitions: []kmsg.DeleteShareGroupStateRequestTopicPartition{{Partition: 1}}}},
		}).Topics[0].Partitions[0].ErrorCode,
		"ReadShareGroupStateSummary": w.ReadShareGroupStateSummary(ctx, anybody, &kmsg.ReadShareGroupStateSummaryRequest{
			Topics: []kmsg.ReadShareGroupStateSummaryRequestTopic{{Partitions: []kmsg.ReadShareGroupStateSummaryRequestTopicPartition{{Partition: 1}}}},
		}).Topics[0].Partitions[0].ErrorCode,
	}
	for verb, code := range codes {
		if kafka.ErrorCode(code) != kafka.UnsupportedVersion {
			t.Errorf("%s answers %v", verb, kafka.ErrorCode(code))
		}
	}
	w.SessionClosed(anybody)
	w.ShareFetchWritten(anybody)
}
