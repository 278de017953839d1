package group

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/rafka-io/rafka/internal/coordinator"
	"github.com/rafka-io/rafka/internal/coordinator/group/assign"
	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/metadata"
	"github.com/rafka-io/rafka/internal/timeline"
)

const latest = timeline.Latest

// retarget computes what each member is to have if the epoch has risen since that was done last. Two computations are the configured interval
// apart: the first of several changes is answered at once, those that follow within the interval together, when it ends.
func (g *consumerGroup) retarget(op *coordinator.Op) {
	h := g.head.Get()
	if h.epoch <= h.targetEpoch || g.isEmpty() {
		return
	}
	if wait := assignmentWait(op.Now, h.targetAt, g.config(op.Image).Consumer.AssignmentInterval); wait > 0 && h.targetEpoch > 0 {
		op.Schedule(g.assignTimer(), wait, func(op *coordinator.Op) {
			if g, ok := named[*consumerGroup](g.s, g.id); ok {
				g.retarget(op)
			}
		})
		return
	}
	// A large group's targets need not be in one batch: whatever of them is in the log after a crash is for an epoch that is not the target's
	// yet, and is computed again; no partition is granted because of it that somebody holds.
	op.Atomic(false)
	name := g.assignorAt(g.config(op.Image).ConsumerAssignors, latest)
	members, inputs, topics := g.sorted(), []assign.Member(nil), assign.Counts{}
	ids := topicIDs{img: op.Image, counts: topics}
	for _, m := range members {
		had, _ := g.targets.Get(m.id)
		var found []string
		if m.said.regex != nil {
			if r, ok := g.regexes.Get(*m.said.regex); ok {
				found = r.topics
			}
		}
		inputs = append(inputs, assign.Member{ID: m.id, Instance: deref(m.said.instance), Topics: ids.of(m.said.topics, found), Had: had})
	}
	assignor, _ := assign.ByName(name)
	moved := 0
	for i, set := range assignor(inputs, topics) {
		had, known := g.targets.Get(members[i].id)
		if !known || !set.Equal(had) {
			moved += set.Minus(had).Len()
			op.Emit(&consumerTargetMember{group: g.id, member: members[i].id, target: held{Partitions: set}})
		}
	}
	op.Emit(&consumerTarget{group: g.id, epoch: h.epoch, at: millis(op.Now)})
	op.Cancel(g.assignTimer())
	op.Note(g.id, fmt.Sprintf("epoch %d: %s assigns anew; members: %d, partitions that come to another member: %d", h.epoch, name, len(members), moved))
	g.stir(op)
}

func (g *consumerGroup) assignTimer() string { return timerKey("consumer assign", g.id) }

// assignmentWait is how long the next computation has to wait. A time in the future, from another clock, is no reason to wait.
func assignmentWait(now time.Time, last kafka.Timestamp, interval time.Duration) time.Duration {
	at := time.UnixMilli(int64(last))
	if now.Before(at) {
		return 0
	}
	return interval - now.Sub(at)
}

// topicIDs finds the ids of topics. Members mostly subscribe to the same as the one before.
type topicIDs struct {
	img    *metadata.Image
	counts assign.Counts // gets every topic found
	last   [2][]string
	ids    []kafka.UUID
}

func (t *topicIDs) of(names, more []string) []kafka.UUID {
	if t.ids != nil && slices.Equal(t.last[0], names) && slices.Equal(t.last[1], more) {
		return t.ids
	}
	t.last = [2][]string{names, more}
	t.ids = make([]kafka.UUID, 0, len(names)+len(more))
	for _, list := range t.last {
		for _, name := range list {
			topic := t.img.Topics.ByName(name)
			if topic == nil || len(more) > 0 && len(names) > 0 && slices.Contains(t.ids, kafka.UUID(topic.ID)) {
				continue
			}
			t.counts[topic.ID] = int32(len(topic.Partitions))
			t.ids = append(t.ids, topic.ID)
		}
	}
	return t.ids
}

// assignorAt is the assignor that most members ask for, of those that are supported; if none asks, the first one listed. Of two with as many
// votes it is that which is listed first (GRP-5).
func (g *consumerGroup) assignorAt(listed []string, at timeline.Epoch) string {
	supported := supportedAssignors(listed)
	votes := make([]int, len(supported))
	for _, m := range g.members.AllAt(at) {
		if m.said.assignor != nil {
			if i := slices.Index(supported, *m.said.assignor); i >= 0 {
				votes[i]++
			}
		}
	}
	best := slices.Index(votes, slices.MaxFunc(votes, func(a, b int) int { return cmp.Compare(a, b) }))
	return supported[best]
}

// supportedAssignors are the assignors of the settings that there are here, by name. Kafka's settings may name them by their classes. Never
// empty: uniform is there if nothing else is.
func supportedAssignors(listed []string) []string {
	names := make([]string, 0, len(listed))
	for _, l := range listed {
		l = strings.TrimPrefix(l, "org.apache.kafka.coordinator.group.assignor.")
		switch l {
		case "UniformAssignor":
			l = assign.UniformName
		case "RangeAssignor":
			l = assign.RangeName
		}
		if _, ok := assign.ByName(l); ok {
			names = append(names, l)
		}
	}
	if len(names) == 0 {
		names = append(names, assign.UniformName)
	}
	return names
}
