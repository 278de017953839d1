package broker

import (
	"context"
	"slices"
	"testing"

	"github.com/rafka-io/rafka/internal/controller"
	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/metadata"
)

// decider is a controller that notes what it is asked.
type decider struct {
	Controller
	img     *metadata.Image
	created []NewTopic
	elected []ElectedPartition
	asked   []kafka.TopicPartition
	times   int
}

func (d *decider) Image() *metadata.Image { return d.img }

func (d *decider) CreateTopics(_ context.Context, topics []NewTopic, _ bool) []controller.CreatedTopic {
	d.created = append(d.created, topics...)
	return make([]controller.CreatedTopic, len(topics))
}

func (d *decider) ElectLeaders(_ context.Context, _ int8, partitions []kafka.TopicPartition) ([]ElectedPartition, error) {
	d.asked = partitions
	d.times++
	return slices.Clone(d.elected), nil
}

func imageOf(t *testing.T, records ...metadata.Record) *metadata.Image {
	t.Helper()
	img, _, err := metadata.Fold(metadata.Empty(), records)
	if err != nil {
		t.Fatal(err)
	}
	return img
}

func brokers(list ...metadata.Broker) (records []metadata.Record) {
	for _, b := range list {
		records = append(records, &metadata.BrokerRecord{Broker: b})
	}
	return records
}

// Internal topics get a replica on each of up to three brokers that take one, and never more than is configured.
func TestInternalTopicsAreReplicatedAsFarAsThereAreBrokers(t *testing.T) {
	alive := func(n int) (list []metadata.Broker) {
		for id := range n {
			list = append(list, metadata.Broker{ID: kafka.BrokerID(id + 1)})
		}
		return list
	}
	fenced := append(alive(2), metadata.Broker{ID: 3, Fenced: true}, metadata.Broker{ID: 4, Draining: true}, metadata.Broker{ID: 5, ShuttingDown: true})
	for _, c := range []struct {
		name       string
		configured string
		brokers    []metadata.Broker
		want       int16
	}{
		{"one", "", alive(1), 1}, {"two", "", alive(2), 2}, {"three", "", alive(3), 3}, {"four", "", alive(4), 3},
		{"more configured", "5", alive(6), 3}, {"less configured", "2", alive(3), 2}, {"some that take none", "", fenced, 2},
		{"none that take one", "", []metadata.Broker{{ID: 1, Draining: true}}, 1},
	} {
		a, _ := administered(t, nil)
		if c.configured != "" {
			a, _ = administered(t, map[string]string{"offsets.topic.replication.factor": c.configured})
		}
		d := &decider{img: imageOf(t, brokers(c.brokers...)...)}
		b := New(Options{AdminOptions: AdminOptions{NodeID: 1, Controller: d, Settings: a.opts.Settings}})
		_, err := b.internalTopic(t.Context(), coordinatorTopics[groupKey])
		wantCode(t, err, kafka.CoordinatorNotAvailable) // the image does not have it yet
		if len(d.created) != 1 || d.created[0].Name != "__consumer_offsets" || d.created[0].Replication != c.want {
			t.Errorf("%s: %+v", c.name, d.created)
		}
	}
}

// A user's topic has the replicas that are configured, or is refused, as with Kafka.
func TestUsersTopicsAreNotMadeWithFewerReplicas(t *testing.T) {
	a, _ := administered(t, nil)
	created := a.CreateTopics(t.Context(), nil, []NewTopic{{Name: "t", Partitions: 1, Replication: 3}}, false)
	wantCode(t, created[0].Err, kafka.InvalidReplicationFactor)
}

func TestElectionsOfAllLeaveOutWhatNeedsNone(t *testing.T) {
	d := &decider{img: metadata.Empty(), elected: []ElectedPartition{{Err: kafka.ElectionNotNeeded}, {}, {Err: kafka.PreferredLeaderNotAvailable}}}
	a := &admin{opts: AdminOptions{Controller: d}}
	if got, err := a.ElectLeaders(t.Context(), nil, PreferredElection, nil); err != nil || len(got) != 2 || d.asked != nil {
		t.Errorf("%+v %v", got, err)
	}
	some := []kafka.TopicPartition{{Topic: "a"}}
	if got, err := a.ElectLeaders(t.Context(), nil, UncleanElection, some); err != nil || len(got) != 3 || !slices.Equal(d.asked, some) {
		t.Errorf("%+v %v", got, err)
	}
	if got, err := a.ElectLeaders(t.Context(), nil, PreferredElection, []kafka.TopicPartition{}); err != nil || len(got) != 0 || d.times != 2 {
		t.Errorf("none named: %+v %v", got, err)
	}
	_, err := a.ElectLeaders(t.Context(), nil, 2, nil)
	wantCode(t, err, kafka.InvalidRequest)
}

// quorumOf notes what it is asked.
type quorumOf struct {
	QuorumState
	added   []NewVoter
	removed []kafka.BrokerID
}

func (q *quorumOf) Describe(context.Context) (QuorumState, error) { return q.QuorumState, nil }

func (q *quorumOf) AddVoter(_ context.Context, v NewVoter) error {
	q.added = append(q.added, v)
	return nil
}

func (q *quorumOf) RemoveVoter(_ context.Context, id kafka.BrokerID, _ kafka.UUID) error {
	q.removed = append(q.removed, id)
	return nil
}

func TestQuorumVerbs(t *testing.T) {
	d := &decider{img: imageOf(t, append(brokers(metadata.Broker{ID: 1}, metadata.Broker{ID: 2, Peers: []string{"two:1"}}),
		&metadata.ClusterRecord{ID: "c"}, &metadata.ControllerRecord{Controller: 1, Term: 4})...)}
	a := &admin{opts: AdminOptions{NodeID: 1, Controller: d}}
	state, err := a.DescribeQuorum(t.Context(), nil)
	if err != nil || state.Leader != 1 || state.Term != 4 || state.HighWatermark != int64(d.img.Offset) || len(state.Voters) != 1 || state.Voters[0].ID != 1 || state.Voters[0].LogEnd != state.HighWatermark {
		t.Errorf("alone: %+v %v", state, err)
	}
	wantCode(t, a.AddVoter(t.Context(), nil, nil, NewVoter{ID: 2}), kafka.InvalidRequest)
	wantCode(t, a.RemoveVoter(t.Context(), nil, nil, 1, kafka.UUID{}), kafka.InvalidRequest)

	q := &quorumOf{QuorumState: QuorumState{Leader: 2}}
	a.opts.Quorum = q
	if state, err := a.DescribeQuorum(t.Context(), nil); err != nil || state.Leader != 2 {
		t.Errorf("%+v %v", state, err)
	}
	mine, other := "c", "d"
	wantCode(t, a.AddVoter(t.Context(), nil, &other, NewVoter{ID: 2}), kafka.InconsistentClusterID)
	wantCode(t, a.RemoveVoter(t.Context(), nil, &other, 2, kafka.UUID{}), kafka.InconsistentClusterID)
	wantCode(t, a.AddVoter(t.Context(), nil, &mine, NewVoter{ID: -1, Addresses: []string{"x:1"}}), kafka.InvalidRequest)
	wantCode(t, a.AddVoter(t.Context(), nil, &mine, NewVoter{ID: 3}), kafka.InvalidRequest) // nobody knows where it is
	wantCode(t, a.AddVoter(t.Context(), nil, &mine, NewVoter{ID: 2, Addresses: []string{"elsewhere:9"}}), kafka.None)
	wantCode(t, a.AddVoter(t.Context(), nil, nil, NewVoter{ID: 3, Addresses: []string{"three:1"}}), kafka.None)
	wantCode(t, a.RemoveVoter(t.Context(), nil, nil, 2, kafka.UUID{}), kafka.None)
	if len(q.added) != 2 || q.added[0].Addresses[0] != "two:1" || q.added[1].Addresses[0] != "three:1" || !slices.Equal(q.removed, []kafka.BrokerID{2}) {
		t.Errorf("%+v %v", q.added, q.removed)
	}
}

// Who asks the wrong broker is told the right one, but not this one again while it knows no better.
func TestLeaderHints(t *testing.T) {
	w := newWorld(t)
	w.opts.NodeID = 1
	at := func(leader kafka.BrokerID) metadata.Partition {
		return metadata.Partition{Replicas: []kafka.BrokerID{2}, ISR: []kafka.BrokerID{2}, Leader: leader, LeaderEpoch: 3}
	}
	w.fold(&metadata.TopicRecord{Name: "a", ID: kafka.UUID{1}, Partitions: []metadata.PartitionRun{{Count: 1, Partition: at(2)}, {Count: 1, Partition: at(1)}}})
	for _, c := range []struct {
		err    error
		i      int32
		leader kafka.BrokerID
	}{
		{kafka.NotLeaderOrFollower, 0, 2}, {kafka.FencedLeaderEpoch, 0, 2}, {kafka.NotLeaderOrFollower, 1, kafka.NoBroker}, {kafka.FencedLeaderEpoch, 1, 1},
		{kafka.OffsetOutOfRange, 0, kafka.NoBroker}, {nil, 0, kafka.NoBroker}, {kafka.NotLeaderOrFollower, 7, kafka.NoBroker},
	} {
		leader, epoch := w.leaderFor(c.err, "a", kafka.UUID{}, c.i)
		if leader != c.leader || (epoch == 3) != (leader != kafka.NoBroker) {
			t.Errorf("%v of partition %d: leader %d epoch %d", c.err, c.i, leader, epoch)
		}
	}
	r := w.produce(-1, ProducePartition{Topic: "a", Records: plainBatch(1, 1)})[0]
	if kafka.CodeOf(r.Err) != kafka.NotLeaderOrFollower || r.Leader != 2 || r.LeaderEpoch != 3 {
		t.Errorf("%+v", r)
	}
}
