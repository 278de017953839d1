package group

import (
	"fmt"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/rafka-io/rafka/internal/kafka"
)

// sub is a subtopology with sources.
func sub(id string, sources ...string) kmsg.StreamsGroupHeartbeatRequestTopologySubtopology {
	return kmsg.StreamsGroupHeartbeatRequestTopologySubtopology{SubtopologyID: id, SourceTopics: sources}
}

func topologyWith(subs ...kmsg.StreamsGroupHeartbeatRequestTopologySubtopology) *kmsg.StreamsGroupHeartbeatRequestTopology {
	return &kmsg.StreamsGroupHeartbeatRequestTopology{Subtopologies: subs}
}

// together makes all sources of a subtopology one copartition group.
func together(s kmsg.StreamsGroupHeartbeatRequestTopologySubtopology) kmsg.StreamsGroupHeartbeatRequestTopologySubtopology {
	var g kmsg.StreamsGroupHeartbeatRequestTopologySubtopologyCopartitionGroup
	for i := range s.SourceTopics {
		g.SourceTopics = append(g.SourceTopics, int16(i))
	}
	for i := range s.RepartitionSourceTopics {
		g.RepartitionSourceTopics = append(g.RepartitionSourceTopics, int16(i))
	}
	s.CopartitionGroups = append(s.CopartitionGroups, g)
	return s
}

// What Kafka 4.4 decides, or says, of the same topologies. orders has three partitions, bills two.
func TestPartitionsOfTopicsOfAStreamsGroup(t *testing.T) {
	writes := func(s kmsg.StreamsGroupHeartbeatRequestTopologySubtopology, sinks ...string) kmsg.StreamsGroupHeartbeatRequestTopologySubtopology {
		s.RepartitionSinkTopics = sinks
		return s
	}
	reads := func(s kmsg.StreamsGroupHeartbeatRequestTopologySubtopology, topics ...kmsg.TopicInfo) kmsg.StreamsGroupHeartbeatRequestTopologySubtopology {
		s.RepartitionSourceTopics = topics
		return s
	}
	stores := func(s kmsg.StreamsGroupHeartbeatRequestTopologySubtopology, topics ...string) kmsg.StreamsGroupHeartbeatRequestTopologySubtopology {
		for _, name := range topics {
			s.StateChangelogTopics = append(s.StateChangelogTopics, topicInfo(name, 0))
		}
		return s
	}
	regex := sub("0", "orders")
	regex.SourceTopicRegex = []string{"o.*"}
	badIndex := sub("0", "orders")
	badIndex.CopartitionGroups = []kmsg.StreamsGroupHeartbeatRequestTopologySubtopologyCopartitionGroup{{SourceTopics: []int16{1}}}
	for _, c := range []struct {
		name string
		t    *kmsg.StreamsGroupHeartbeatRequestTopology
		want string // tasks by subtopology, missing topics, status; or an error
	}{
		{"one source", topologyWith(sub("0", "orders")), "map[0:3] map[] "},
		{"the largest source counts", topologyWith(stores(sub("0", "bills", "orders"), "s")), "map[0:3] map[s:3] 3 Internal topics are missing: s"},
		{"a repartition topic has as many as its writer has tasks", topologyWith(writes(sub("0", "orders"), "r"), reads(sub("1"), topicInfo("r", 0))), "map[0:3 1:3] map[r:3] 3 Internal topics are missing: r"},
		{"unless it says a number", topologyWith(writes(sub("0", "orders"), "r"), stores(reads(sub("1"), topicInfo("r", 5)), "s")), "map[0:3 1:5] map[r:5 s:5] 3 Internal topics are missing: r, s"},
		{
			"down a chain that is listed upside down",
			topologyWith(reads(sub("0"), topicInfo("b", 0)), writes(reads(sub("1"), topicInfo("a", 0)), "b"), writes(sub("2", "bills"), "a")),
			"map[0:2 1:2 2:2] map[a:2 b:2] 3 Internal topics are missing: a, b",
		},
		{
			"a repartition topic follows the topic it is joined with",
			topologyWith(writes(sub("0", "orders"), "r"), together(reads(sub("1", "bills"), topicInfo("r", 0)))),
			"map[0:3 1:2] map[r:2] 3 Internal topics are missing: r",
		},
		{
			"of two repartition topics the larger counts",
			topologyWith(writes(sub("0", "orders"), "a"), writes(sub("1", "bills"), "b"), together(reads(sub("2"), topicInfo("a", 0), topicInfo("b", 0)))),
			"map[0:3 1:2 2:3] map[a:3 b:3] 3 Internal topics are missing: a, b",
		},
		{
			"or that which says a number",
			topologyWith(writes(sub("0", "orders"), "a"), writes(sub("1", "bills"), "b"), together(reads(sub("2"), topicInfo("a", 0), topicInfo("b", 2)))),
			"map[0:3 1:2 2:2] map[a:2 b:2] 3 Internal topics are missing: a, b",
		},
		{"joined topics that differ", topologyWith(together(sub("0", "orders", "bills"))), "map[] map[] 2 Following topics do not have the same number of partitions: [{bills=2, orders=3}]"},
		{
			"a number that does not match", topologyWith(writes(sub("0", "orders"), "r"), together(reads(sub("1", "bills"), topicInfo("r", 5)))),
			"map[] map[] 2 Number of partitions [5] of repartition topic [r] doesn't match number of partitions [2] of the source topic.",
		},
		{"a topic of another size", topologyWith(stores(sub("0", "orders"), "bills")), "map[] map[] 2 Existing topic bills has different number of partitions: expected 3, found 2"},
		{"no source", topologyWith(sub("0", "z", "y", "x", "w", "orders")), "map[] map[] 1 Source topics w, x, y and 1 additional topics are missing."},
		{"nothing to read", topologyWith(sub("0")), "STREAMS_INVALID_TOPOLOGY No source topics found for subtopology 0"},
		{
			"a loop", topologyWith(writes(reads(sub("0"), topicInfo("a", 0)), "a")),
			"STREAMS_INVALID_TOPOLOGY Failed to compute number of partitions for all repartition topics. There may be loops in the topology that cannot be resolved.",
		},
		{
			"nobody writes it", topologyWith(reads(sub("0", "orders"), topicInfo("a", 0))),
			"STREAMS_INVALID_TOPOLOGY Failed to compute number of partitions for all repartition topics, because a repartition source topic is never used as a sink topic.",
		},
		{"a regex", topologyWith(regex), "INVALID_REQUEST Regular expressions for source topics are not supported yet."},
		{"an index of nothing", topologyWith(badIndex), "STREAMS_INVALID_TOPOLOGY A copartition group of subtopology 0 refers to a topic that the subtopology does not list."},
		{"twice the same", topologyWith(sub("0", "orders"), sub("0", "bills")), "STREAMS_INVALID_TOPOLOGY Subtopology 0 is listed twice."},
		{"a coordinator's topic", topologyWith(sub("0", "__consumer_offsets")), "STREAMS_INVALID_TOPOLOGY Use of Kafka internal topics __consumer_offsets in a Kafka Streams topology is prohibited."},
		{"not a name", topologyWith(sub("0", "a b")), "STREAMS_INVALID_TOPOLOGY Topic names a b are not valid topic names."},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newStreamsWorld(t)
			got := ""
			topology, err := topologyOf(c.t)
			var plan *streamsPlan
			if err == nil {
				plan, err = planStreams(topology, w.Image)
			}
			if err != nil {
				got = fmt.Sprintf("%v %v", kafka.CodeOf(err), err)
			} else {
				tasks, missing, status := map[string]int32{}, map[string]int32{}, ""
				for _, s := range plan.subtopologies {
					tasks[s.id] = s.tasks
				}
				for _, m := range plan.missing {
					missing[m.Name] = m.Partitions
				}
				if plan.problem != nil {
					status = fmt.Sprintf("%d %s", plan.problem.status, plan.problem.text)
				}
				got = fmt.Sprintf("%v %v %s", tasks, missing, status)
			}
			if got != c.want {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
		})
	}
}

// Clients list topics in any order.
func TestTopologiesThatSayTheSameAreTheSame(t *testing.T) {
	a, b := together(sub("0", "orders", "bills", "x")), together(sub("0", "x", "orders", "bills"))
	a.CopartitionGroups[0].SourceTopics = []int16{0, 1}
	b.CopartitionGroups[0].SourceTopics = []int16{2, 1}
	one, err1 := topologyOf(topologyWith(a, sub("1", "orders")))
	two, err2 := topologyOf(topologyWith(sub("1", "orders"), b))
	if err1 != nil || err2 != nil || !one.equal(two) {
		t.Errorf("%+v and %+v differ: %v, %v", one, two, err1, err2)
	}
	b.CopartitionGroups[0].SourceTopics = []int16{0, 1}
	if three, _ := topologyOf(topologyWith(sub("1", "orders"), b)); one.equal(three) {
		t.Error("copartition groups that differ are taken for the same")
	}
}

// GRP-3
func TestCommitsOfMembersOfAStreamsGroup(t *testing.T) {
	k := newInstances(t)
	k.ready()
	k.cfg.Streams.InitialRebalanceDelay = 0
	k.Join("a", "p")
	k.Advance(2e9)
	k.Join("b", "q")
	k.Has("a")
	k.Has("a")
	k.Has("b")
	for _, c := range []struct {
		member    string
		epoch     int32
		topic     string
		partition int32
		want      kafka.ErrorCode
	}{
		{"a", 3, "orders", 0, kafka.None},
		{"a", 2, "orders", 0, kafka.None},             // it has had the task since then
		{"a", 2, "orders", 2, kafka.StaleMemberEpoch}, // it has lost it
		{"a", 1, "orders", 0, kafka.StaleMemberEpoch}, // it had not got it yet
		{"a", 2, "bills", 0, kafka.StaleMemberEpoch},
		{"a", 4, "orders", 0, kafka.StaleMemberEpoch},
		{"b", 3, "orders", 2, kafka.None},
		{"b", 2, "orders", 2, kafka.StaleMemberEpoch},
		{"c", 3, "orders", 2, kafka.UnknownMemberID},
		{"", -1, "orders", 0, kafka.UnknownMemberID},
	} {
		if got := k.commit(commitRequest("g", c.member, c.epoch, c.topic, c.partition, 5)); got != c.want {
			t.Errorf("%s at epoch %d commits %s-%d: %v, want %v", c.member, c.epoch, c.topic, c.partition, got, c.want)
		}
	}
	k.Beat("a", atEpoch(epochLeave))
	k.Beat("b", atEpoch(epochLeave))
	if got := k.commit(commitRequest("g", "", -1, "orders", 0, 5)); got != kafka.None {
		t.Errorf("an admin commits for an empty group: %v", got)
	}
}

func TestStreamsGroupsCanBeSwitchedOff(t *testing.T) {
	w := newStreamsWorld(t)
	w.cfg.Protocols = []string{"classic", "consumer"}
	if a, err := w.streamsHeartbeat(streamsJoin("g", "a", "p", wordCount())); err != nil || code(a.ErrorCode) != kafka.UnsupportedVersion {
		t.Errorf("%+v, %v", a, err)
	}
}
