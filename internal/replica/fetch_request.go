package replica

import (
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/rafka-io/rafka/internal/kafka"
)

// fetchVersion is the version of Fetch that brokers speak among each other: topic ids, and the replica state as a tag.
const fetchVersion = 17

// session is a fetch session as its client has it (KIP-227): after a request that names everything, requests name only what changed and answers only
// what is new. epoch counts the requests; 0: the next one names everything, and ends the session of that id if there is one.
type session struct {
	id    int32
	epoch int32
	lost  int // sessions that the leader did not know, one after the other
}

// begin starts anew.
func (s *session) begin() { s.epoch = 0 }

// forget starts anew where the leader knows nothing of the session.
func (s *session) forget() { s.id, s.epoch = 0, 0 }

// next takes in the session id of an answer. It is false if the answer belongs to another session.
func (s *session) next(id int32) bool {
	switch {
	case id == 0: // the leader has no room for a session
		s.forget()
	case s.epoch != 0 && id != s.id:
		s.forget()
		return false
	default:
		s.id = id
		if s.epoch++; s.epoch < 0 {
			s.epoch = 1
		}
	}
	return true
}

// build makes the next request. Its parts are used again, so that where nothing changed nothing is allocated.
func (f *fetcher) build(wait time.Duration) {
	for _, x := range f.dirty {
		if _, ok := f.gone[x.key]; ok && x.state == ready {
			// The leader may have told news of it that nobody took, and would not repeat them.
			f.session.begin()
			break
		}
	}
	q, o := &f.req, f.set.opts
	q.Version = fetchVersion
	q.ReplicaID = int32(kafka.NoBroker)
	q.ReplicaState.ID, q.ReplicaState.Epoch = int32(o.NodeID), o.BrokerEpoch()
	q.MaxWaitMillis = int32((wait + time.Millisecond - 1) / time.Millisecond)
	q.MinBytes, q.MaxBytes = 1, int32(o.FetchMaxBytes)
	q.SessionID, q.SessionEpoch = f.session.id, f.session.epoch
	q.Topics, q.ForgottenTopics = q.Topics[:0], q.ForgottenTopics[:0]
	if f.session.epoch == 0 {
		clear(f.gone)
		for _, x := range f.parts {
			x.told = told{}
			f.name(x)
		}
	}
	for _, x := range f.dirty {
		x.dirty = false
		if f.parts[x.key] == x {
			f.name(x)
		}
	}
	clear(f.dirty)
	f.dirty = f.dirty[:0]
	for key := range f.gone {
		f.forget(key)
	}
	clear(f.gone)
}

// name puts a partition into the request, if it is to be fetched and the leader does not know all of it.
func (f *fetcher) name(x *followed) {
	w := x.wants()
	if x.state != ready || x.told == w {
		return
	}
	x.told = w
	p := kmsg.NewFetchRequestTopicPartition()
	p.Partition = x.key.partition
	p.CurrentLeaderEpoch, p.LastFetchedEpoch = int32(w.epoch), int32(w.lastEpoch)
	p.FetchOffset, p.LogStartOffset = int64(w.offset), int64(w.logStart)
	p.PartitionMaxBytes = int32(f.set.opts.FetchPartitionBytes)
	q := &f.req
	n := len(q.Topics)
	if n == 0 || kafka.UUID(q.Topics[n-1].TopicID) != x.key.topic {
		if n == cap(q.Topics) {
			q.Topics = append(q.Topics, kmsg.NewFetchRequestTopic())
		}
		q.Topics = q.Topics[:n+1] // with the room that was there before
		q.Topics[n].TopicID, q.Topics[n].Partitions = x.key.topic, q.Topics[n].Partitions[:0]
		n++
	}
	t := &q.Topics[n-1]
	t.Partitions = append(t.Partitions, p)
}

// forget takes a partition out of the session.
func (f *fetcher) forget(key followKey) {
	q := &f.req
	if n := len(q.ForgottenTopics); n == 0 || kafka.UUID(q.ForgottenTopics[n-1].TopicID) != key.topic {
		t := kmsg.NewFetchRequestForgottenTopic()
		t.TopicID = key.topic
		q.ForgottenTopics = append(q.ForgottenTopics, t)
	}
	t := &q.ForgottenTopics[len(q.ForgottenTopics)-1]
	t.Partitions = append(t.Partitions, key.partition)
}
