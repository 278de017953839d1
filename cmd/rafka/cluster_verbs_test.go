package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// The text names a part of many partitions, so that what to do stays in sight.
func TestHealthOfThousandsOfPartitionsIsShort(t *testing.T) {
	var partitions [][3][]int32
	for range 3000 {
		partitions = append(partitions, [3][]int32{ids(1), ids(1, 2), ids(1)})
	}
	v := judgeHealth(metadataOf(ids(1), topicOf("a", partitions...)), clusterFacts{fenced: ids(2)})
	var out bytes.Buffer
	if err := (&output{}).print(&out, v, func(tb *table) { printHealth(tb, v) }); err != nil {
		t.Fatal(err)
	}
	if lines := strings.Count(out.String(), "\n"); lines > 40 || !strings.Contains(out.String(), "and 2980 more") || len(v.UnderReplicated) != 3000 {
		t.Errorf("%d lines\n%s", lines, out.String())
	}
}

// partitions are a topic's, each written as leader, replicas, in sync.
func topicOf(name string, partitions ...[3][]int32) kadm.TopicDetail {
	t := kadm.TopicDetail{Topic: name, Partitions: kadm.PartitionDetails{}}
	for i, p := range partitions {
		t.Partitions[int32(i)] = kadm.PartitionDetail{Topic: name, Partition: int32(i), Leader: p[0][0], Replicas: p[1], ISR: p[2]}
	}
	return t
}

func ids(list ...int32) []int32 { return list }

func metadataOf(brokers []int32, topics ...kadm.TopicDetail) kadm.Metadata {
	m := kadm.Metadata{Controller: 1, Topics: kadm.TopicDetails{}}
	for _, b := range brokers {
		m.Brokers = append(m.Brokers, kadm.BrokerDetail{NodeID: b})
	}
	for _, t := range topics {
		m.Topics[t.Topic] = t
	}
	return m
}

// Each illness of a cluster of several is named once; what a move adds is none.
func TestHealthOfSeveralBrokers(t *testing.T) {
	m := metadataOf(ids(1, 2),
		topicOf("a", [3][]int32{ids(1), ids(1, 2, 3), ids(1, 2)}, [3][]int32{ids(-1), ids(3), ids(3)}),
		topicOf("moving", [3][]int32{ids(1), ids(1, 2), ids(1)}))
	f := clusterFacts{
		fenced: ids(3), minISR: map[string]int{"a": 3, "moving": 1},
		moving: kadm.ListPartitionReassignmentsResponses{"moving": {0: {Topic: "moving", AddingReplicas: ids(2)}}},
	}
	v := judgeHealth(m, f)
	got := fmt.Sprint(v.Healthy, v.Down, v.Leaderless, v.UnderReplicated, v.UnderMinISR, v.Moving)
	if want := "false [3] [a/1] [a/0] [a/0 has 2 of 3] 1"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	f.moving = nil
	if v := judgeHealth(m, f); !slices.Equal(v.UnderReplicated, []string{"a/0", "moving/0"}) {
		t.Errorf("without the move: %v", v.UnderReplicated)
	}
	one := metadataOf(ids(1), topicOf("a", [3][]int32{ids(1), ids(1), ids(1)}))
	if v := judgeHealth(one, clusterFacts{}); !v.Healthy || v.Down == nil {
		t.Errorf("%+v", v)
	}
	// Without a majority nobody can say that a broker is gone: the metadata are as they were.
	if v := judgeHealth(one, clusterFacts{silent: ids(1)}); v.Healthy || len(v.Advice) != 1 || !strings.HasPrefix(v.Advice[0], "unreachable [1]") {
		t.Errorf("a broker that cannot be reached: %+v", v)
	}
	// No broker that comes back helps a topic that asks for more replicas than it has.
	if v := judgeHealth(one, clusterFacts{minISR: map[string]int{"a": 2}}); v.Healthy || len(v.Advice) != 1 || !strings.Contains(v.Advice[0], "min.insync.replicas is more than the replicas of [a]") {
		t.Errorf("more in sync than there are: %+v", v.Advice)
	}
	if v := judgeHealth(metadataOf(ids(1)), clusterFacts{fenced: ids(2)}); v.Healthy {
		t.Error("a fenced broker is no illness")
	}
}

// What cannot leave a broker is found before anything is begun.
func TestStuckReplicas(t *testing.T) {
	n := &nodes{
		meta: metadataOf(ids(1, 2, 3),
			topicOf("a", [3][]int32{ids(1), ids(1, 2, 3), ids(1, 2, 3)}),
			topicOf("b", [3][]int32{ids(1), ids(1, 3), ids(1, 3)}, [3][]int32{ids(2), ids(2), ids(2)})),
		list: []nodeView{{ID: 1, State: stateServing}, {ID: 2, State: stateServing}, {ID: 3, State: stateServing}},
	}
	if s := n.stuck(3); s.count != 1 || s.example != "a/0" || s.takers != 2 || s.has != 3 {
		t.Errorf("%+v", s)
	}
	for name, change := range map[string]func(*nodeView){"draining": func(n *nodeView) { n.Draining = true }, "fenced": func(n *nodeView) { n.State = stateFenced }} {
		other := &nodes{meta: n.meta, list: slices.Clone(n.list)}
		change(&other.list[1])
		if s := other.stuck(3); s.count != 2 {
			t.Errorf("the other is %s: %+v", name, s)
		}
	}
	n.list = append(n.list, nodeView{ID: 4, State: stateServing})
	if s := n.stuck(3); s.count != 0 {
		t.Errorf("with a fourth: %+v", s)
	}
}

func TestPlanLeaders(t *testing.T) {
	m := metadataOf(ids(1, 2, 3), topicOf("a",
		[3][]int32{ids(1), ids(1, 2), ids(1, 2)}, [3][]int32{ids(2), ids(1, 2), ids(1, 2)},
		[3][]int32{ids(2), ids(3, 2), ids(2)}, [3][]int32{ids(-1), ids(3, 2), ids(3)}, [3][]int32{ids(-1), nil, nil}))
	var got []string
	for _, e := range planLeaders(m.Topics) {
		got = append(got, fmt.Sprintf("%s %d>%d %s", e.name(), e.From, e.To, e.Status))
	}
	want := []string{"a/1 2>1 would move", "a/2 2>3 would stay: broker 3 is not in sync", "a/3 -1>3 would move"}
	if !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}

// Elections are asked for in portions, the answer is found by its partition, and what has no answer has failed.
func TestElectAsksInPortions(t *testing.T) {
	s := newShell(t)
	var asked []int
	s.cluster.ControlKey(int16(kmsg.ElectLeaders), func(req kmsg.Request) (kmsg.Response, error, bool) {
		s.cluster.KeepControl()
		resp, n := req.ResponseKind().(*kmsg.ElectLeadersResponse), 0
		for _, t := range req.(*kmsg.ElectLeadersRequest).Topics {
			rt := kmsg.NewElectLeadersResponseTopic()
			rt.Topic = t.Topic
			for _, p := range t.Partitions {
				n++
				rp := kmsg.NewElectLeadersResponseTopicPartition()
				rp.Partition = p
				switch p {
				case 0:
					rp.ErrorCode = kerr.PreferredLeaderNotAvailable.Code
				case 1:
					rp.ErrorCode = kerr.ElectionNotNeeded.Code
				case 2:
					continue
				}
				rt.Partitions = append(rt.Partitions, rp)
			}
			resp.Topics = append(resp.Topics, rt)
		}
		asked = append(asked, n)
		return resp, nil, true
	})
	all := make([]election, 1200)
	for i := range all {
		all[i] = election{Topic: "t" + fmt.Sprint(i/600), Partition: int32(i % 600)}
	}
	if err := elect(t.Context(), newAdmin(s.client()), electPreferred, all); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(asked, []int{500, 500, 200}) {
		t.Errorf("asked for %v", asked)
	}
	for i, e := range all {
		want := "moved"
		switch i % 600 {
		case 0:
			want = "stays"
		case 1:
			want = "was so already"
		case 2:
			want = "unknown"
		}
		if e.Status != want || (e.err != nil) != (i%600 == 0 || i%600 == 2) {
			t.Fatalf("%s: %+v", e.name(), e)
		}
	}
}

// For all partitions the list is turned, so that everybody leads; for chosen ones it is as it was given.
func TestReassignTarget(t *testing.T) {
	o := reassignOptions{replicas: ids(1, 2, 3)}
	for p, want := range [][]int32{ids(1, 2, 3), ids(2, 3, 1), ids(3, 1, 2), ids(1, 2, 3)} {
		if got := o.target(int32(p)); !slices.Equal(got, want) {
			t.Errorf("partition %d: %v", p, got)
		}
	}
	o.partitions = ids(2)
	if got := o.target(2); !slices.Equal(got, ids(1, 2, 3)) {
		t.Errorf("chosen: %v", got)
	}
	if !slices.Equal(o.replicas, ids(1, 2, 3)) {
		t.Errorf("the flag is %v by now", o.replicas)
	}
}

func TestViewQuorum(t *testing.T) {
	state := func(id int32, end, fetched int64) kmsg.DescribeQuorumResponseTopicPartitionReplicaState {
		return kmsg.DescribeQuorumResponseTopicPartitionReplicaState{ReplicaID: id, LogEndOffset: end, LastFetchTimestamp: fetched, LastCaughtUpTimestamp: -1}
	}
	now := time.UnixMilli(10_000)
	v := viewQuorum(&kmsg.DescribeQuorumResponseTopicPartition{
		LeaderID: 2, LeaderEpoch: 4, HighWatermark: 100,
		CurrentVoters: []kmsg.DescribeQuorumResponseTopicPartitionReplicaState{state(3, 90, 9_000), state(2, 100, -1), state(1, -1, -1)},
		Observers:     []kmsg.DescribeQuorumResponseTopicPartitionReplicaState{state(4, 101, -1)},
	}, nil)
	var out bytes.Buffer
	if err := (&output{}).print(&out, v, func(tb *table) { printQuorum(tb, v, now) }); err != nil {
		t.Fatal(err)
	}
	want := `leader   2
epoch    4
changes  100
voters   3, of which 2 must run

NODES
ID  ROLE      LOG-END  LAG  LAST-FETCH  CAUGHT-UP  ADDRESS
1   voter     -        -    -           -          -
2   leader    100      0    -           -          -
3   voter     90       10   1s ago      -          -
4   observer  101      0    -           -          -
`
	if out.String() != want {
		t.Errorf("\n%s\nwant\n%s", out.String(), want)
	}
}

// The level is that of the broker that knows least; one that is silent does not count, and is told.
func TestJudgeLevels(t *testing.T) {
	v := upgradeView{Brokers: []brokerLevel{{ID: 1, Knows: 3}, {ID: 2, Error: stateFenced}, {ID: 3, Knows: 2}}}
	v.judge([]int16{1, 0, 1})
	if v.Level != 1 || v.Highest != 2 || v.Status != "can be raised to 2: rafka cluster upgrade --to 2; 1 brokers could not be asked" {
		t.Errorf("%+v", v)
	}
	v = upgradeView{Brokers: []brokerLevel{{ID: 1, Knows: 2}}}
	if v.judge([]int16{2}); v.Status != "the highest that all brokers know" {
		t.Errorf("%+v", v)
	}
}

// CLI-7: waiting outlasts errors, shows how far it is, and says at its end that nothing is stopped by it.
func TestWaiting(t *testing.T) {
	var notes bytes.Buffer
	calls := 0
	err := waiting{on: true}.until(t.Context(), &notes, time.Minute, func(context.Context) (progress, bool, error) {
		calls++
		if calls == 1 {
			return progress{}, false, errors.New("leaders change")
		}
		return progress{}, calls == 3, nil
	})
	if err != nil || calls != 3 || notes.Len() > 0 {
		t.Errorf("%v after %d looks, %q", err, calls, &notes)
	}
	never := func(context.Context) (progress, bool, error) {
		return progress{done: 3, total: 8, what: "replicas moved", more: "no room"}, false, nil
	}
	err = waiting{on: true, limit: time.Millisecond}.until(t.Context(), &notes, time.Minute, never)
	if err == nil || !strings.Contains(err.Error(), "not done after 1ms (3 of 8 replicas moved: no room); it goes on") {
		t.Errorf("at the limit: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	err = waiting{on: true}.until(ctx, &notes, time.Minute, func(ctx context.Context) (progress, bool, error) {
		defer cancel()
		return never(ctx)
	})
	if err == nil || !strings.Contains(err.Error(), "interrupted (3 of 8") {
		t.Errorf("interrupted: %v", err)
	}
	err = waiting{on: true}.until(t.Context(), &notes, time.Nanosecond, func(context.Context) (progress, bool, error) { return progress{}, false, kerr.NotController })
	if !errors.Is(err, kerr.NotController) {
		t.Errorf("an error that stays: %v", err)
	}
}

func TestProgressBar(t *testing.T) {
	for p, want := range map[progress]string{
		{done: 0, total: 4, what: "moved"}:            "[........................] 0 of 4 moved",
		{done: 1, total: 4, what: "moved"}:            "[######..................] 1 of 4 moved",
		{done: 9, total: 4, what: "moved"}:            "[########################] 9 of 4 moved",
		{what: "waiting"}:                             "waiting",
		{done: 1, total: 2, what: "a", more: "stuck"}: "[############............] 1 of 2 a: stuck",
	} {
		if got := p.bar(); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
