package kafkasrv

import (
	"context"
	"slices"

	"github.com/rafka-io/rafka/internal/broker"
	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/metadata"
)

// addBroker registers another broker of the listener "".
func (f *fakeBroker) addBroker(id kafka.BrokerID, rack string, fenced bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.apply(&metadata.BrokerRecord{Broker: metadata.Broker{
		ID: id, Epoch: 1, Rack: rack, Fenced: fenced, Peers: []string{"10.0.0.1:7000"},
		Endpoints: []metadata.Endpoint{{Host: "b.example", Port: 9000 + int32(id)}},
	}})
}

// move puts a partition's state in place of the one it has.
func (f *fakeBroker) move(topic string, i int32, p metadata.Partition) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.apply(&metadata.PartitionChangeRecord{TopicID: f.image.Topics.ByName(topic).ID, Partition: i, State: p})
}

// known finds a partition in the image.
func (f *fakeBroker) known(tp kafka.TopicPartition) (*metadata.Partition, error) {
	t := f.image.Topics.ByName(tp.Topic)
	if t == nil || tp.Partition < 0 || int(tp.Partition) >= len(t.Partitions) {
		return nil, kafka.Errorf(kafka.UnknownTopicOrPartition, "there is no %s-%d", tp.Topic, tp.Partition)
	}
	return &t.Partitions[tp.Partition], nil
}

func (f *fakeBroker) ElectLeaders(_ context.Context, _ *broker.Session, kind int8, partitions []kafka.TopicPartition) ([]broker.ElectedPartition, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.note("elect kind=%d all=%t %v", kind, partitions == nil, partitions)
	if kind > broker.UncleanElection || kind < 0 {
		return nil, kafka.Errorf(kafka.InvalidRequest, "Unknown election type %d", kind)
	}
	elected := make([]broker.ElectedPartition, len(partitions))
	for i, tp := range partitions {
		elected[i].TopicPartition = tp
		if _, elected[i].Err = f.known(tp); elected[i].Err == nil {
			elected[i].Err = kafka.ElectionNotNeeded
		}
	}
	return elected, nil
}

func (f *fakeBroker) AlterReassignments(_ context.Context, _ *broker.Session, list []broker.Reassignment, allow bool) []error {
	f.mu.Lock()
	defer f.mu.Unlock()
	errs := make([]error, len(list))
	for i, r := range list {
		f.note("reassign %s-%d %v cancel=%t allow=%t", r.Topic, r.Partition, r.Replicas, r.Replicas == nil, allow)
		_, errs[i] = f.known(r.TopicPartition)
	}
	return errs
}

func (f *fakeBroker) Reassigning(*broker.Session) (all []broker.ReassigningPartition) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, t := range f.image.Topics.Sorted() {
		for i := range t.Partitions {
			if p := &t.Partitions[i]; len(p.Adding)+len(p.Removing) > 0 {
				at := kafka.TopicPartition{Topic: t.Name, Partition: int32(i)}
				all = append(all, broker.ReassigningPartition{TopicPartition: at, Replicas: p.Replicas, Adding: p.Adding, Removing: p.Removing})
			}
		}
	}
	return all
}

func (f *fakeBroker) UpdateFeatures(_ context.Context, _ *broker.Session, updates []broker.FeatureUpdate, validateOnly bool) []error {
	f.mu.Lock()
	defer f.mu.Unlock()
	errs := make([]error, len(updates))
	for i, u := range updates {
		f.note("feature %s=%d kind=%d validate=%t", u.Name, u.Level, u.Kind, validateOnly)
		if u.Name != metadata.FeatureVersion {
			errs[i] = kafka.Errorf(kafka.InvalidUpdateVersion, "it cannot be changed")
		}
	}
	return errs
}

func (f *fakeBroker) UnregisterBroker(_ context.Context, _ *broker.Session, id kafka.BrokerID) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.image.Brokers[id] == nil {
		return kafka.Errorf(kafka.BrokerIDNotRegistered, "there is no broker %d", id)
	}
	f.apply(&metadata.RemoveBrokerRecord{ID: id})
	return nil
}

// DescribeQuorum: every registered broker votes, but for those from 100 on.
func (f *fakeBroker) DescribeQuorum(context.Context, *broker.Session) (s broker.QuorumState, _ error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	s = broker.QuorumState{Leader: f.image.Controller, Term: f.image.Term, HighWatermark: 7}
	for _, id := range sortedBrokers(f.image) {
		n := broker.QuorumNode{ID: id, LogEnd: 6, LastFetch: 5, LastCaughtUp: 4, Directory: kafka.UUID{byte(id)}}
		if id < 100 {
			s.Voters = append(s.Voters, n)
		} else {
			s.Observers = append(s.Observers, n)
		}
	}
	return s, nil
}

func (f *fakeBroker) AddVoter(_ context.Context, _ *broker.Session, clusterID *string, v broker.NewVoter) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.note("add voter %d %v cluster=%t", v.ID, v.Addresses, clusterID != nil && *clusterID == fakeCluster)
	if f.image.Brokers[v.ID] != nil {
		return kafka.Errorf(kafka.DuplicateVoter, "broker %d votes already", v.ID)
	}
	return nil
}

func (f *fakeBroker) RemoveVoter(_ context.Context, _ *broker.Session, clusterID *string, id kafka.BrokerID, _ kafka.UUID) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.note("remove voter %d cluster=%t", id, clusterID != nil && *clusterID == fakeCluster)
	if f.image.Brokers[id] == nil {
		return kafka.Errorf(kafka.VoterNotFound, "broker %d does not vote", id)
	}
	return nil
}

// lastAsked is what the broker was asked last, and since when the list was emptied.
func (f *fakeBroker) lastAsked() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	asked := slices.Clone(f.asked)
	f.asked = nil
	return asked
}
