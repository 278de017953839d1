package group

import (
	"hash/fnv"
	"slices"
	"strings"

	"github.com/rafka-io/rafka/internal/coordinator"
	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/metadata"
)

// subscribe takes in what a member says of itself, a new member too, and raises the group's epoch if that changes who is to have what.
func (g *consumerGroup) subscribe(op *coordinator.Op, m *consumerMember, change consumerSubscription) (*consumerMember, error) {
	if change.topics != nil {
		change.topics = slices.Clone(change.topics)
		slices.Sort(change.topics)
		change.topics = slices.Compact(change.topics)
	}
	said := m.said.updated(change)
	_, known := g.members.Get(m.id)
	if said == m.said && known {
		return m, nil
	}
	if said.regex != nil && !samePtr(said.regex, m.said.regex) {
		if _, found := g.regexes.Get(*said.regex); !found {
			if err := checkRegex(*said.regex); err != nil {
				return nil, err
			}
		}
	}
	listed := g.config(op.Image).ConsumerAssignors
	assignor := g.assignorAt(listed, latest)
	before := m.said
	op.Emit(&consumerMemberRecord{group: g.id, member: m.id, said: said.kept()})
	if !samePtr(said.regex, before.regex) {
		g.forgetRegexes(op)
		g.resolveRegex(op, said.regex)
	}
	if !known || !slices.Equal(said.topics, before.topics) || !samePtr(said.regex, before.regex) || g.assignorAt(listed, latest) != assignor {
		g.bump(op)
	}
	m, _ = g.members.Get(m.id)
	return m, nil
}

// kept is s with texts of its own: those of a request do not outlive it.
func (s *consumerSubscription) kept() *consumerSubscription {
	c := *s
	c.instance, c.rack, c.regex, c.assignor = cloned(s.instance), cloned(s.rack), cloned(s.regex), cloned(s.assignor)
	c.client = Client{ID: strings.Clone(s.client.ID), Host: strings.Clone(s.client.Host)}
	c.topics = slices.Clone(s.topics)
	for i := range c.topics {
		c.topics[i] = strings.Clone(c.topics[i])
	}
	return &c
}

func cloned(s *string) *string {
	if s == nil {
		return nil
	}
	c := strings.Clone(*s)
	return &c
}

// bump raises the group's epoch: its members, what they subscribe to, or their topics have changed, and targets are to be computed anew.
func (g *consumerGroup) bump(op *coordinator.Op) {
	h := g.head.Get()
	if h.oldPartitions {
		op.Emit(&consumerPartitions{group: g.id, gone: true})
	}
	op.Emit(&consumerMetadata{group: g.id, epoch: h.epoch + 1, hash: g.topicsHash(op.Image)})
	g.stir(op)
}

// stir notes that members should hear soon of what happened in this operation.
func (g *consumerGroup) stir(op *coordinator.Op) { g.stirred.Set(op.Now) }

// noticeTopics raises the epoch if topics that members subscribe to came, went or grew.
func (g *consumerGroup) noticeTopics(op *coordinator.Op) {
	if g.isEmpty() || g.topicsHash(op.Image) == g.head.Get().hash {
		return
	}
	op.Note(g.id, "topics that members subscribe to changed")
	g.bump(op)
	g.retarget(op)
}

// topicsHash is a digest of the topics that members subscribe to, as they are; 0 if none exists. Only its changes matter: Kafka's is another,
// so that a group that moves from or to Kafka is assigned once more than it need be.
func (g *consumerGroup) topicsHash(img *metadata.Image) int64 {
	names := make([]string, 0, g.names.Len())
	for name := range g.names.All() {
		names = append(names, name)
	}
	for _, found := range g.regexes.All() {
		names = append(names, found.topics...)
	}
	return topicsHash(img, names)
}

func topicsHash(img *metadata.Image, names []string) int64 {
	slices.Sort(names)
	digest, any := fnv.New64a(), false
	var b []byte
	for _, name := range slices.Compact(names) {
		if t := img.Topics.ByName(name); t != nil {
			any = true
			n := len(t.Partitions)
			b = append(append(b[:0], t.ID[:]...), byte(n), byte(n>>8), byte(n>>16), byte(n>>24))
			digest.Write(b)
		}
	}
	if !any {
		return 0
	}
	return max(1, int64(digest.Sum64()>>1))
}

// subscribes reports whether a member subscribes to a topic.
func (g *consumerGroup) subscribes(m *consumerMember, img *metadata.Image, id kafka.UUID) bool {
	t := img.Topics.ByID(id)
	if t == nil {
		return false
	}
	if _, ok := slices.BinarySearch(m.said.topics, t.Name); ok {
		return true
	}
	if m.said.regex == nil {
		return false
	}
	found, ok := g.regexes.Get(*m.said.regex)
	if !ok {
		return false
	}
	_, ok = slices.BinarySearch(found.topics, t.Name)
	return ok
}
