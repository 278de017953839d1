package group

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/rafka-io/rafka/internal/coordinator"
	"github.com/rafka-io/rafka/internal/kafka"
)

// OffsetCommit remembers how far a group has come, for every kind of group and for consumers that are in none. Each partition has its own
// error: those of the group's checkCommit (GRP-3), GROUP_ID_NOT_FOUND or ILLEGAL_GENERATION (no such group), UNKNOWN_TOPIC_OR_PARTITION,
// UNKNOWN_TOPIC_ID, OFFSET_METADATA_TOO_LARGE.
func (s *Shard) OffsetCommit(op *coordinator.Op, _ Client, req *kmsg.OffsetCommitRequest) *kmsg.OffsetCommitResponse {
	g, err := s.mayCommit(op, req)
	if c, ok := g.(*classicGroup); ok && err == nil && c.in(stateStable, statePreparing) {
		if m, ok := c.members.Get(req.MemberID); ok {
			c.touch(op, m) // a commit shows that the member lives
		}
	}
	w := s.writer(op, req.Group, g, err)
	if req.RetentionTimeMillis >= 0 && req.Version >= 2 && req.Version <= 4 {
		w.expires = w.now + kafka.Timestamp(req.RetentionTimeMillis)
	}
	w.checkEach(g, req.MemberID, req.Generation)
	r := kmsg.NewPtrOffsetCommitResponse()
	r.Topics = make([]kmsg.OffsetCommitResponseTopic, len(req.Topics))
	for i := range req.Topics {
		t, answer := &req.Topics[i], &r.Topics[i]
		answer.Topic, answer.TopicID = t.Topic, t.TopicID
		answer.Partitions = make([]kmsg.OffsetCommitResponseTopicPartition, len(t.Partitions))
		topic := w.topic(t.Topic, t.TopicID)
		for k := range t.Partitions {
			p := &t.Partitions[k]
			answer.Partitions[k].Partition = p.Partition
			answer.Partitions[k].ErrorCode = int16(w.commit(op, topic, p.Partition, p.Offset, p.LeaderEpoch, p.Metadata))
		}
	}
	return r
}

// mayCommit finds the group, which may be nil when an admin or a simple consumer commits for one that does not exist yet, and asks it.
func (s *Shard) mayCommit(op *coordinator.Op, req *kmsg.OffsetCommitRequest) (group, error) {
	if len(req.Group) > maxName {
		return nil, kafka.InvalidGroupID
	}
	g, found := s.groups.Get(req.Group)
	switch {
	case found:
		if v, ok := g.(commitVersion); ok && req.Version < v.minCommitVersion(req.MemberID) {
			return g, kafka.UnsupportedVersion
		}
		return g, g.checkCommit(op, req.MemberID, req.InstanceID, req.Generation, false)
	case req.Generation < 0:
		return nil, nil
	case req.Version >= 9:
		return nil, kafka.GroupIDNotFound
	default:
		return nil, kafka.IllegalGeneration
	}
}

// commitWriter emits the commits of one request.
type commitWriter struct {
	op      *coordinator.Op
	group   string
	now     kafka.Timestamp
	expires kafka.Timestamp
	txn     bool
	limit   int   // bytes of metadata
	err     error // of every partition
	check   func(topic kafka.UUID, partition int32) error
}

func (s *Shard) writer(op *coordinator.Op, name string, g group, err error) commitWriter {
	w := commitWriter{
		op: op, now: millis(op.Now), expires: kafka.NoTimestamp, err: err, limit: s.env.Config(op.Image, name).MaxOffsetMetadata,
	}
	if g != nil {
		w.group = g.name() // one string for all offsets of a group
	} else {
		w.group = owned(&name)
	}
	return w
}

// checkEach has the group look at each partition too, if it wants to.
func (w *commitWriter) checkEach(g group, member string, epoch int32) {
	if each, ok := g.(partitionCommit); ok {
		w.check = func(topic kafka.UUID, partition int32) error {
			return each.checkCommitPartition(w.op, member, epoch, topic, partition)
		}
	}
}

// commitTopic is a topic of a request as the image knows it.
type commitTopic struct {
	id         kafka.UUID
	name       string
	partitions int
	err        error
}

// topic looks a topic up by its id if the request has one, else by its name.
func (w *commitWriter) topic(name string, id kafka.UUID) commitTopic {
	t := w.op.Image.Topics.ByName(name)
	if !id.IsZero() {
		if t = w.op.Image.Topics.ByID(id); t == nil {
			return commitTopic{err: kafka.UnknownTopicID}
		}
	}
	if t == nil {
		return commitTopic{err: kafka.UnknownTopicOrPartition}
	}
	return commitTopic{id: t.ID, name: t.Name, partitions: len(t.Partitions)}
}

// code is what a client is told of an error. Producers know no member epochs: to them a stale one is an old generation.
func (w *commitWriter) code(err error) kafka.ErrorCode {
	c := kafka.CodeOf(err)
	if w.txn && c == kafka.StaleMemberEpoch {
		return kafka.IllegalGeneration
	}
	return c
}

func (w *commitWriter) commit(op *coordinator.Op, t commitTopic, partition int32, offset int64, epoch int32, metadata *string) kafka.ErrorCode {
	switch {
	case t.err != nil:
		return kafka.CodeOf(t.err)
	case partition < 0 || int(partition) >= t.partitions:
		return kafka.UnknownTopicOrPartition
	case w.err != nil:
		return w.code(w.err)
	case metadata != nil && len(*metadata) > min(w.limit, maxName):
		return kafka.OffsetMetadataTooLarge
	}
	if w.check != nil {
		if err := w.check(t.id, partition); err != nil {
			return w.code(err)
		}
	}
	op.Emit(&offsetCommit{
		group: w.group, offsetKey: offsetKey{t.name, partition}, topicID: t.id, offset: kafka.Offset(offset), leaderEpoch: kafka.LeaderEpoch(epoch),
		metadata: owned(metadata), committed: w.now, expires: w.expires,
	})
	return kafka.None
}
