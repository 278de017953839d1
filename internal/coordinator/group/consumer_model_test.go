package group

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/rafka-io/rafka/internal/coordinator/group/assign"
	"github.com/rafka-io/rafka/internal/kafka"
)

// model is a consumer group with clients that come, go, hang and lose requests and answers, on a shard that restarts and whose appends fail.
// The clients are the oracle: what they believe to have is checked after each step (GRP-1).
type model struct {
	*world
	*rand.Rand
	clients []*modelClient
	epochs  map[string]int32 // the last that was seen of each member
	group   int32
	target  int32
	log     []string
	next    int
}

// modelClient is one incarnation of a client.
type modelClient struct {
	id       string
	instance *string
	classic  bool
	joined   bool
	epoch    int32
	owned    assign.Partitions // what it believes to have
	want     assign.Partitions // what it was told to have
	full     bool              // its last request was not answered, or it has something to say
	hangs    bool              // it sends nothing any more
	rejoin   bool              // of the classic protocol: it was told to join again
	sync     bool              // and to ask for its assignment
	topics   []string
	regex    *string
}

func newModel(t *testing.T, seed uint64) *model {
	m := &model{world: newModernWorld(t), Rand: rand.New(rand.NewPCG(seed, 3)), epochs: map[string]int32{}}
	m.cfg.MayDowngrade = false
	return m
}

func (m *model) note(format string, args ...any) { m.log = append(m.log, fmt.Sprintf(format, args...)) }

func (m *model) g() *consumerGroup {
	g, _ := named[*consumerGroup](m.Shard, "g")
	return g
}

func (m *model) subscription() (topics []string, regex *string) {
	if m.IntN(4) == 0 {
		expr := []string{"o.*", "(orders|bills)", ".*s", "none"}[m.IntN(4)]
		return []string{}, &expr
	}
	all := []string{"bills", "orders", "late"}
	m.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	return all[:1+m.IntN(3)], nil
}

func (m *model) newClient() {
	c := &modelClient{id: fmt.Sprintf("m%d", m.next)}
	m.next++
	c.topics, c.regex = m.subscription()
	switch m.IntN(6) {
	case 0, 1:
		instance := fmt.Sprintf("i%d", m.IntN(3))
		c.instance = &instance
	case 2:
		c.classic, c.regex, c.topics = true, nil, []string{"bills", "orders"}
	}
	m.clients = append(m.clients, c)
}

// forgotten: the coordinator told the client that it is no member, and it gave up everything.
func (c *modelClient) forgotten() {
	c.joined, c.epoch, c.owned, c.want, c.rejoin, c.sync = false, 0, nil, nil, true, false
}

// heartbeat sends one request of a client and lets fate decide what becomes of it and its answer.
func (m *model) heartbeat(c *modelClient, reliable bool) {
	if c.classic {
		m.classicStep(c, reliable)
		return
	}
	var req *kmsg.ConsumerGroupHeartbeatRequest
	if !c.joined {
		req = joinBeat("g", c.id, c.topics...)
		req.SubscribedTopicRegex = c.regex
	} else {
		req = beat("g", c.id, c.epoch)
		if c.full {
			req.RebalanceTimeoutMillis, req.SubscribedTopicNames, req.SubscribedTopicRegex = 60_000, c.topics, c.regex
			having(req, c.owned)
			// Who says what it has, takes no more until it is answered: the coordinator may give what is missing to others.
			c.want = c.want.And(c.owned)
		}
	}
	req.InstanceID = c.instance
	if !reliable && m.IntN(10) == 0 {
		m.note("%s: request lost", c.id)
		c.full = true
		return
	}
	m.broken = !reliable && m.IntN(15) == 0
	resp, err := m.consumerBeat(req)
	m.broken = false
	if err != nil || !reliable && m.IntN(10) == 0 {
		m.note("%s epoch %d: answer lost (%v)", c.id, c.epoch, err)
		c.full = true
		return
	}
	m.note("%s epoch %d full %v has %s: %v epoch %d", c.id, req.MemberEpoch, c.full, m.sets(c.owned), code(resp.ErrorCode), resp.MemberEpoch)
	switch code(resp.ErrorCode) {
	case kafka.None:
		c.full = false
		c.joined, c.epoch = true, resp.MemberEpoch
		if resp.Assignment != nil {
			c.want = assignmentOf(resp)
		}
	case kafka.FencedMemberEpoch, kafka.UnknownMemberID, kafka.GroupIDNotFound, kafka.FencedInstanceID:
		c.forgotten()
	case kafka.UnreleasedInstanceID:
	default:
		m.t.Fatalf("%s is told %v: %s", c.id, code(resp.ErrorCode), deref(resp.ErrorMessage))
	}
}

// settle gives up what the client is to give up and takes what it is to take, first the one, later the other.
func (m *model) settle(c *modelClient) {
	switch {
	case !c.owned.Within(c.want):
		c.owned = c.owned.And(c.want)
		if c.full = true; c.classic {
			c.rejoin, c.full = true, false
		}
	case c.joined && !c.owned.Equal(c.want):
		c.owned = c.want
		c.full = !c.classic
	}
}

// classicStep is a step of a cooperative client of the classic protocol.
func (m *model) classicStep(c *modelClient, reliable bool) {
	lost := !reliable && m.IntN(12) == 0
	switch {
	case !c.joined || c.rejoin:
		req := joinRequest("g", c.id)
		req.Protocols[0].Metadata = classicMetadata(c.topics, m.byName(c.owned))
		c.want = c.want.And(c.owned)
		later := m.join(req)
		r, err := later.Result()
		if err != nil || lost {
			m.note("%s: answer to join lost (%v)", c.id, err)
			return
		}
		m.note("%s: join with %s: %v generation %d", c.id, m.sets(c.owned), code(r.ErrorCode), r.Generation)
		switch code(r.ErrorCode) {
		case kafka.None:
			c.joined, c.epoch, c.rejoin, c.sync = true, r.Generation, false, true
		case kafka.UnknownMemberID:
			c.forgotten()
			// It would ask for a new member id and, if the group is empty, make it a classic one, which is another test's.
			c.hangs = m.g() == nil || m.g().isEmpty()
		default:
			m.t.Fatalf("%s is told %v", c.id, code(r.ErrorCode))
		}
	case c.sync:
		req := kmsg.NewPtrSyncGroupRequest()
		req.Version, req.Group, req.MemberID, req.Generation = 5, "g", c.id, c.epoch
		r, err := m.sync(req).Result()
		if err != nil || lost {
			return
		}
		m.note("%s: sync at %d: %v", c.id, c.epoch, code(r.ErrorCode))
		switch code(r.ErrorCode) {
		case kafka.None:
			c.sync = false
			topics, _, _ := readClassicAssignment(r.MemberAssignment)
			c.want = partitionsOf(m.Image, topics)
		case kafka.RebalanceInProgress:
			c.rejoin = true
		default:
			c.forgotten()
		}
	default:
		switch e := m.world.heartbeat("g", c.id, c.epoch); e {
		case kafka.None:
		case kafka.RebalanceInProgress:
			c.rejoin = true
		default:
			m.note("%s: heartbeat at %d: %v", c.id, c.epoch, e)
			c.forgotten()
		}
	}
}

func (m *model) byName(set assign.Partitions) (list []classicTopic) {
	for _, t := range set {
		if topic := m.Image.Topics.ByID(t.ID); topic != nil {
			list = append(list, classicTopic{topic.Name, t.Partitions})
		}
	}
	return list
}

func (m *model) step() {
	switch n := m.IntN(100); {
	case n < 6 && len(m.clients) < 9:
		m.newClient()
	case n < 9 && len(m.clients) > 0:
		m.quit(m.clients[m.IntN(len(m.clients))])
	case n < 12 && len(m.clients) > 0:
		c := m.clients[m.IntN(len(m.clients))]
		c.hangs = !c.hangs
		m.note("%s hangs: %v", c.id, c.hangs)
	case n < 15 && len(m.clients) > 0:
		if c := m.clients[m.IntN(len(m.clients))]; !c.classic {
			c.topics, c.regex = m.subscription()
			if empty := ""; c.regex == nil {
				c.regex = &empty
			}
			c.full = true
			m.note("%s subscribes to %v %q", c.id, c.topics, deref(c.regex))
		}
	case n < 17:
		m.changeTopics()
	case n < 19:
		m.restart()
	case n < 30:
		d := time.Duration(m.IntN(3000)) * time.Millisecond
		if m.IntN(12) == 0 {
			d = 50 * time.Second
		}
		m.note("%v pass", d)
		m.broken = false
		m.Advance(d)
	default:
		if len(m.clients) > 0 {
			if c := m.clients[m.IntN(len(m.clients))]; !c.hangs {
				m.heartbeat(c, false)
				if m.IntN(2) == 0 {
					m.settle(c)
				}
			}
		}
	}
}

// quit ends a client: it leaves, for good or, if static, for a while, or just stops. Another comes in its place.
func (m *model) quit(c *modelClient) {
	m.clients = slices.DeleteFunc(m.clients, func(o *modelClient) bool { return o == c })
	if !c.joined || m.IntN(3) == 0 {
		m.note("%s dies", c.id)
		return
	}
	m.note("%s leaves", c.id)
	if c.classic {
		m.leave("g", leaver(c.id))
		return
	}
	req := beat("g", c.id, epochLeave)
	if req.InstanceID = c.instance; c.instance != nil && m.IntN(2) == 0 {
		req.MemberEpoch = epochStaticLeave
	}
	if _, err := m.consumerBeat(req); err != nil {
		m.t.Fatal(err)
	}
}

func (m *model) changeTopics() {
	late := m.Image.Topics.ByName("late")
	switch n := m.IntN(4); {
	case n == 0 && late == nil:
		m.topic("late", int32(1+m.IntN(4)))
	case n == 1 && late != nil:
		m.removeTopic("late")
	default:
		m.grow("orders", 1)
	}
	m.note("topics change")
}

func (m *model) restart() {
	before := m.modernState()
	m.Restart()
	m.note("restart")
	// GRP-6: everything is in the records.
	if after := m.modernState(); after != before {
		m.t.Fatalf("before a restart:\n%s\nafter it:\n%s", before, after)
	}
}

func (m *model) check() {
	m.t.Helper()
	if s := m.modernState(); strings.Contains(s, "WRONG") {
		m.t.Fatal(s)
	}
	g := m.g()
	if g == nil {
		return
	}
	// GRP-1: nobody who is a member still, as far as the coordinator knows, believes to have what another believes to have.
	owner := map[topicPartition]string{}
	for _, c := range m.clients {
		member, ok := g.members.Get(c.id)
		if !ok {
			continue
		}
		for id, part := range c.owned.Each {
			at := topicPartition{id, part}
			if other, ok := owner[at]; ok {
				m.t.Fatalf("%v is had by %s and %s", at, other, c.id)
			}
			owner[at] = c.id
			if !member.at.assigned.Has(id, part) && !member.at.revoking.Has(id, part) {
				m.t.Fatalf("%s believes to have %v, the coordinator knows nothing of it", c.id, at)
			}
		}
	}
	// GRP-2: group epoch >= target epoch >= member epochs; none falls.
	h := g.head.Get()
	if h.epoch < m.group || h.targetEpoch < m.target || h.targetEpoch > h.epoch {
		m.t.Fatalf("epochs: group %d after %d, target %d after %d", h.epoch, m.group, h.targetEpoch, m.target)
	}
	m.group, m.target = h.epoch, h.targetEpoch
	for id, member := range g.members.All() {
		if e := member.at.epoch; e > h.targetEpoch || e < m.epochs[id] && e != epochStaticLeave {
			m.t.Fatalf("%s is at epoch %d after %d, the target is at %d", id, e, m.epochs[id], h.targetEpoch)
		}
		m.epochs[id] = member.at.epoch
	}
}

// calm lets everybody who lives finish, and expects every partition to be had by one of those who subscribe to it.
func (m *model) calm() {
	m.clients = slices.DeleteFunc(m.clients, func(c *modelClient) bool { return c.hangs })
	m.Advance(70 * time.Second) // who is gone is noticed
	for round := range 60 {
		for _, c := range m.clients {
			m.heartbeat(c, true)
			m.settle(c)
			m.check()
		}
		m.clients = slices.DeleteFunc(m.clients, func(c *modelClient) bool { return c.hangs })
		m.Advance(time.Second)
		m.check()
		if round > 20 && m.view().Committed > 0 && m.g() != nil && m.g().state(m.view()) == "Stable" {
			break
		}
	}
	if g := m.g(); g != nil && len(m.clients) > 0 {
		if s := g.state(m.view()); s != "Stable" {
			m.t.Fatalf("the group is %s and does not come to rest:\n%s", s, m.modernState())
		}
		for _, topic := range m.Image.Topics.Sorted() {
			subscribed := false
			for _, member := range g.members.All() {
				n := *member
				subscribed = subscribed || g.subscribes(&n, m.Image, topic.ID)
			}
			for part := range topic.Partitions {
				n := 0
				for _, c := range m.clients {
					if c.owned.Has(topic.ID, int32(part)) {
						n++
					}
				}
				if subscribed && n != 1 || n > 1 {
					m.t.Fatalf("%s-%d is had by %d clients:\n%s", topic.Name, part, n, m.modernState())
				}
			}
		}
	}
}

// GRP-1, GRP-2, GRP-5, GRP-6
func TestNoPartitionOfAConsumerGroupHasTwoOwnersWhateverGoesWrong(t *testing.T) {
	first := seedOf(t)
	histories, steps := 60, 400
	if testing.Short() {
		histories = 10
	}
	for i := range histories {
		seed := first + uint64(i)
		var logs [2]string
		for run := range logs {
			m := newModel(t, seed)
			func() {
				defer func() {
					if t.Failed() {
						tail := m.log[max(0, len(m.log)-60):]
						t.Logf("RAFKA_SEED=%d\n%s", seed, strings.Join(tail, "\n"))
					}
				}()
				for range steps {
					m.step()
					m.check()
				}
				m.calm()
			}()
			var b strings.Builder
			for _, r := range m.Log {
				fmt.Fprintf(&b, "%x %x\n", r.Key, r.Value)
			}
			logs[run] = b.String()
			if i%10 > 0 {
				break
			}
		}
		// GRP-5: the same history writes the same records.
		if logs[1] != "" && logs[0] != logs[1] {
			t.Fatalf("RAFKA_SEED=%d: the same history wrote different records", seed)
		}
	}
}

// classicMetadata is what a cooperative consumer says.
func classicMetadata(topics []string, owned []classicTopic) []byte {
	m := kmsg.NewConsumerMemberMetadata()
	m.Version, m.Topics = 1, topics
	for _, t := range owned {
		o := kmsg.NewConsumerMemberMetadataOwnedPartition()
		o.Topic, o.Partitions = t.name, t.partitions
		m.OwnedPartitions = append(m.OwnedPartitions, o)
	}
	return m.AppendTo(nil)
}
