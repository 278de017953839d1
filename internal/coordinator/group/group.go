package group

import (
	"github.com/rafka-io/rafka/internal/coordinator"
	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/metadata"
)

// kind of a group, with Kafka's names in ListGroups.
type kind string

const (
	kindClassic  kind = "classic"
	kindConsumer kind = "consumer"
	kindShare    kind = "share"
	kindStreams  kind = "streams"
)

// group is one group of any kind. What is inside it lives in containers of the shard's registry, so that it reverts with the shard.
type group interface {
	name() string
	kind() kind
	// state is Kafka's name as of an epoch: Empty, Stable, PreparingRebalance, CompletingRebalance, Assigning, Reconciling, NotReady, Dead.
	state(at coordinator.View) string
	// protocol is the protocol type and name for lists ("consumer", "range").
	protocol(at coordinator.View) (typ, name string)
	isEmpty() bool
	// checkCommit refuses a commit of a member (GRP-3): kafka.UnknownMemberID, IllegalGeneration, StaleMemberEpoch, FencedInstanceID,
	// RebalanceInProgress. Member "" and epoch -1 are an admin or a simple consumer, allowed when the group has no members.
	checkCommit(op *coordinator.Op, member string, instance *string, epoch int32, txn bool) error
	// checkFetch is the same for OffsetFetch from v9.
	checkFetch(v coordinator.View, member *string, epoch int32) error
	// checkDelete refuses DeleteGroups: kafka.NonEmptyGroup.
	checkDelete() error
	// remove emits the tombstones of everything but offsets.
	remove(op *coordinator.Op)
	// usesTopic reports whether a member subscribes to a topic: its offsets neither expire nor may be deleted then.
	usesTopic(topic string) bool
	// load is called when the shard has been loaded: sessions start (GRP-6).
	load(op *coordinator.Op)
	// imageChanged is called when topics changed.
	imageChanged(op *coordinator.Op, d *metadata.Delta)
}

// A group may have these beside the above.
type (
	// commitVersion is the oldest version of OffsetCommit that a member may use: 9 for those of KIP-848. A group without it takes any.
	commitVersion interface {
		minCommitVersion(member string) int16
	}
	// partitionCommit looks at each partition of a commit that checkCommit let pass, such as one of a member that is an epoch behind and may
	// still commit for what it had then (KIP-1251).
	partitionCommit interface {
		checkCommitPartition(op *coordinator.Op, member string, epoch int32, topic kafka.UUID, partition int32) error
	}
)

// named returns the group of that name if there is one and it is a G.
func named[G group](s *Shard, name string) (g G, ok bool) {
	if one, found := s.groups.Get(name); found {
		g, ok = one.(G)
	}
	return g, ok
}

// replayed returns the group of that name for a record that belongs to a G, and makes it if the name is free, or belongs to a classic group
// that is only the owner of committed offsets: those records may come first. ok is false if the name belongs to a group of another kind,
// whose record this is not: the record is from before the group changed its kind, and the tombstone that says so was compacted away.
func replayed[G group](s *Shard, name string, create func() G) (g G, ok bool) {
	old, found := s.groups.Get(name)
	if found {
		if g, ok = old.(G); ok {
			return g, true
		}
		if !isSimple(old) {
			return g, false
		}
	}
	g = create()
	s.groups.Set(name, g)
	return g, true
}
