package grpcsrv

import (
	"maps"
	"slices"

	"github.com/twmb/franz-go/pkg/kmsg"

	rafkapb "github.com/rafka-io/rafka/api/rafka"
	"github.com/rafka-io/rafka/internal/metadata"
)

// dealOut assigns partitions in ranges, as Kafka's range assignor does: of each topic, the members that want it get runs of partitions in
// the order of their ids, of which the first ones are longer by one where it does not come out even. The assignments have the format of
// Kafka's consumer protocol; who gets nothing is told so.
func dealOut(img *metadata.Image, members []*rafkapb.GroupMember) map[string][]byte {
	wanting := map[string][]string{} // topic to member ids
	dealt := map[string]*kmsg.ConsumerMemberAssignment{}
	for _, m := range members {
		a := kmsg.NewConsumerMemberAssignment()
		dealt[m.GetMemberId()] = &a
		for _, topic := range slices.Compact(slices.Sorted(slices.Values(m.GetTopics()))) {
			wanting[topic] = append(wanting[topic], m.GetMemberId())
		}
	}
	for _, topic := range slices.Sorted(maps.Keys(wanting)) {
		t := img.Topics.ByName(topic)
		if t == nil {
			continue
		}
		ids := wanting[topic]
		slices.Sort(ids)
		each, more, next := len(t.Partitions)/len(ids), len(t.Partitions)%len(ids), 0
		for i, id := range ids {
			n := each
			if i < more {
				n++
			}
			if n == 0 {
				continue
			}
			run := kmsg.NewConsumerMemberAssignmentTopic()
			run.Topic = topic
			for range n {
				run.Partitions = append(run.Partitions, int32(next))
				next++
			}
			dealt[id].Topics = append(dealt[id].Topics, run)
		}
	}
	all := make(map[string][]byte, len(dealt))
	for id, a := range dealt {
		all[id] = a.AppendTo(nil)
	}
	return all
}
