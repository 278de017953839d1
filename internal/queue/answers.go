package queue

import (
	"sync"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/rafka-io/rafka/internal/kafka"
)

// answers knows what the answers of each connection hold of the room until they are written.
type answers struct {
	room *room

	mu   sync.Mutex // guards held; room.mu may be taken after it
	held map[Owner]int64
}

func (a *answers) init(r *room) { a.room, a.held = r, map[Owner]int64{} }

// hold charges a connection. Without a connection nobody says when the answer is written, and the charge ends at once.
func (a *answers) hold(owner Owner, bytes int64) {
	if owner == nil || bytes == 0 {
		a.room.add(-bytes)
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.held[owner] += bytes
}

// written ends the charge of a connection.
func (a *answers) written(owner Owner) {
	a.mu.Lock()
	bytes := a.held[owner]
	delete(a.held, owner)
	a.mu.Unlock()
	a.room.add(-bytes)
}

// AnswerWritten says that the last answer of ShareFetch to a connection has been written, or never will be: what it held is there for others. It
// may be called once too often. The next ShareFetch of the connection says the same.
func (m *Manager) AnswerWritten(owner Owner) { m.answers.written(owner) }

// Crowded reports whether answers that are not written hold so much that fetches have to wait.
func (m *Manager) Crowded() bool { return m.room.full() }

// fill makes the answer of a ShareFetch: what was taken, errors, and what became of acknowledgements.
func (f *fetch) fill(resp *kmsg.ShareFetchResponse, acks []ackPartition) {
	topics := map[kafka.UUID]int{}
	places := map[TopicPartition][2]int{}
	at := func(tp TopicPartition) *kmsg.ShareFetchResponseTopicPartition {
		if p, ok := places[tp]; ok {
			return &resp.Topics[p[0]].Partitions[p[1]]
		}
		t, ok := topics[tp.Topic]
		if !ok {
			t = len(resp.Topics)
			topics[tp.Topic] = t
			topic := kmsg.NewShareFetchResponseTopic()
			topic.TopicID = tp.Topic
			resp.Topics = append(resp.Topics, topic)
		}
		p := kmsg.NewShareFetchResponseTopicPartition()
		p.Partition = tp.Partition
		p.Records = []byte{} // never null, which the Java client takes for a broken answer
		p.CurrentLeader.LeaderID, p.CurrentLeader.LeaderEpoch = -1, -1
		list := &resp.Topics[t].Partitions
		places[tp] = [2]int{t, len(*list)}
		*list = append(*list, p)
		return &(*list)[len(*list)-1]
	}
	for i := range f.slots {
		s := &f.slots[i]
		if s.err == nil && len(s.taken.ranges) == 0 {
			continue
		}
		p := at(s.tp)
		if s.err != nil {
			p.ErrorCode, p.ErrorMessage = codeAndMessage(s.err)
			p.CurrentLeader.LeaderID, p.CurrentLeader.LeaderEpoch = f.m.leaderFor(s.err, s.tp)
		}
		if s.taken.records != nil {
			p.Records = s.taken.records
		}
		for _, r := range s.taken.ranges {
			p.AcquiredRecords = append(p.AcquiredRecords, kmsg.ShareFetchResponseTopicPartitionAcquiredRecord{
				FirstOffset: int64(r.First), LastOffset: int64(r.Last), DeliveryCount: r.Count,
			})
		}
	}
	for i := range acks {
		p := at(acks[i].tp)
		p.AcknowledgeErrorCode, p.AcknowledgeErrorMessage = codeAndMessage(acks[i].err)
		if p.ErrorCode == 0 {
			p.CurrentLeader.LeaderID, p.CurrentLeader.LeaderEpoch = f.m.leaderFor(acks[i].err, acks[i].tp)
		}
	}
}

// leaderFor is the leader to go to after err, if err says that the asker has the wrong one.
func (m *Manager) leaderFor(err error, tp TopicPartition) (leader, epoch int32) {
	if c := kafka.CodeOf(err); c != kafka.NotLeaderOrFollower && c != kafka.FencedLeaderEpoch {
		return -1, -1
	}
	t := m.opts.Image().Topics.ByID(tp.Topic)
	if t == nil || tp.Partition < 0 || int(tp.Partition) >= len(t.Partitions) {
		return -1, -1
	}
	return int32(t.Partitions[tp.Partition].Leader), int32(t.Partitions[tp.Partition].LeaderEpoch)
}
