package group

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/rafka-io/rafka/internal/coordinator/group/assign/tasks"
	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/metadata"
)

// streamsModel is a streams group with clients that come, go, hang and lose requests and answers, on a shard that restarts and whose appends fail.
// The clients are the oracle: what they believe to run is checked after each step (GRP-1).
type streamsModel struct {
	*world
	*rand.Rand
	clients []*streamsClient
	epochs  map[string]int32 // the last that was seen of each member
	group   int32
	target  int32
	log     []string
	next    int
}

// streamsClient is one incarnation of a client.
type streamsClient struct {
	id, process string
	instance    *string
	reports     bool
	joined      bool
	epoch       int32
	owned       tasks.Assignment // what it believes to have
	want        tasks.Assignment // what it was told to have
	full        bool             // its last request was not answered, or it has something to say
	hangs       bool             // it sends nothing any more
}

func newStreamsModel(t *testing.T, seed uint64) *streamsModel {
	m := &streamsModel{world: newStreamsWorld(t), Rand: rand.New(rand.NewPCG(seed, 5)), epochs: map[string]int32{}}
	m.cfg.Streams.StandbyReplicas, m.cfg.Streams.WarmupReplicas = m.IntN(3), m.IntN(3)
	m.cfg.Streams.InitialRebalanceDelay = time.Duration(m.IntN(2)) * 3 * time.Second
	return m
}

func (m *streamsModel) note(format string, args ...any) {
	m.log = append(m.log, fmt.Sprintf(format, args...))
}

func (m *streamsModel) g() *streamsGroup {
	g, _ := named[*streamsGroup](m.Shard, "g")
	return g
}

func (m *streamsModel) newClient() {
	c := &streamsClient{id: fmt.Sprintf("m%d", m.next), process: fmt.Sprintf("p%d", m.IntN(4)), reports: m.IntN(3) > 0}
	m.next++
	if m.IntN(3) == 0 {
		instance := fmt.Sprintf("i%d", m.IntN(3))
		c.instance = &instance
	}
	m.clients = append(m.clients, c)
}

// forgotten: the coordinator told the client that it is no member, and it gave up everything.
func (c *streamsClient) forgotten() {
	c.joined, c.epoch, c.owned, c.want = false, 0, tasks.Assignment{}, tasks.Assignment{}
}

func both(a, b tasks.Assignment) tasks.Assignment {
	return tasks.Assignment{Active: a.Active.And(b.Active), Standby: a.Standby.And(b.Standby), Warmup: a.Warmup.And(b.Warmup)}
}

// heartbeat sends one request of a client and lets fate decide what becomes of it and its answer.
func (m *streamsModel) heartbeat(c *streamsClient, reliable bool) {
	var req *kmsg.StreamsGroupHeartbeatRequest
	if !c.joined {
		req = streamsJoin("g", c.id, c.process, wordCount())
	} else {
		req = streamsBeatAt("g", c.id, c.epoch)
		if c.full {
			streamsHaving(req, c.owned)
			// Who says what it has, takes no more until it is answered: the coordinator may give what is missing to others.
			c.want = both(c.want, c.owned)
		}
	}
	if req.InstanceID = c.instance; c.reports && (!c.joined || m.IntN(3) == 0) {
		reporting(req)
		for t := range c.owned.Standby.Or(c.owned.Warmup).All() {
			copied(t.Subtopology, t.Partition, int64(m.IntN(2))*49_000)(req)
		}
	}
	if !reliable && m.IntN(10) == 0 {
		m.note("%s: request lost", c.id)
		c.full = true
		return
	}
	m.broken = !reliable && m.IntN(15) == 0
	resp, err := m.streamsHeartbeat(req)
	m.broken = false
	if err != nil || !reliable && m.IntN(10) == 0 {
		m.note("%s epoch %d: answer lost (%v)", c.id, c.epoch, err)
		c.full = true
		return
	}
	m.note("%s in %s epoch %d full %v has %s: %v epoch %d, is to have %v %s", c.id, c.process, req.MemberEpoch, c.full, roles(c.owned), code(resp.ErrorCode), resp.MemberEpoch, resp.ActiveTasks != nil, roles(tasksOf(resp)))
	switch code(resp.ErrorCode) {
	case kafka.None:
		c.full, c.joined, c.epoch = false, true, resp.MemberEpoch
		if resp.ActiveTasks != nil {
			c.want = tasksOf(resp)
		}
	case kafka.FencedMemberEpoch, kafka.UnknownMemberID, kafka.GroupIDNotFound, kafka.FencedInstanceID:
		c.forgotten()
	case kafka.UnreleasedInstanceID:
	case kafka.InvalidRequest: // the topics have fewer partitions than before
		c.forgotten()
	default:
		m.t.Fatalf("%s is told %v: %s", c.id, code(resp.ErrorCode), deref(resp.ErrorMessage))
	}
}

// settle gives up what the client is to give up and takes what it is to take, first the one, later the other.
func (m *streamsModel) settle(c *streamsClient) {
	switch keep := both(c.owned, c.want); {
	case !keep.Equal(c.owned):
		c.owned, c.full = keep, true
	case c.joined && !c.owned.Equal(c.want):
		c.owned, c.full = c.want, true
	}
}

func (m *streamsModel) step() {
	any := func() *streamsClient { return m.clients[m.IntN(len(m.clients))] }
	switch n := m.IntN(100); {
	case n < 6 && len(m.clients) < 9:
		m.newClient()
	case len(m.clients) == 0:
	case n < 9:
		m.quit(any())
	case n < 12:
		c := any()
		c.hangs = !c.hangs
		m.note("%s hangs: %v", c.id, c.hangs)
	case n < 15:
		m.changeTopics()
	case n < 16:
		m.cfg.Streams.StandbyReplicas = m.IntN(3)
		m.change(&metadata.ProducerIDsRecord{}) // settings are read anew when the image changes
		m.note("%d standbys", m.cfg.Streams.StandbyReplicas)
	case n < 18:
		m.restart()
	case n < 29:
		d := time.Duration(m.IntN(3000)) * time.Millisecond
		if m.IntN(12) == 0 {
			d = 50 * time.Second
		}
		m.note("%v pass", d)
		m.Advance(d)
	default:
		if c := any(); !c.hangs {
			m.heartbeat(c, false)
			if m.IntN(2) == 0 {
				m.settle(c)
			}
		}
	}
}

// quit ends a client: it leaves, for good or, if static, for a while, or just stops.
func (m *streamsModel) quit(c *streamsClient) {
	m.clients = slices.DeleteFunc(m.clients, func(o *streamsClient) bool { return o == c })
	if !c.joined || m.IntN(3) == 0 {
		m.note("%s dies", c.id)
		return
	}
	m.note("%s leaves", c.id)
	req := streamsBeatAt("g", c.id, epochLeave)
	if req.InstanceID = c.instance; c.instance != nil && m.IntN(2) == 0 {
		req.MemberEpoch = epochStaticLeave
	}
	if _, err := m.streamsHeartbeat(req); err != nil {
		m.t.Fatal(err)
	}
}

// changeTopics creates what is asked for, and sometimes removes it.
func (m *streamsModel) changeTopics() {
	if changelog := "counts-changelog"; m.IntN(6) == 0 && m.Image.Topics.ByName(changelog) != nil {
		m.note("a changelog is gone")
		m.removeTopic(changelog)
	}
	m.create()
}

func (m *streamsModel) create() {
	for _, e := range m.Effects() {
		for _, t := range e.(CreateStreamsTopics).Topics {
			if m.Image.Topics.ByName(t.Name) == nil {
				m.note("%s is created", t.Name)
				m.topic(t.Name, t.Partitions)
			}
		}
	}
}

func (m *streamsModel) restart() {
	// GRP-6: everything is in the records.
	if before, after := streamsState(m.Shard), m.reloaded(); after != before {
		m.t.Fatalf("before a restart:\n%s\nafter it:\n%s", before, after)
	}
	m.Restart()
	m.note("restart")
}

func (m *streamsModel) check() {
	m.t.Helper()
	if s := streamsState(m.Shard); strings.Contains(s, "WRONG") {
		m.t.Fatal(s)
	}
	g := m.g()
	if g == nil {
		return
	}
	// GRP-1: nobody who is a member still, as far as the coordinator knows, believes to run what another believes to run; and members of one
	// process, which share its state, never believe to have the same task.
	runs, local := map[tasks.Task]string{}, map[localTask]string{}
	for _, c := range m.clients {
		if _, ok := g.members.Get(c.id); !ok {
			continue
		}
		for t := range c.owned.Active.All() {
			if other, ok := runs[t]; ok {
				m.t.Fatalf("%v runs at %s and at %s", t, other, c.id)
			}
			if owner, _ := g.active.Get(t); owner != c.id {
				m.t.Fatalf("%s believes to run %v, the coordinator gave it to %q", c.id, t, owner)
			}
			runs[t] = c.id
		}
		for t := range c.owned.Active.Or(c.owned.Standby).Or(c.owned.Warmup).All() {
			at := localTask{t, c.process}
			if other, ok := local[at]; ok {
				m.t.Fatalf("%v is at %s and at %s", at, other, c.id)
			}
			local[at] = c.id
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

// calm lets everybody who lives finish, and expects every task to be run by one of them, with as many copies as asked for.
func (m *streamsModel) calm() {
	m.clients = slices.DeleteFunc(m.clients, func(c *streamsClient) bool { return c.hangs })
	m.Advance(110 * time.Second) // who is gone is noticed
	g := m.g()
	for round := range 400 {
		for _, c := range m.clients {
			m.heartbeat(c, true)
			m.settle(c)
			m.check()
		}
		m.create()
		m.Advance(time.Second)
		m.check()
		busy := slices.ContainsFunc(m.clients, func(c *streamsClient) bool { return c.full || !c.owned.Equal(c.want) })
		if g = m.g(); round > 30 && !busy && g != nil && g.state(m.view()) == "Stable" && g.soft.Get().refined == nil {
			break
		}
	}
	if g == nil || len(m.clients) == 0 {
		return
	}
	if s := g.state(m.view()); s != "Stable" || g.soft.Get().refined != nil {
		m.t.Fatalf("the group is %s and does not come to rest:\n%s", s, streamsState(m.Shard))
	}
	processes := map[string]bool{}
	for _, c := range m.clients {
		if c.joined { // others wait for an instance id that is taken
			processes[c.process] = true
		}
	}
	if len(processes) == 0 {
		return
	}
	for _, sub := range []string{"0", "1"} {
		for part := range int32(3) {
			active, standby := 0, 0
			for _, c := range m.clients {
				t := tasks.Task{Subtopology: sub, Partition: part}
				if c.owned.Active.Has(t) {
					active++
				}
				if c.owned.Standby.Has(t) {
					standby++
				}
			}
			copies := min(m.cfg.Streams.StandbyReplicas, len(processes)-1)
			if sub == "0" {
				copies = 0 // it has no state
			}
			if active != 1 || standby != copies {
				m.t.Fatalf("%s-%d runs at %d clients and has %d copies of %d:\n%s", sub, part, active, standby, copies, streamsState(m.Shard))
			}
		}
	}
}

// GRP-1, GRP-2, GRP-5, GRP-6
func TestNoTaskOfAStreamsGroupRunsTwiceWhateverGoesWrong(t *testing.T) {
	first := seedOf(t)
	histories, steps := 40, 400
	if testing.Short() {
		histories = 10
	}
	for i := range histories {
		seed := first + uint64(i)
		var logs [2]string
		for run := range logs {
			m := newStreamsModel(t, seed)
			func() {
				defer func() {
					if t.Failed() {
						t.Logf("RAFKA_SEED=%d\n%s", seed, strings.Join(m.log[max(0, len(m.log)-60):], "\n"))
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
