package queue

import (
	"context"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/rafka-io/rafka/internal/coordinator/group"
	"github.com/rafka-io/rafka/internal/kafka"
)

// DeleteShareGroupOffsets makes a share group forget topics: when it reads one again it begins where share.auto.offset.reset says. The group must
// have no members: NonEmptyGroup.
//
// Other codes of the whole: GroupIDNotFound and the coordinator's. Of a topic: UnknownTopicOrPartition (the group knows nothing of it), and those of
// the share coordinator.
func (m *Manager) DeleteShareGroupOffsets(ctx context.Context, req *kmsg.DeleteShareGroupOffsetsRequest) *kmsg.DeleteShareGroupOffsetsResponse {
	resp := kmsg.NewPtrDeleteShareGroupOffsetsResponse()
	resp.Version = req.Version
	names := make([]string, len(req.Topics))
	for i := range req.Topics {
		names[i] = req.Topics[i].Topic
	}
	topics, err := m.opts.Groups.DeleteShareState(ctx, req.GroupID, names)
	if err != nil {
		resp.ErrorCode, resp.ErrorMessage = codeAndMessage(err)
		return resp
	}
	known := map[string]kafka.UUID{}
	for _, t := range topics {
		known[t.Topic] = t.TopicID
	}
	failed, err := m.forgetTopics(ctx, req.GroupID, topics)
	if err != nil {
		resp.ErrorCode, resp.ErrorMessage = codeAndMessage(err)
		return resp
	}
	for _, name := range names {
		t := kmsg.NewDeleteShareGroupOffsetsResponseTopic()
		t.Topic = name
		id, ok := known[name]
		t.TopicID = id
		switch {
		case !ok:
			t.ErrorCode, t.ErrorMessage = codeAndMessage(kafka.Errorf(kafka.UnknownTopicOrPartition, "share group %s has no offsets of topic %s", req.GroupID, name))
		case failed[id] != kafka.None:
			t.ErrorCode, t.ErrorMessage = codeAndMessage(failed[id])
		}
		resp.Topics = append(resp.Topics, t)
	}
	return resp
}

// forgetTopics removes states, and tells the groups' coordinator of those that are gone.
func (m *Manager) forgetTopics(ctx context.Context, name string, topics []group.TopicIDPartitions) (failed map[kafka.UUID]kafka.ErrorCode, err error) {
	if len(topics) == 0 {
		return nil, nil
	}
	m.dropStates(name, topics)
	failed, _ = m.deleteStates(ctx, name, topics)
	m.dropStates(name, topics) // whoever loaded the old state meanwhile
	var gone []group.TopicIDPartitions
	for _, t := range topics {
		if failed[t.TopicID] == kafka.None {
			gone = append(gone, t)
		}
	}
	if len(gone) == 0 {
		return failed, nil
	}
	return failed, m.opts.Groups.ShareStateDeleted(ctx, name, gone)
}
