package group

import (
	"slices"
	"time"

	"github.com/rafka-io/rafka/internal/config"
	"github.com/rafka-io/rafka/internal/coordinator"
	"github.com/rafka-io/rafka/internal/coordinator/group/assign"
	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/metadata"
	"github.com/rafka-io/rafka/internal/timeline"
)

// shareGroup is the membership of a share group (KIP-932). Its members share partitions, so nobody waits for anybody to give one up: a member
// is at its target as soon as it hears of it.
type shareGroup struct {
	s  *Shard
	id string

	head    *timeline.Value[shareHead]
	members *timeline.Map[string, *shareMember]
	targets *timeline.Map[string, assign.Partitions]
	names   *timeline.Map[string, int] // how many members subscribe to a topic
	stirred *timeline.Value[time.Time] // when something last changed that members must hear of

	settings groupSettings
}

// shareHead is what a share group knows of itself as a whole, as consumerHead.
type shareHead struct {
	epoch       int32
	hash        int64
	targetEpoch int32
	targetAt    kafka.Timestamp
	settled     int
}

// shareMember is a member of a share group. It is never changed once it is in a group.
type shareMember struct {
	id      string
	said    *shareSubscription
	at      *shareCurrent
	pulse   *pulse
	session string // the key of its timer
}

// shareSubscription is what a member said of itself (record type 10). It is never changed.
type shareSubscription struct {
	rack   *string
	client Client
	topics []string // sorted, without repeats
}

// shareCurrent is what a member has (record type 14). It is never changed.
type shareCurrent struct {
	epoch, previous int32
	assigned        assign.Partitions
}

var _ group = (*shareGroup)(nil)

func newShareGroup(s *Shard, id string) *shareGroup {
	return &shareGroup{
		s: s, id: id, head: timeline.NewValue(s.reg, shareHead{}), members: timeline.NewMap[string, *shareMember](s.reg),
		targets: timeline.NewMap[string, assign.Partitions](s.reg), names: timeline.NewMap[string, int](s.reg),
		stirred: timeline.NewValue(s.reg, time.Time{}),
	}
}

func newShareMember(group, id string) *shareMember {
	return &shareMember{
		id: id, said: &shareSubscription{}, at: &shareCurrent{}, pulse: &pulse{}, session: timerKey("share session", group, id),
	}
}

func (m *shareMember) with() *shareMember { c := *m; return &c }

func (g *shareGroup) name() string  { return g.id }
func (g *shareGroup) kind() kind    { return kindShare }
func (g *shareGroup) isEmpty() bool { return g.members.Len() == 0 }

func (g *shareGroup) state(at coordinator.View) string {
	if g.members.LenAt(at.Committed) == 0 {
		return "Empty"
	}
	return "Stable"
}

func (g *shareGroup) protocol(coordinator.View) (typ, name string) { return "share", assign.SimpleName }

// checkCommit refuses everything: share groups acknowledge records and commit no offsets.
func (g *shareGroup) checkCommit(*coordinator.Op, string, *string, int32, bool) error {
	return kafka.Errorf(kafka.GroupIDNotFound, "Group %s is a share group, which has no committed offsets.", g.id)
}

func (g *shareGroup) checkFetch(coordinator.View, *string, int32) error {
	return kafka.Errorf(kafka.GroupIDNotFound, "Group %s is a share group, which has no committed offsets.", g.id)
}

// checkDelete refuses to delete a group that has members.
func (g *shareGroup) checkDelete() error {
	if !g.isEmpty() {
		return kafka.Errorf(kafka.NonEmptyGroup, "Group %s has members; stop its consumers first.", g.id)
	}
	return nil
}

// remove emits the tombstones of the group and has the state of its partitions removed.
func (g *shareGroup) remove(op *coordinator.Op) {
	for _, m := range g.sorted() {
		g.removeMember(op, m)
	}
	op.Emit(&shareTarget{group: g.id, gone: true})
	op.Emit(&shareMetadata{group: g.id, gone: true})
	op.Cancel(g.assignTimer())
	op.Cancel(timerKey("share initialize", g.id))
	g.s.deleteStates(op, g.id)
}

func (g *shareGroup) usesTopic(topic string) bool {
	n, _ := g.names.Get(topic)
	return n > 0
}

// load gives every member a session from now on (GRP-6), and looks whether topics changed while nobody led the shard.
func (g *shareGroup) load(op *coordinator.Op) {
	for _, m := range g.sorted() {
		m.pulse.seen = time.Time{}
		g.heard(op, m, true)
	}
	g.topicsChanged(op)
	g.retarget(op)
	g.stirred.Set(op.Now) // whoever was on its way goes on
}

func (g *shareGroup) imageChanged(op *coordinator.Op, d *metadata.Delta) {
	for _, t := range d.Topics {
		if t.After != nil && g.usesTopic(t.After.Name) || t.Before != nil && g.usesTopic(t.Before.Name) {
			g.topicsChanged(op)
			return
		}
	}
}

func (g *shareGroup) topicsChanged(op *coordinator.Op) {
	op.Atomic(false) // groups have nothing to do with each other
	if g.isEmpty() {
		return
	}
	g.initialize(op)
	if g.topicsHash(op.Image) != g.head.Get().hash {
		op.Note(g.id, "topics that members subscribe to changed")
		g.bump(op)
		g.retarget(op)
	}
}

func (g *shareGroup) topicsHash(img *metadata.Image) int64 {
	return topicsHash(img, sortedKeys(g.names))
}

func (g *shareGroup) sorted() []*shareMember {
	list := make([]*shareMember, 0, g.members.Len())
	for _, id := range sortedKeys(g.members) {
		m, _ := g.members.Get(id)
		list = append(list, m)
	}
	return list
}

func (g *shareGroup) config(img *metadata.Image) *config.GroupConfig {
	return g.settings.get(g.s.env, img, g.id)
}

// subscribes reports whether a member subscribes to a topic.
func (m *shareMember) subscribes(img *metadata.Image, id kafka.UUID) bool {
	t := img.Topics.ByID(id)
	if t == nil {
		return false
	}
	_, ok := slices.BinarySearch(m.said.topics, t.Name)
	return ok
}
