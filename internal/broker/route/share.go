package route

import (
	"context"
	"sync"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/rafka-io/rafka/internal/broker"
	"github.com/rafka-io/rafka/internal/kafka"
)

// members are the members of share groups that fetch through here, by the connection that they came by.
type members struct {
	mu  sync.Mutex // guards all; a leaf
	all map[*broker.Session]map[memberKey]*member
}

// memberKey names a member of a share group.
type memberKey struct{ group, member string }

func (m *members) init() { m.all = map[*broker.Session]map[memberKey]*member{} }

func (m *members) close() {
	m.mu.Lock()
	all := m.all
	m.all = map[*broker.Session]map[memberKey]*member{}
	m.mu.Unlock()
	for _, mine := range all {
		for _, one := range mine {
			one.close()
		}
	}
}

// of is the member of a request; nil: there is none, and begin does not make one.
func (m *members) of(v *Verbs, s *broker.Session, group, id *string, begin bool) *member {
	if group == nil || id == nil {
		return nil
	}
	key := memberKey{*group, *id}
	m.mu.Lock()
	defer m.mu.Unlock()
	one := m.all[s][key]
	if one == nil && begin {
		one = &member{v: v, session: s, key: key, brokers: map[kafka.BrokerID]*sharePeer{}}
		if m.all[s] == nil {
			m.all[s] = map[memberKey]*member{}
		}
		m.all[s][key] = one
	}
	return one
}

// isAlone reports whether this is the only broker there is.
func (v *Verbs) isAlone() bool { return len(v.Image().Brokers) <= 1 }

// ShareFetch gives a member of a share group records to hold, from whichever broker leads their partitions. One after the other is asked, as far as
// need be (RTE-4). A session that began when this was the only broker stays one with this broker.
//
// Left out: acknowledgements in the request, which doors send by ShareAcknowledge, are InvalidRequest.
func (v *Verbs) ShareFetch(ctx context.Context, s *broker.Session, q *kmsg.ShareFetchRequest) *kmsg.ShareFetchResponse {
	m := v.members.of(v, s, q.GroupID, q.MemberID, q.ShareSessionEpoch == 0 && !v.isAlone())
	if m == nil {
		return v.Local.ShareFetch(ctx, s, q)
	}
	return m.fetch(ctx, q)
}

// ShareAcknowledge says what is to become of records, to the brokers that gave them.
func (v *Verbs) ShareAcknowledge(ctx context.Context, s *broker.Session, q *kmsg.ShareAcknowledgeRequest) *kmsg.ShareAcknowledgeResponse {
	m := v.members.of(v, s, q.GroupID, q.MemberID, false)
	if m == nil {
		return v.Local.ShareAcknowledge(ctx, s, q)
	}
	return m.acknowledge(ctx, q)
}

// SessionClosed says that a connection has ended: what its members hold is given back, here and elsewhere.
func (v *Verbs) SessionClosed(s *broker.Session) {
	v.members.mu.Lock()
	mine := v.members.all[s]
	delete(v.members.all, s)
	v.members.mu.Unlock()
	for _, one := range mine {
		one.close()
	}
	v.Local.SessionClosed(s)
}
