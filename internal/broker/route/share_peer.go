package route

import (
	"context"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/rafka-io/rafka/internal/broker"
	"github.com/rafka-io/rafka/internal/kafka"
)

// sharePatience is how long a broker may take to answer beyond the time that it is to wait for records.
const sharePatience = 10 * time.Second

// sharePeer is a member's share session with one broker.
type sharePeer struct {
	id    kafka.BrokerID
	local Local           // nil: another broker
	as    *broker.Session // of this broker: the member's own, so that the end of one session does not end others
	conn  Conn            // to another broker: the session ends with it
	epoch int32           // of the next request
	has   map[partitionAt]bool
}

// peer is the member's session with a broker, begun if there is none.
func (m *member) peer(ctx context.Context, to kafka.BrokerID) (*sharePeer, error) {
	m.peersMu.Lock()
	p := m.brokers[to]
	m.peersMu.Unlock()
	if p != nil {
		return p, nil
	}
	p = &sharePeer{id: to, has: map[partitionAt]bool{}}
	if to == m.v.opts.NodeID {
		own := *m.session
		p.local, p.as = m.v.Local, &own
	} else {
		conn, err := m.v.opts.Dial(ctx, to)
		if err != nil {
			return nil, unreached(to, err)
		}
		p.conn = conn
	}
	m.peersMu.Lock()
	closed := m.closed
	if !closed {
		m.brokers[to] = p
	}
	m.peersMu.Unlock()
	if closed {
		p.close()
		return nil, errShareGone
	}
	return p, nil
}

func (p *sharePeer) close() {
	if p.local != nil {
		p.local.SessionClosed(p.as)
		return
	}
	_ = p.conn.Close() // what it held is given back with it
}

// fetchFrom asks one broker for records of the partitions that it leads. A session that the broker does not know any more is begun anew.
//
// Errors: NetworkException.
func (m *member) fetchFrom(ctx context.Context, to kafka.BrokerID, parts []partitionAt, q *kmsg.ShareFetchRequest, wait time.Duration) (*kmsg.ShareFetchResponse, error) {
	for again := true; ; again = false {
		p, err := m.peer(ctx, to)
		if err != nil {
			return nil, err
		}
		got, err := p.fetch(ctx, parts, q, wait)
		if err != nil {
			m.lose(p)
			return nil, err
		}
		switch kafka.ErrorCode(got.ErrorCode) {
		case kafka.ShareSessionNotFound, kafka.InvalidShareSessionEpoch:
			if m.lose(p); again {
				continue
			}
		}
		return got, nil
	}
}

// fetch sends a fetch whose session then has parts, and no others.
func (p *sharePeer) fetch(ctx context.Context, parts []partitionAt, q *kmsg.ShareFetchRequest, wait time.Duration) (*kmsg.ShareFetchResponse, error) {
	own := *q
	own.ShareSessionEpoch, own.MaxWaitMillis, own.Topics, own.ForgottenTopicsData = p.epoch, int32(wait.Milliseconds()), nil, nil
	next := make(map[partitionAt]bool, len(parts))
	for _, at := range parts {
		if next[at] = true; !p.has[at] || p.epoch == 0 {
			one := kmsg.NewShareFetchRequestTopicPartition()
			one.Partition = at.partition
			own.Topics = append(own.Topics, kmsg.ShareFetchRequestTopic{TopicID: at.topic, Partitions: []kmsg.ShareFetchRequestTopicPartition{one}})
		}
	}
	for at := range p.has {
		if !next[at] {
			own.ForgottenTopicsData = append(own.ForgottenTopicsData, kmsg.ShareFetchRequestForgottenTopicsData{TopicID: at.topic, Partitions: []int32{at.partition}})
		}
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), wait+sharePatience)
	defer cancel()
	var got *kmsg.ShareFetchResponse
	if p.local != nil {
		got = p.local.ShareFetch(ctx, p.as, &own)
		p.local.ShareFetchWritten(p.as) // the door copies the records before it asks again, and asks for little at a time
	} else {
		resp, err := p.conn.Do(ctx, &own)
		if err != nil {
			return nil, unreached(p.id, err)
		}
		var ok bool
		if got, ok = resp.(*kmsg.ShareFetchResponse); !ok {
			return nil, strange(p.id)
		}
	}
	if got.ErrorCode == 0 {
		p.epoch, p.has = follows(p.epoch), next
	}
	return got, nil
}

// acknowledge sends an acknowledgement as the next request of the session.
func (p *sharePeer) acknowledge(ctx context.Context, q *kmsg.ShareAcknowledgeRequest) (a *kmsg.ShareAcknowledgeResponse, err error) {
	q.ShareSessionEpoch = p.epoch
	if p.local != nil {
		a = p.local.ShareAcknowledge(ctx, p.as, q)
	} else {
		resp, err := p.conn.Do(ctx, q)
		if err != nil {
			return nil, unreached(p.id, err)
		}
		var ok bool
		if a, ok = resp.(*kmsg.ShareAcknowledgeResponse); !ok {
			return nil, strange(p.id)
		}
	}
	if a.ErrorCode == 0 {
		p.epoch = follows(p.epoch)
	}
	return a, nil
}
