package group

import (
	"github.com/rafka-io/rafka/internal/coordinator"
	"github.com/rafka-io/rafka/internal/kafka"
)

// checkCommit lets a member commit at its epoch, and at an older one for what it had then, which checkCommitPartition looks at (GRP-3).
func (g *consumerGroup) checkCommit(_ *coordinator.Op, member string, instance *string, epoch int32, txn bool) error {
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
		return m.wrongEpoch("The received epoch %d is newer than that of the member, %d.", epoch, m.at.epoch)
	}
	return nil
}

// wrongEpoch is the error that the member's protocol has for a wrong epoch.
func (m *consumerMember) wrongEpoch(format string, args ...any) error {
	if m.said.classic != nil {
		return kafka.Errorf(kafka.IllegalGeneration, format, args...)
	}
	return kafka.Errorf(kafka.StaleMemberEpoch, format, args...)
}

// checkCommitPartition lets a member commit at an older epoch for a partition that it has had since then: the answer with the new epoch may be
// under way still (KIP-1251). Somebody who has lost the partition meanwhile is refused.
func (g *consumerGroup) checkCommitPartition(_ *coordinator.Op, member string, epoch int32, topic kafka.UUID, partition int32) error {
	m, ok := g.members.Get(member)
	if !ok || epoch == m.at.epoch {
		return nil // checkCommit has let it pass
	}
	since, has := m.at.assigned.epochOf(topic, partition, m.at.epoch)
	if !has {
		since, has = m.at.revoking.epochOf(topic, partition, m.at.epoch)
	}
	switch {
	case !has:
		return m.wrongEpoch("Partition %d of %s is not assigned to the member.", partition, topic)
	case epoch < since:
		return m.wrongEpoch("The received epoch %d is older than %d, at which the member came to have partition %d of %s.", epoch, since, partition, topic)
	}
	return nil
}

// minCommitVersion is the version in which a commit has a member epoch.
func (g *consumerGroup) minCommitVersion(member string) int16 {
	if m, ok := g.members.Get(member); ok && m.said.classic == nil {
		return 9
	}
	return 0
}

// checkFetch lets a member read offsets at its epoch, and anybody who does not say to be one.
func (g *consumerGroup) checkFetch(v coordinator.View, member *string, epoch int32) error {
	if member == nil && epoch < 0 {
		return nil
	}
	m, ok := g.members.GetAt(deref(member), v.Committed)
	switch {
	case !ok:
		return kafka.Errorf(kafka.UnknownMemberID, "Member %s is not a member of group %s.", deref(member), g.id)
	case epoch != m.at.epoch:
		return m.wrongEpoch("The received epoch %d does not match that of the member, %d.", epoch, m.at.epoch)
	}
	return nil
}
