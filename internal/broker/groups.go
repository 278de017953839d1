package broker

import (
	"context"
	"slices"

	"github.com/rafka-io/rafka/internal/coordinator"
	"github.com/rafka-io/rafka/internal/coordinator/group"
	"github.com/rafka-io/rafka/internal/kafka"
)

// GroupRuntime runs the groups of this node: those whose partition of __consumer_offsets it leads.
type GroupRuntime = coordinator.Runtime[*group.Shard]

// GroupOptions are what the verbs about groups need beside the Options.
type GroupOptions struct {
	// Groups runs the groups of this node. [none: CoordinatorNotAvailable]
	Groups *GroupRuntime
	// GroupSettings finds what the settings of groups mean. [AdminOptions.Settings]
	GroupSettings *GroupSettings
}

// The verbs of groups take and give the protocol's own messages, in the form of the newest version; Version says what the client
// understands. A verb answers when everything that its answer rests on is committed. Errors are in the answers, as Kafka has them:
// besides the group's own CoordinatorNotAvailable, CoordinatorLoadInProgress and NotCoordinator.

var errNoGroups = kafka.Errorf(kafka.CoordinatorNotAvailable, "this broker coordinates no groups")

// clientOf is who asks, as groups know it. Hosts are written as Kafka writes them, which tools and descriptions show.
func clientOf(s *Session) group.Client {
	return group.Client{ID: s.ClientID, Host: "/" + s.Host}
}

// askGroup runs fn in the shard of a group and waits until what it did is committed.
func askGroup[A any](ctx context.Context, b *Broker, name string, fn func(s *group.Shard, op *coordinator.Op) A) (A, kafka.ErrorCode) {
	if b.opts.Groups == nil {
		var none A
		return none, coordinatorCode(errNoGroups)
	}
	a, err := coordinator.Ask(ctx, b.opts.Groups, name, fn)
	return a, coordinatorCode(err)
}

// askMember is askGroup for who means to be a member, which takes a group that has a name.
func askMember[A any](ctx context.Context, b *Broker, name string, fn func(s *group.Shard, op *coordinator.Op) A) (A, kafka.ErrorCode) {
	if name == "" {
		var none A
		return none, kafka.InvalidGroupID
	}
	return askGroup(ctx, b, name, fn)
}

// askMemberLater is askMember for what may be answered by a later operation.
func askMemberLater[A any](ctx context.Context, b *Broker, name string, fn func(s *group.Shard, op *coordinator.Op, later *coordinator.Reply[A])) (A, kafka.ErrorCode) {
	var none A
	switch {
	case name == "":
		return none, kafka.InvalidGroupID
	case b.opts.Groups == nil:
		return none, coordinatorCode(errNoGroups)
	}
	a, err := coordinator.AskLater(ctx, b.opts.Groups, name, fn)
	return a, coordinatorCode(err)
}

// readGroup looks at what is committed in the shard of a group, at once.
func readGroup[A any](b *Broker, name string, fn func(s *group.Shard, v coordinator.View) A) (A, kafka.ErrorCode) {
	if b.opts.Groups == nil {
		var none A
		return none, coordinatorCode(errNoGroups)
	}
	a, err := coordinator.Read(b.opts.Groups, name, fn)
	return a, coordinatorCode(err)
}

// readNamed is readGroup for groups that members join, which have a name.
func readNamed[A any](b *Broker, name string, fn func(s *group.Shard, v coordinator.View) A) (A, kafka.ErrorCode) {
	if name == "" {
		var none A
		return none, kafka.InvalidGroupID
	}
	return readGroup(b, name, fn)
}

// speaks refuses a kind of group that group.coordinator.rebalance.protocols does not have, as Kafka does.
func (b *Broker) speaks(protocol string) kafka.ErrorCode {
	if slices.Contains(b.opts.GroupSettings.Group(b.Image(), "").Protocols, protocol) {
		return kafka.None
	}
	return kafka.UnsupportedVersion
}

// maxTogether is how many groups of one shard one operation changes at most.
const maxTogether = 100

// byShard splits names into lists of one shard each, in the order of their first names, each name once.
func (b *Broker) byShard(names []string) [][]string {
	var lists [][]string
	at := map[int32]int{} // shard to the list that takes its next name
	seen := make(map[string]bool, len(names))
	for _, name := range names {
		if seen[name] {
			continue
		}
		seen[name] = true
		shard := int32(-1)
		if b.opts.Groups != nil {
			if p, err := b.opts.Groups.PartitionOf(name); err == nil {
				shard = p
			}
		}
		i, ok := at[shard]
		if !ok || len(lists[i]) >= maxTogether {
			i = len(lists)
			lists, at[shard] = append(lists, nil), i
		}
		lists[i] = append(lists[i], name)
	}
	return lists
}

// inOrder sorts answers by the places of their names in the request.
func inOrder[A any](answers []A, names []string, nameOf func(*A) string) {
	place := make(map[string]int, len(names))
	for i, name := range slices.Backward(names) {
		place[name] = i
	}
	slices.SortStableFunc(answers, func(x, y A) int { return place[nameOf(&x)] - place[nameOf(&y)] })
}
