package queue

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/rafka-io/rafka/internal/coordinator"
	"github.com/rafka-io/rafka/internal/coordinator/share"
	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/metadata"
)

// cluster is ClusterStates on broker 1, and the other brokers with their share coordinators in memory.
type cluster struct {
	testing.TB
	*ClusterStates

	mu      sync.Mutex
	img     *metadata.Image
	keepers map[kafka.BrokerID]*keeper
	asked   []string // of other brokers
	down    map[kafka.BrokerID]bool
	created int
}

// keeper is the share coordinator of one broker: it refuses what it does not keep.
type keeper struct {
	*states
	c       *cluster
	id      kafka.BrokerID
	loading bool
}

func newCluster(t testing.TB, leaders ...kafka.BrokerID) *cluster {
	c := &cluster{TB: t, img: metadata.Empty(), keepers: map[kafka.BrokerID]*keeper{}, down: map[kafka.BrokerID]bool{}}
	for _, id := range []kafka.BrokerID{1, 2, 3} {
		c.keepers[id] = &keeper{states: newStates(), c: c, id: id}
	}
	c.ClusterStates = NewClusterStates(ClusterStatesOptions{
		NodeID: 1, Image: c.image, Local: c.keepers[1], Peers: c,
		Create: func(context.Context) error {
			c.created++
			c.leads(leaders...)
			return nil
		},
	})
	if len(leaders) > 0 {
		c.leads(leaders...)
	}
	return c
}

// leads makes the topic of the states with one partition for each leader.
func (c *cluster) leads(leaders ...kafka.BrokerID) {
	var runs []metadata.PartitionRun
	for _, id := range leaders {
		runs = append(runs, metadata.PartitionRun{Count: 1, Partition: metadata.Partition{Replicas: []kafka.BrokerID{id}, ISR: []kafka.BrokerID{id}, Leader: id}})
	}
	img, _, err := metadata.Fold(metadata.Empty(), []metadata.Record{&metadata.TopicRecord{Name: stateTopic, ID: kafka.UUID{200}, Partitions: runs}})
	if err != nil {
		c.Error(err)
	}
	c.set(func() { c.img = img })
}

func (c *cluster) image() *metadata.Image {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.img
}

func (c *cluster) set(change func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	change()
}

// leaderOf is who keeps a share partition of group g as the image of now says.
func (c *cluster) leaderOf(tp TopicPartition) kafka.BrokerID {
	t := c.image().Topics.ByName(stateTopic)
	return t.Partitions[coordinator.PartitionOf(share.CoordinatorKey("g", tp.Topic, tp.Partition), int32(len(t.Partitions)))].Leader
}

// Kafka implements Peers.
func (c *cluster) Kafka(ctx context.Context, to kafka.BrokerID, q kmsg.Request) (kmsg.Response, error) {
	c.mu.Lock()
	c.asked = append(c.asked, fmt.Sprintf("%d %s v%d", to, kmsg.NameForKey(q.Key()), q.GetVersion()))
	k, down := c.keepers[to], c.down[to]
	c.mu.Unlock()
	if down {
		return nil, kafka.BrokerNotAvailable
	}
	switch q := q.(type) {
	case *kmsg.InitializeShareGroupStateRequest:
		return k.InitializeShareGroupState(ctx, q), nil
	case *kmsg.ReadShareGroupStateRequest:
		return k.ReadShareGroupState(ctx, q), nil
	case *kmsg.WriteShareGroupStateRequest:
		return k.WriteShareGroupState(ctx, q), nil
	case *kmsg.DeleteShareGroupStateRequest:
		return k.DeleteShareGroupState(ctx, q), nil
	case *kmsg.ReadShareGroupStateSummaryRequest:
		return k.ReadShareGroupStateSummary(ctx, q), nil
	}
	return nil, kafka.UnsupportedVersion
}

// WriteShareGroupState refuses what is kept elsewhere, as a real one does.
func (k *keeper) WriteShareGroupState(ctx context.Context, req *kmsg.WriteShareGroupStateRequest) *kmsg.WriteShareGroupStateResponse {
	k.c.mu.Lock()
	loading := k.loading
	k.c.mu.Unlock()
	resp := k.states.WriteShareGroupState(ctx, req)
	for i := range resp.Topics {
		for j := range resp.Topics[i].Partitions {
			p := &resp.Topics[i].Partitions[j]
			switch {
			case loading:
				p.ErrorCode = int16(kafka.CoordinatorLoadInProgress)
			case k.c.leaderOf(TopicPartition{resp.Topics[i].TopicID, p.Partition}) != k.id:
				p.ErrorCode = int16(kafka.NotCoordinator)
			}
		}
	}
	return resp
}

func (c *cluster) take() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	asked := c.asked
	c.asked = nil
	slices.Sort(asked)
	return asked
}

// writeOf writes the start offset of partitions of two topics.
func writeOf(partitions int32) *kmsg.WriteShareGroupStateRequest {
	req := kmsg.NewPtrWriteShareGroupStateRequest()
	req.GroupID = "g"
	for _, id := range []byte{1, 2} {
		t := kmsg.WriteShareGroupStateRequestTopic{TopicID: kafka.UUID{id}}
		for i := range partitions {
			p := kmsg.NewWriteShareGroupStateRequestTopicPartition()
			p.Partition, p.StartOffset, p.DeliveryCompleteCount = i, int64(id)*100+int64(i), i
			t.Partitions = append(t.Partitions, p)
		}
		req.Topics = append(req.Topics, t)
	}
	return req
}

// codesOf lists partitions and codes of an answer in its order.
func codesOf(resp *kmsg.WriteShareGroupStateResponse) string {
	var b strings.Builder
	for _, t := range resp.Topics {
		for _, p := range t.Partitions {
			fmt.Fprintf(&b, "%d-%d:%v ", t.TopicID[0], p.Partition, kafka.ErrorCode(p.ErrorCode))
		}
	}
	return strings.TrimSpace(b.String())
}

func TestStatesAreKeptByTheLeadersOfTheirPartitions(t *testing.T) {
	c := newCluster(t, 1, 2, 3)
	if got, want := codesOf(c.WriteShareGroupState(t.Context(), writeOf(5))), "1-0:NONE 1-1:NONE 1-2:NONE 1-3:NONE 1-4:NONE 2-0:NONE 2-1:NONE 2-2:NONE 2-3:NONE 2-4:NONE"; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	kept := map[kafka.BrokerID]int{}
	for _, id := range []byte{1, 2} {
		for i := range int32(5) {
			leader := c.leaderOf(p(id, i))
			kept[leader]++
			if s := c.keepers[leader].of(p(id, i)); s.start != int64(id)*100+int64(i) {
				t.Errorf("broker %d has the start offset %d of %d-%d", leader, s.start, id, i)
			}
		}
	}
	if len(kept) != 3 {
		t.Fatalf("not all brokers keep something: %v", kept)
	}
	if got := fmt.Sprint(c.take()); got != "[2 WriteShareGroupState v1 3 WriteShareGroupState v1]" {
		t.Error("other brokers were asked ", got)
	}
	read := kmsg.NewPtrReadShareGroupStateRequest()
	sum := kmsg.NewPtrReadShareGroupStateSummaryRequest()
	begin := kmsg.NewPtrInitializeShareGroupStateRequest()
	end := kmsg.NewPtrDeleteShareGroupStateRequest()
	read.GroupID, sum.GroupID, begin.GroupID, end.GroupID = "g", "g", "g", "g"
	rt, st := kmsg.ReadShareGroupStateRequestTopic{TopicID: kafka.UUID{1}}, kmsg.ReadShareGroupStateSummaryRequestTopic{TopicID: kafka.UUID{1}}
	bt, et := kmsg.InitializeShareGroupStateRequestTopic{TopicID: kafka.UUID{1}}, kmsg.DeleteShareGroupStateRequestTopic{TopicID: kafka.UUID{1}}
	for i := range int32(5) {
		rt.Partitions = append(rt.Partitions, kmsg.ReadShareGroupStateRequestTopicPartition{Partition: i, LeaderEpoch: 3})
		st.Partitions = append(st.Partitions, kmsg.ReadShareGroupStateSummaryRequestTopicPartition{Partition: i})
		bt.Partitions = append(bt.Partitions, kmsg.InitializeShareGroupStateRequestTopicPartition{Partition: i, StateEpoch: 9, StartOffset: 7})
		et.Partitions = append(et.Partitions, kmsg.DeleteShareGroupStateRequestTopicPartition{Partition: i})
	}
	read.Topics, sum.Topics, begin.Topics, end.Topics = append(read.Topics, rt), append(sum.Topics, st), append(begin.Topics, bt), append(end.Topics, et)
	got := ""
	for i := range 5 {
		got += fmt.Sprintln(c.ReadShareGroupState(t.Context(), read).Topics[0].Partitions[i].StartOffset, c.ReadShareGroupStateSummary(t.Context(), sum).Topics[0].Partitions[i].StartOffset)
	}
	if want := "100 100\n101 101\n102 102\n103 103\n104 104\n"; got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
	for i, p := range c.InitializeShareGroupState(t.Context(), begin).Topics[0].Partitions {
		if p.ErrorCode != 0 || p.Partition != int32(i) {
			t.Errorf("%+v", p)
		}
	}
	if s := c.ReadShareGroupState(t.Context(), read).Topics[0].Partitions[2]; s.StartOffset != 7 || s.StateEpoch != 9 {
		t.Errorf("%+v", s)
	}
	for _, p := range c.DeleteShareGroupState(t.Context(), end).Topics[0].Partitions {
		if p.ErrorCode != 0 {
			t.Errorf("%+v", p)
		}
	}
	if got := c.ReadShareGroupStateSummary(t.Context(), sum).Topics[0].Partitions[4].StartOffset; got != -1 {
		t.Errorf("the start offset is %d after a delete", got)
	}
}

// While a coordinator moves, or loads, it is asked again by the image of then; the others' answers stand.
func TestStatesAreAskedForAgainWhileTheirCoordinatorMoves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, 2, 2)
		c.down[2] = true
		done := make(chan string, 1)
		go func() { done <- codesOf(c.WriteShareGroupState(t.Context(), writeOf(1))) }()
		time.Sleep(time.Second)
		c.leads(3, kafka.NoBroker)
		c.set(func() { c.keepers[3].loading = true })
		time.Sleep(time.Second)
		c.leads(3, 1)
		c.set(func() { c.keepers[3].loading = false })
		if got := <-done; got != "1-0:NONE 2-0:NONE" {
			t.Error(got)
		}
		if asked := c.take(); len(asked) < 4 || len(asked) > 40 {
			t.Errorf("%d requests in two seconds", len(asked))
		}
	})
}

// Whoever asks is told in time that there is no coordinator.
func TestStatesThatNobodyKeeps(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, 2, kafka.NoBroker)
		c.down[2] = true
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		begun := time.Now()
		resp := c.WriteShareGroupState(ctx, writeOf(3))
		if took := time.Since(begun); took != 3*time.Second {
			t.Errorf("took %v", took)
		}
		for _, topic := range resp.Topics {
			for i, p := range topic.Partitions {
				if kafka.ErrorCode(p.ErrorCode) != kafka.CoordinatorNotAvailable || p.ErrorMessage == nil || p.Partition != int32(i) {
					t.Errorf("%+v", p)
				}
			}
		}
	})
}

func TestFirstUseCreatesTheTopicOfStates(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t)
		c.opts.Create = func(context.Context) error {
			c.created++
			if c.created == 2 {
				c.leads(3)
			}
			return nil
		}
		one := writeOf(1)
		one.Topics = one.Topics[:1]
		if got := codesOf(c.WriteShareGroupState(t.Context(), one)); got != "1-0:NONE" || c.created != 2 {
			t.Errorf("%s, created %d times", got, c.created)
		}
	})
}

// strange answers something else than what it is asked.
type strange struct{ resp kmsg.Response }

func (s strange) Kafka(context.Context, kafka.BrokerID, kmsg.Request) (kmsg.Response, error) {
	return s.resp, nil
}

func TestStrangeAnswersAboutStates(t *testing.T) {
	for name, resp := range map[string]kmsg.Response{
		"nothing": nil, "another kind": kmsg.NewPtrReadShareGroupStateResponse(), "no partition": kmsg.NewPtrWriteShareGroupStateResponse(),
		"another partition": &kmsg.WriteShareGroupStateResponse{Topics: []kmsg.WriteShareGroupStateResponseTopic{{TopicID: kafka.UUID{1}, Partitions: []kmsg.WriteShareGroupStateResponseTopicPartition{{Partition: 5}}}}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := newCluster(t, 2)
				c.opts.Peers = strange{resp}
				ctx, cancel := context.WithTimeout(t.Context(), time.Second)
				defer cancel()
				one := writeOf(1)
				one.Topics = one.Topics[:1]
				if got := codesOf(c.WriteShareGroupState(ctx, one)); got != "1-0:COORDINATOR_NOT_AVAILABLE" {
					t.Error(got)
				}
			})
		})
	}
}

// What another broker asks is not passed on, whatever this one thinks who the coordinator is.
func TestStatesAskedOfThisBrokerAreItsOwn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		c := newCluster(t, 2)
		w.Manager.Close()
		w.Manager = New(Options{NodeID: 1, Replicas: w.replicas, Image: w.image, Settings: w, States: c, LocalStates: c.keepers[1], Groups: w.groups})
		w.Manager.Start()
		one := writeOf(1)
		one.Topics = one.Topics[:1]
		if got := codesOf(w.Persister().WriteShareGroupState(t.Context(), one)); got != "1-0:NOT_COORDINATOR" || len(c.take()) > 0 {
			t.Error(got)
		}
	})
}
