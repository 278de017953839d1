package group

import (
	"github.com/rafka-io/rafka/internal/coordinator"
	"github.com/rafka-io/rafka/internal/coordinator/group/assign/tasks"
	"github.com/rafka-io/rafka/internal/kafka"
)

// checkCommit lets a member commit at its epoch, and at an older one for what it ran then, which checkCommitPartition looks at (GRP-3).
func (g *streamsGroup) checkCommit(_ *coordinator.Op, member string, instance *string, epoch int32, txn bool) error {
	switch {
	case epoch < 0 && g.isEmpty(): // an admin, or a consumer that is in no group
		return nil
	case txn && epoch == -1 && member == "" && instance == nil: // a producer that does not say which member it is
		return nil
	}
	m, ok := g.members.Get(member)
	switch {
	case !ok:
		return kafka.Errorf(kafka.UnknownMemberID, "Member %s is not a member of group %s.", member, g.id)
	case epoch > m.at.epoch:
		return kafka.Errorf(kafka.StaleMemberEpoch, "Received member epoch %d is newer than current member epoch %d.", epoch, m.at.epoch)
	}
	return nil
}

// checkCommitPartition lets a member commit at an older epoch for a task that it has had since then: the answer with the new epoch may be under way
// still. Somebody who has lost the task meanwhile is refused.
func (g *streamsGroup) checkCommitPartition(op *coordinator.Op, member string, epoch int32, topic kafka.UUID, partition int32) error {
	m, ok := g.members.Get(member)
	if !ok || epoch == m.at.epoch {
		return nil // checkCommit has let it pass
	}
	stale := func(format string, args ...any) error { return kafka.Errorf(kafka.StaleMemberEpoch, format, args...) }
	t := op.Image.Topics.ByID(topic)
	if t == nil {
		return kafka.UnknownTopicID
	}
	sub := g.topology.Get().reads(t.Name)
	if sub == nil {
		return stale("Topic %s is not in the topology.", t.Name)
	}
	task := tasks.Task{Subtopology: sub.id, Partition: partition}
	since, has := m.at.assigned.epochOf(task, m.at.epoch)
	if !has {
		since, has = m.at.revoking.epochOf(task, m.at.epoch)
	}
	switch {
	case !has:
		return stale("Task %s-%d is not assigned or pending revocation for member.", sub.id, partition)
	case epoch < since:
		return stale("Received member epoch %d is older than assignment epoch %d for task %s-%d.", epoch, since, sub.id, partition)
	}
	return nil
}

// minCommitVersion is the version in which a commit has a member epoch.
func (g *streamsGroup) minCommitVersion(member string) int16 {
	if _, ok := g.members.Get(member); ok {
		return 9
	}
	return 0
}

// checkFetch lets a member read offsets at its epoch, and anybody who does not say to be one.
func (g *streamsGroup) checkFetch(v coordinator.View, member *string, epoch int32) error {
	if member == nil && epoch < 0 {
		return nil
	}
	m, ok := g.members.GetAt(deref(member), v.Committed)
	switch {
	case !ok:
		return kafka.Errorf(kafka.UnknownMemberID, "Member %s is not a member of group %s.", deref(member), g.id)
	case epoch != m.at.epoch:
		return kafka.Errorf(kafka.StaleMemberEpoch, "The received member epoch %d does not match the expected member epoch %d.", epoch, m.at.epoch)
	}
	return nil
}
