package kafkasrv

import (
	"context"
	"fmt"
	"slices"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/rafka-io/rafka/internal/broker"
	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/metadata"
)

// ofBrokers is a list of ids.
func ofBrokers(ids ...kafka.BrokerID) []kafka.BrokerID { return ids }

// three is a broker 1 with a listener for everybody, 2 that is alive, 3 that is fenced and 4 that is not on the clients' listener. orders-0 is
// led here, orders-1 by nobody.
func three() *fakeBroker {
	f := newFakeBroker("orders")
	f.addBroker(2, "r2", false)
	f.addBroker(3, "r3", true)
	f.mu.Lock()
	f.apply(&metadata.BrokerRecord{Broker: metadata.Broker{ID: 4, Epoch: 1, Endpoints: []metadata.Endpoint{{Listener: "OTHER", Host: "x", Port: 1}}}})
	f.mu.Unlock()
	f.move("orders", 0, metadata.Partition{Replicas: ofBrokers(1, 2, 3), ISR: ofBrokers(1, 2), Leader: 1, LeaderEpoch: 4})
	f.move("orders", 1, metadata.Partition{Replicas: ofBrokers(3), ISR: ofBrokers(3), ELR: ofBrokers(3), Leader: kafka.NoBroker, LeaderEpoch: 5})
	return f
}

// Clients are told the brokers that are alive, leaders that they can be sent to, and which replicas are down.
func TestMetadataOfSeveralBrokers(t *testing.T) {
	f := three()
	f.addTopic("elsewhere", 1)
	f.move("elsewhere", 0, metadata.Partition{Replicas: ofBrokers(4), ISR: ofBrokers(4), Leader: 4})
	d := open(t, f, Options{})
	c := d.dial(t)
	for v := int16(0); v <= 13; v++ {
		q := kmsg.NewPtrMetadataRequest()
		q.Version = v
		resp := c.ask(q).(*kmsg.MetadataResponse)
		var brokers []string
		for _, b := range resp.Brokers {
			brokers = append(brokers, fmt.Sprintln(b.NodeID, b.Host, b.Port))
		}
		if len(brokers) != 2 || brokers[1] != "2 b.example 9002\n" {
			t.Fatalf("version %d: brokers %v", v, brokers)
		}
		topics := map[string]kmsg.MetadataResponseTopic{}
		if v == 0 || resp.Topics != nil {
			for _, topic := range resp.Topics {
				topics[*topic.Topic] = topic
			}
		}
		if len(topics) == 0 {
			t.Fatalf("version %d: no topics", v)
		}
		led, lost, elsewhere := topics["orders"].Partitions[0], topics["orders"].Partitions[1], topics["elsewhere"].Partitions[0]
		replicas, code, away := []int32{1, 2, 3}, kafka.None, kafka.LeaderNotAvailable
		if v == 0 {
			replicas, code = []int32{1, 2}, kafka.ReplicaNotAvailable
		}
		if v >= 6 {
			away = kafka.ListenerNotFound
		}
		if led.Leader != 1 || led.ErrorCode != int16(code) || !slices.Equal(led.Replicas, replicas) || !slices.Equal(led.ISR, []int32{1, 2}) || v >= 5 && !slices.Equal(led.OfflineReplicas, []int32{3}) {
			t.Errorf("version %d: %+v", v, led)
		}
		if lost.Leader != -1 || lost.ErrorCode != int16(kafka.LeaderNotAvailable) || v >= 7 && lost.LeaderEpoch != 5 {
			t.Errorf("version %d: %+v", v, lost)
		}
		if elsewhere.Leader != -1 || elsewhere.ErrorCode != int16(away) {
			t.Errorf("version %d: %+v", v, elsewhere)
		}
	}
}

// Another broker is told where the peer ports are: it has come by one.
func TestPeersAreToldPeerAddresses(t *testing.T) {
	d := open(t, three(), Options{})
	resp := d.dialPeer(t).ask(kmsg.NewPtrMetadataRequest()).(*kmsg.MetadataResponse)
	if len(resp.Brokers) != 1 || resp.Brokers[0].NodeID != 2 || resp.Brokers[0].Host != "10.0.0.1" || resp.Brokers[0].Port != 7000 {
		t.Errorf("%+v", resp.Brokers)
	}
	for _, bad := range []string{"", "host", "host:port", "host:70000"} {
		if at, ok := peerEndpointOf(&metadata.Broker{Peers: []string{bad}}); ok {
			t.Errorf("%q is %+v", bad, at)
		}
	}
}

func TestDescribeClusterTellsFencedBrokersWhenAsked(t *testing.T) {
	d := open(t, three(), Options{})
	c := d.dial(t)
	for _, fenced := range []bool{false, true} {
		q := kmsg.NewPtrDescribeClusterRequest()
		q.Version, q.EndpointType, q.IncludeFencedBrokers = 2, 1, fenced
		got := map[int32]bool{}
		for _, b := range c.ask(q).(*kmsg.DescribeClusterResponse).Brokers {
			got[b.NodeID] = b.IsFenced
		}
		if _, told := got[3]; len(got) < 2 || told != fenced || got[3] != fenced || got[2] {
			t.Errorf("%v", got)
		}
	}
}

// KIP-966: eligible leader replicas are told; a partition without a leader is no error there.
func TestDescribeTopicPartitionsTellsEligibleLeaders(t *testing.T) {
	d := open(t, three(), Options{})
	q := kmsg.NewPtrDescribeTopicPartitionsRequest()
	q.Topics = []kmsg.DescribeTopicPartitionsRequestTopic{{Topic: "orders"}}
	lost := d.dial(t).ask(q).(*kmsg.DescribeTopicPartitionsResponse).Topics[0].Partitions[1]
	if lost.ErrorCode != 0 || lost.LeaderID != -1 || lost.LeaderEpoch != 5 || !slices.Equal(lost.EligibleLeaderReplicas, []int32{3}) || !slices.Equal(lost.OfflineReplicas, []int32{3}) {
		t.Errorf("%+v", lost)
	}
}

func TestElectLeaders(t *testing.T) {
	d := open(t, newFakeBroker("a", "b"), Options{})
	c := d.dial(t)
	for v := int16(0); v <= 2; v++ {
		q := kmsg.NewPtrElectLeadersRequest()
		q.Version, q.ElectionType = v, 1
		q.Topics = []kmsg.ElectLeadersRequestTopic{{Topic: "a", Partitions: []int32{1, 0}}, {Topic: "none", Partitions: []int32{0}}}
		resp := c.ask(q).(*kmsg.ElectLeadersResponse)
		if len(resp.Topics) != 2 || len(resp.Topics[0].Partitions) != 2 || resp.Topics[0].Partitions[0].Partition != 1 ||
			resp.Topics[0].Partitions[0].ErrorCode != int16(kafka.ElectionNotNeeded) || resp.Topics[1].Partitions[0].ErrorCode != int16(kafka.UnknownTopicOrPartition) || *resp.Topics[1].Partitions[0].ErrorMessage != "there is no none-0" {
			t.Errorf("version %d: %+v", v, resp)
		}
		if got, want := d.broker.lastAsked(), fmt.Sprintf("elect kind=%d all=false [a-1 a-0 none-0]", min(v, 1)); len(got) != 1 || got[0] != want {
			t.Errorf("version %d: asked %q, want %q", v, got, want)
		}
		q.Topics = nil
		if resp := c.ask(q).(*kmsg.ElectLeadersResponse); len(resp.Topics) != 0 || resp.ErrorCode != 0 {
			t.Errorf("version %d: %+v", v, resp)
		}
		if got := d.broker.lastAsked(); len(got) != 1 || got[0] != fmt.Sprintf("elect kind=%d all=true []", min(v, 1)) {
			t.Errorf("version %d: asked %q", v, got)
		}
		q.ElectionType = 2
		if resp := c.ask(q).(*kmsg.ElectLeadersResponse); v >= 1 && resp.ErrorCode != int16(kafka.InvalidRequest) {
			t.Errorf("version %d: %+v", v, resp)
		}
		d.broker.lastAsked()
	}
}

func TestReassignmentsAreAlteredAndListed(t *testing.T) {
	d := open(t, newFakeBroker("a", "b"), Options{})
	c := d.dial(t)
	for v := int16(0); v <= 1; v++ {
		q := kmsg.NewPtrAlterPartitionAssignmentsRequest()
		q.Version, q.AllowReplicationFactorChange = v, false
		q.Topics = []kmsg.AlterPartitionAssignmentsRequestTopic{
			{Topic: "a", Partitions: []kmsg.AlterPartitionAssignmentsRequestTopicPartition{{Partition: 0, Replicas: []int32{2, 1}}, {Partition: 1}}},
			{Topic: "c", Partitions: []kmsg.AlterPartitionAssignmentsRequestTopicPartition{{Partition: 0, Replicas: []int32{}}}},
		}
		resp := c.ask(q).(*kmsg.AlterPartitionAssignmentsResponse)
		if resp.ErrorCode != 0 || resp.Topics[0].Partitions[1].ErrorCode != 0 || resp.Topics[0].Partitions[1].Partition != 1 || resp.Topics[1].Partitions[0].ErrorCode != int16(kafka.UnknownTopicOrPartition) {
			t.Errorf("version %d: %+v", v, resp)
		}
		allow := v < 1
		want := []string{fmt.Sprintf("reassign a-0 [2 1] cancel=false allow=%t", allow), fmt.Sprintf("reassign a-1 [] cancel=true allow=%t", allow), fmt.Sprintf("reassign c-0 [] cancel=false allow=%t", allow)}
		if got := d.broker.lastAsked(); !slices.Equal(got, want) {
			t.Errorf("version %d: %q", v, got)
		}
	}
	moving := metadata.Partition{Replicas: ofBrokers(2, 3, 1), Adding: ofBrokers(2, 3), Removing: ofBrokers(1), ISR: ofBrokers(1), Leader: 1}
	d.broker.move("a", 1, moving)
	d.broker.move("b", 0, moving)
	q := kmsg.NewPtrListPartitionReassignmentsRequest()
	all := c.ask(q).(*kmsg.ListPartitionReassignmentsResponse)
	if len(all.Topics) != 2 {
		t.Fatalf("%+v", all)
	}
	q.Topics = []kmsg.ListPartitionReassignmentsRequestTopic{{Topic: "a", Partitions: []int32{0, 1}}, {Topic: "none", Partitions: []int32{0}}}
	some := c.ask(q).(*kmsg.ListPartitionReassignmentsResponse)
	if len(some.Topics) != 1 || len(some.Topics[0].Partitions) != 1 {
		t.Fatalf("%+v", some)
	}
	p := some.Topics[0].Partitions[0]
	if p.Partition != 1 || !slices.Equal(p.Replicas, []int32{2, 3, 1}) || !slices.Equal(p.AddingReplicas, []int32{2, 3}) || !slices.Equal(p.RemovingReplicas, []int32{1}) {
		t.Errorf("%+v", p)
	}
	q.Topics = []kmsg.ListPartitionReassignmentsRequestTopic{}
	if none := c.ask(q).(*kmsg.ListPartitionReassignmentsResponse); len(none.Topics) != 0 {
		t.Errorf("%+v", none)
	}
}

func TestDescribeQuorum(t *testing.T) {
	f := newFakeBroker()
	f.addBroker(2, "", false)
	f.addBroker(100, "", false)
	d := open(t, f, Options{})
	c := d.dial(t)
	for v := int16(0); v <= 2; v++ {
		q := kmsg.NewPtrDescribeQuorumRequest()
		q.Version = v
		q.Topics = []kmsg.DescribeQuorumRequestTopic{{Topic: metadataTopicName, Partitions: []kmsg.DescribeQuorumRequestTopicPartition{{Partition: 0}}}}
		resp := c.ask(q).(*kmsg.DescribeQuorumResponse)
		p := resp.Topics[0].Partitions[0]
		if p.LeaderID != 1 || p.LeaderEpoch != 1 || p.HighWatermark != 7 || len(p.CurrentVoters) != 2 || len(p.Observers) != 1 || p.Observers[0].ReplicaID != 100 || p.CurrentVoters[1].LogEndOffset != 6 {
			t.Errorf("version %d: %+v", v, p)
		}
		if n := p.CurrentVoters[1]; v >= 1 && (n.LastFetchTimestamp != 5 || n.LastCaughtUpTimestamp != 4) || v >= 2 && n.ReplicaDirectoryID != [16]byte{2} {
			t.Errorf("version %d: %+v", v, n)
		}
		if v >= 2 && (len(resp.Nodes) != 2 || resp.Nodes[1].Listeners[0].Host != "b.example" || resp.Nodes[1].Listeners[0].Port != 9002) {
			t.Errorf("version %d: %+v", v, resp.Nodes)
		}
		q.Topics[0].Partitions[0].Partition = 1
		if resp := c.ask(q).(*kmsg.DescribeQuorumResponse); resp.Topics[0].Partitions[0].ErrorCode != int16(kafka.UnknownTopicOrPartition) {
			t.Errorf("version %d: %+v", v, resp)
		}
	}
}

func TestVotersAreAddedAndRemoved(t *testing.T) {
	d := open(t, newFakeBroker(), Options{})
	c := d.dial(t)
	cluster := fakeCluster
	for v := int16(0); v <= 1; v++ {
		for id, want := range map[int32]kafka.ErrorCode{9: kafka.None, 1: kafka.DuplicateVoter} {
			q := kmsg.NewPtrAddRaftVoterRequest()
			q.Version, q.VoterID, q.ClusterID = v, id, &cluster
			q.Listeners = []kmsg.AddRaftVoterRequestListener{{Name: "C", Host: "::1", Port: 50000}}
			if resp := c.ask(q).(*kmsg.AddRaftVoterResponse); resp.ErrorCode != int16(want) || (resp.ErrorMessage != nil) != (want != 0) {
				t.Errorf("version %d: %+v", v, resp)
			}
			if got := d.broker.lastAsked(); got[0] != fmt.Sprintf("add voter %d [[::1]:50000] cluster=true", id) {
				t.Errorf("version %d: %q", v, got)
			}
		}
	}
	q := kmsg.NewPtrRemoveRaftVoterRequest()
	q.VoterID = 9
	if resp := c.ask(q).(*kmsg.RemoveRaftVoterResponse); resp.ErrorCode != int16(kafka.VoterNotFound) {
		t.Errorf("%+v", resp)
	}
}

func TestUpdateFeatures(t *testing.T) {
	d := open(t, newFakeBroker(), Options{})
	c := d.dial(t)
	for v := int16(0); v <= 2; v++ {
		q := kmsg.NewPtrUpdateFeaturesRequest()
		q.Version, q.ValidateOnly = v, true
		q.FeatureUpdates = []kmsg.UpdateFeaturesRequestFeatureUpdate{{Feature: metadata.FeatureVersion, MaxVersionLevel: 1, AllowDowngrade: true, UpgradeType: 3}}
		resp := c.ask(q).(*kmsg.UpdateFeaturesResponse)
		if results := 1; resp.ErrorCode != 0 || v < 2 && len(resp.Results) != results {
			t.Errorf("version %d: %+v", v, resp)
		}
		want := "feature rafka.version=1 kind=3 validate=true"
		if v == 0 {
			want = "feature rafka.version=1 kind=2 validate=false"
		}
		if got := d.broker.lastAsked(); got[0] != want {
			t.Errorf("version %d: %q", v, got)
		}
		q.FeatureUpdates = append(q.FeatureUpdates, kmsg.UpdateFeaturesRequestFeatureUpdate{Feature: "share.version"})
		resp = c.ask(q).(*kmsg.UpdateFeaturesResponse)
		if resp.ErrorCode != int16(kafka.InvalidUpdateVersion) || len(resp.Results) != 0 || *resp.ErrorMessage != "The update failed for all features since the following feature had an error: share.version: it cannot be changed" {
			t.Errorf("version %d: %+v", v, resp)
		}
		d.broker.lastAsked()
	}
}

func TestUnregisterBroker(t *testing.T) {
	f := newFakeBroker()
	f.addBroker(2, "", true)
	d := open(t, f, Options{})
	c := d.dial(t)
	for _, want := range []kafka.ErrorCode{kafka.None, kafka.BrokerIDNotRegistered} {
		q := kmsg.NewPtrUnregisterBrokerRequest()
		q.BrokerID = 2
		if resp := c.ask(q).(*kmsg.UnregisterBrokerResponse); resp.ErrorCode != int16(want) {
			t.Errorf("%+v", resp)
		}
	}
}

// A coordinator that is another broker is told with that broker's address; one that is down or cannot be reached from here is not available.
func TestFindCoordinatorOnSeveralBrokers(t *testing.T) {
	f := three()
	f.say = func(_ context.Context, _ *broker.Session, q kmsg.Request) kmsg.Response {
		a := kmsg.NewPtrFindCoordinatorResponse()
		for i, key := range q.(*kmsg.FindCoordinatorRequest).CoordinatorKeys {
			a.Coordinators = append(a.Coordinators, kmsg.FindCoordinatorResponseCoordinator{Key: key, NodeID: int32(i + 1)})
		}
		return a
	}
	d := open(t, f, Options{})
	q := kmsg.NewPtrFindCoordinatorRequest()
	q.Version, q.CoordinatorKeys = 6, []string{"here", "there", "fenced", "elsewhere", "gone"}
	told := d.dial(t).ask(q).(*kmsg.FindCoordinatorResponse).Coordinators
	if len(told) != 5 || told[0].NodeID != 1 || told[0].Host != "127.0.0.1" || told[1].NodeID != 2 || told[1].Host != "b.example" || told[1].Port != 9002 {
		t.Fatalf("%+v", told)
	}
	for _, c := range told[2:] {
		if c.ErrorCode != int16(kafka.CoordinatorNotAvailable) || c.NodeID != -1 || c.Host != "" {
			t.Errorf("%+v", c)
		}
	}
}
