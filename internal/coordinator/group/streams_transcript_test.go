package group

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/rafka-io/rafka/internal/coordinator"
	"github.com/rafka-io/rafka/internal/coordinator/group/assign/tasks"
)

// instances is a conversation of the members of one streams group with it, written down. A member remembers its epoch and what it was told to have.
type instances struct {
	*world
	epoch map[string]int32
	has   map[string]tasks.Assignment
}

func newInstances(t *testing.T) *instances {
	return &instances{newStreamsWorld(t), map[string]int32{}, map[string]tasks.Assignment{}}
}

type streamsChange = func(*kmsg.StreamsGroupHeartbeatRequest)

func asStreamsInstance(id string) streamsChange {
	return func(r *kmsg.StreamsGroupHeartbeatRequest) { r.InstanceID = &id }
}

func atEpoch(epoch int32) streamsChange {
	return func(r *kmsg.StreamsGroupHeartbeatRequest) { r.MemberEpoch = epoch }
}

func answersAt(host string, port uint16) streamsChange {
	return func(r *kmsg.StreamsGroupHeartbeatRequest) {
		r.UserEndpoint = &kmsg.StreamsGroupHeartbeatRequestUserEndpoint{Host: host, Port: port}
	}
}

func withTopology(t *kmsg.StreamsGroupHeartbeatRequestTopology) streamsChange {
	return func(r *kmsg.StreamsGroupHeartbeatRequest) { r.Topology = t }
}

func tagged(key, value string) streamsChange {
	return func(r *kmsg.StreamsGroupHeartbeatRequest) {
		r.ClientTags = append(r.ClientTags, kmsg.StreamsGroupHeartbeatRequestClientTag{Key: key, Value: value})
	}
}

// copied tells how far the copy of a task is, of 50,000.
func copied(subtopology string, partition int32, offset int64) streamsChange {
	return func(r *kmsg.StreamsGroupHeartbeatRequest) {
		r.TaskOffsets = append(r.TaskOffsets, kmsg.TaskOffset{SubtopologyID: subtopology, Partition: partition, Offset: offset})
		r.TaskEndOffsets = append(r.TaskEndOffsets, kmsg.TaskOffset{SubtopologyID: subtopology, Partition: partition, Offset: 50_000})
	}
}

func reporting(r *kmsg.StreamsGroupHeartbeatRequest) {
	r.TaskOffsets, r.TaskEndOffsets = []kmsg.TaskOffset{}, []kmsg.TaskOffset{}
}

// Join sends the first heartbeat of a member of a process.
func (k *instances) Join(who, process string, changes ...streamsChange) {
	k.has[who] = tasks.Assignment{}
	k.send(who, "joins in process "+process, streamsJoin("g", who, process, wordCount()), changes)
}

// Beat sends a heartbeat that says nothing.
func (k *instances) Beat(who string, changes ...streamsChange) {
	k.send(who, "beats", streamsBeatAt("g", who, k.epoch[who]), changes)
}

// Has sends a heartbeat that says what the member has: all that it was told to have.
func (k *instances) Has(who string, changes ...streamsChange) {
	k.send(who, "has "+roles(k.has[who]), streamsHaving(streamsBeatAt("g", who, k.epoch[who]), k.has[who]), changes)
}

func (k *instances) send(who, what string, req *kmsg.StreamsGroupHeartbeatRequest, changes []streamsChange) {
	for _, c := range changes {
		c(req)
	}
	if req.InstanceID != nil {
		what += " instance " + *req.InstanceID
	}
	k.say("%s %s at epoch %d", who, what, req.MemberEpoch)
	resp, err := k.streamsHeartbeat(req)
	switch {
	case err != nil:
		k.say("  failed: %v", err)
	case resp.ErrorCode != 0:
		k.say("  %v %s", code(resp.ErrorCode), deref(resp.ErrorMessage))
	default:
		if k.epoch[who] = resp.MemberEpoch; resp.MemberEpoch < 0 {
			k.epoch[who] = 0
		}
		assignment := "as before"
		if resp.ActiveTasks != nil {
			k.has[who] = tasksOf(resp)
			assignment = roles(k.has[who])
		}
		k.say("  epoch %d, next in %d ms, assigned %s", resp.MemberEpoch, resp.HeartbeatIntervalMillis, assignment)
		for _, s := range resp.Status {
			k.say("  status %d: %s", s.StatusCode, s.StatusDetail)
		}
		for _, e := range resp.PartitionsByUserEndpoint {
			var parts []string
			for _, p := range e.ActivePartitions {
				parts = append(parts, fmt.Sprintf("active %s%v", p.Topic, p.Partitions))
			}
			for _, p := range e.StandbyPartitions {
				parts = append(parts, fmt.Sprintf("copy %s%v", p.Topic, p.Partitions))
			}
			k.say("  at endpoint epoch %d %s:%d has %s", resp.EndpointInformationEpoch, e.UserEndpoint.Host, e.UserEndpoint.Port, strings.Join(parts, ", "))
		}
	}
	k.look()
}

// Create creates the topics that the group asks for.
func (k *instances) Create() {
	for _, e := range k.Effects() {
		for _, t := range e.(CreateStreamsTopics).Topics {
			k.say("created: %s, %d partitions, %v", t.Name, t.Partitions, t.Configs)
			k.topic(t.Name, t.Partitions)
		}
	}
	k.look()
}

// Pass lets time pass.
func (k *instances) Pass(d time.Duration) {
	k.say("%v pass", d)
	k.Advance(d)
	k.look()
}

func (k *instances) look() {
	for line := range strings.Lines(k.Notes()) {
		k.say("    note: %s", strings.TrimPrefix(strings.TrimSpace(line), "g: "))
	}
	g, ok := named[*streamsGroup](k.Shard, "g")
	if !ok {
		d := k.Shard.DescribeStreamsGroup(k.view(), "g")
		k.say("    %s", deref(d.ErrorMessage))
		return
	}
	h := g.head.Get()
	var members []string
	for _, m := range g.sorted() {
		state := map[memberState]string{memberStable: "", memberUnrevoked: " gives up " + roles(m.at.revoking.Assignment), memberUnreleased: " waits"}[m.at.state]
		members = append(members, fmt.Sprintf("%s@%d%s", m.id, m.at.epoch, state))
	}
	k.say("    group: %s epoch %d target %d [%s]", g.state(k.view()), h.epoch, h.targetEpoch, strings.Join(members, ", "))
}

// The topics come, tasks are assigned, given up, taken over (GRP-1, GRP-2); all states but Dead.
func TestStreamsGroupLife(t *testing.T) {
	k := newInstances(t)
	k.Join("a", "p")
	k.Create()
	k.Beat("a")
	k.Pass(3 * time.Second)
	k.Beat("a")
	k.Has("a")
	k.Pass(2 * time.Second)
	k.Join("b", "q")
	k.Beat("a")
	k.Beat("b")
	k.Beat("a") // it says nothing, so it has not given up anything
	k.Has("a")
	k.Beat("b")
	k.Has("b")
	k.Pass(20 * time.Second)
	k.Has("a")
	k.Beat("b", atEpoch(epochLeave))
	k.Beat("a")
	k.Pass(45 * time.Second)
	k.Beat("a")
	k.golden("testdata/streams_life.txt")
}

func TestStreamsGroupWaitsForTopics(t *testing.T) {
	k := newInstances(t)
	k.removeTopic("orders")
	k.Join("a", "p")
	k.Pass(3 * time.Second)
	k.say("orders is created, with 4 partitions")
	k.topic("orders", 4)
	k.look()
	k.Beat("a")
	k.Effects()
	k.Pass(9 * time.Second)
	k.Beat("a")
	k.say("effects: %v", k.Effects())
	k.Pass(2 * time.Second)
	k.Beat("a")
	k.say("they cannot be created")
	if _, err := k.Do(func(s *Shard, op *coordinator.Op) { s.StreamsTopicsFailed(op, "g", "by-word (no brokers)") }); err != nil {
		t.Fatal(err)
	}
	k.Beat("a")
	k.Create()
	k.Beat("a")
	k.Pass(2 * time.Second)
	k.Beat("a")
	k.say("orders grows")
	k.grow("orders", 1)
	k.Pass(2 * time.Second)
	k.Beat("a")
	k.Has("a")
	k.say("counts-changelog is deleted")
	k.removeTopic("counts-changelog")
	k.Pass(2 * time.Second)
	k.Has("a")
	k.golden("testdata/streams_topics.txt")
}

// ready makes the topics of the word count, so that the first heartbeat finds them.
func (k *instances) ready() {
	k.topic("by-word", 3)
	k.topic("counts-changelog", 3)
}

func TestStreamsGroupStaticMembers(t *testing.T) {
	k := newInstances(t)
	k.ready()
	k.cfg.Streams.InitialRebalanceDelay = 0
	k.Join("a1", "p", asStreamsInstance("one"))
	k.Has("a1", asStreamsInstance("one"))
	k.Join("a2", "q", asStreamsInstance("one"))
	k.Beat("a2", asStreamsInstance("one"), atEpoch(2))
	k.Beat("a1", asStreamsInstance("two"))
	k.Beat("a1", asStreamsInstance("one"), atEpoch(epochStaticLeave))
	k.Beat("a1", asStreamsInstance("one"), atEpoch(2))
	k.Pass(2 * time.Second)
	k.Join("a3", "p", asStreamsInstance("one"))
	k.Beat("a1", atEpoch(2))
	k.Beat("a1", asStreamsInstance("one"), atEpoch(2))
	k.Beat("a3", asStreamsInstance("one"), atEpoch(epochStaticLeave))
	k.Pass(44 * time.Second)
	k.Pass(time.Second)
	k.golden("testdata/streams_static.txt")
}

func TestStreamsGroupEpochs(t *testing.T) {
	k := newInstances(t)
	k.ready()
	k.cfg.Streams.InitialRebalanceDelay = 0
	k.Join("a", "p")
	k.Beat("a", atEpoch(9))
	k.Pass(2 * time.Second)
	k.Join("b", "q")
	k.Has("a")
	k.Has("a")
	k.say("a has not got the last answer")
	k.Beat("a", atEpoch(2)) // it does not say what it has
	k.Has("a", atEpoch(2))
	k.Beat("a", atEpoch(2), func(r *kmsg.StreamsGroupHeartbeatRequest) {
		streamsHaving(r, tasks.Assignment{Active: tasks.Of([]tasks.Subtopology{{ID: "0", Partitions: []int32{0, 1, 2}}})})
	})
	k.Join("a", "p")
	k.Beat("c", atEpoch(2))
	k.Beat("c", atEpoch(epochLeave))
	k.golden("testdata/streams_epochs.txt")
}

// Whoever keeps tasks from others for longer than it said it would is fenced.
func TestStreamsGroupFencesWhoDoesNotGiveUp(t *testing.T) {
	k := newInstances(t)
	k.ready()
	k.cfg.Streams.InitialRebalanceDelay = 0
	k.Join("a", "p")
	k.Pass(2 * time.Second)
	k.Join("b", "q")
	k.Beat("a")
	for range 3 {
		k.Pass(19 * time.Second)
		k.Beat("a")
		k.Beat("b")
	}
	k.Pass(4 * time.Second)
	k.Beat("a")
	k.Beat("b")
	k.golden("testdata/streams_revocation_timeout.txt")
}

// A standby in another process takes over when the active member is gone; in between copies never run (GRP-1).
func TestStreamsGroupStandbys(t *testing.T) {
	k := newInstances(t)
	k.ready()
	k.cfg.Streams.InitialRebalanceDelay, k.cfg.Streams.StandbyReplicas, k.cfg.Streams.RackTags = 0, 1, []string{"zone"}
	k.Join("a", "p", tagged("zone", "x"), answersAt("p", 1))
	k.Pass(2 * time.Second)
	k.Join("b", "q", tagged("zone", "y"))
	k.Has("a")
	k.Has("a")
	k.Beat("b")
	k.Has("b")
	k.Pass(2 * time.Second)
	k.Join("c", "p")
	for range 3 {
		k.Has("a")
		k.Has("b")
		k.Has("c")
	}
	k.say("a dies")
	k.Pass(30 * time.Second)
	k.Has("b")
	k.Has("c")
	k.Pass(20 * time.Second)
	for range 2 {
		k.Has("b")
		k.Has("c")
	}
	k.golden("testdata/streams_standbys.txt")
}

// A task whose state is elsewhere stays there until the copy has caught up.
func TestStreamsGroupWarmsUp(t *testing.T) {
	k := newInstances(t)
	k.ready()
	k.cfg.Streams.InitialRebalanceDelay, k.cfg.Streams.WarmupReplicas = 0, 1
	k.Join("a", "p", reporting)
	k.Has("a")
	k.Pass(2 * time.Second)
	k.Join("b", "q", reporting)
	for range 2 {
		k.Has("a")
		k.Has("b")
	}
	k.Has("b", copied("1", 1, 1_000))
	k.Has("b", copied("1", 1, 45_000))
	for range 2 {
		k.Has("a")
		k.Has("b")
	}
	k.golden("testdata/streams_warmup.txt")
}

func TestStreamsGroupTopologies(t *testing.T) {
	k := newInstances(t)
	k.ready()
	k.cfg.Streams.InitialRebalanceDelay = 0
	newer := wordCount()
	newer.Epoch = 1
	other := wordCount()
	other.Subtopologies = other.Subtopologies[:1]
	other.Subtopologies[0].RepartitionSinkTopics = nil
	k.Join("a", "p", withTopology(newer))
	k.Join("b", "p")
	k.Join("c", "p", withTopology(other))
	other.Epoch = 1
	k.Join("c", "p", withTopology(other))
	other.Epoch = 2
	k.Join("c", "p", withTopology(other))
	k.Beat("a", func(r *kmsg.StreamsGroupHeartbeatRequest) { r.ShutdownApplication = true })
	k.Beat("b", atEpoch(0), withTopology(wordCount()), func(r *kmsg.StreamsGroupHeartbeatRequest) {
		r.RebalanceTimeoutMillis = 1
		streamsHaving(r, tasks.Assignment{})
	})
	k.Beat("a", atEpoch(epochLeave))
	k.Beat("b", atEpoch(epochLeave))
	k.golden("testdata/streams_topologies.txt")
}

// GRP-6: what is in no record is begun anew, and nothing waits for a timer that is gone.
func TestStreamsGroupAfterARestart(t *testing.T) {
	k := newInstances(t)
	k.ready()
	k.Join("a", "p")
	k.Join("b", "q")
	k.say("restart, before the first assignment")
	k.Restart()
	k.look()
	k.Beat("a")
	k.Beat("b")
	k.say("restart; a is heard of no more")
	k.Restart()
	k.look()
	k.Pass(44 * time.Second)
	k.Beat("b")
	k.Pass(2 * time.Second)
	k.Beat("b")
	k.golden("testdata/streams_restart.txt")
}
