package queue

import (
	"sync"

	"github.com/rafka-io/rafka/internal/kafka"
)

// Owner names the connection that a session belongs to: a door gives the same comparable value with each request of a connection, and
// tells ConnectionClosed when it ends. nil: no connection, so only Release ends the session.
type Owner any

// Epochs of share sessions that mean something of their own (KIP-932).
const (
	initialEpoch int32 = 0
	finalEpoch   int32 = -1
)

// maxSessionPartitions bounds the partitions of one session. More is INVALID_REQUEST.
const maxSessionPartitions = 10_000

// memberKey names a member of a share group.
type memberKey struct{ group, member string }

// TopicPartition is a partition of a topic by the topic's id.
type TopicPartition struct {
	Topic     kafka.UUID
	Partition int32
}

// session is what one member fetches. Everything in it is guarded by sessions.mu.
type session struct {
	key        memberKey
	owner      Owner
	epoch      int32            // of the next request
	partitions []TopicPartition // in the order they were asked for
	index      map[TopicPartition]struct{}
}

// sessions are the share sessions of this node, as many as group.share.max.share.sessions at most (P6).
type sessions struct {
	mu      sync.Mutex // guards what is below, for memory work only; a leaf
	byKey   map[memberKey]*session
	byOwner map[Owner]map[memberKey]*session
	members map[string]int // sessions of each group
}

func (s *sessions) init() {
	s.byKey, s.byOwner, s.members = map[memberKey]*session{}, map[Owner]map[memberKey]*session{}, map[string]int{}
}

// opened is a session as one request sees it.
type opened struct {
	session    *session
	partitions []TopicPartition // a copy
	epoch      int32            // of the request
	isFinal    bool
}

// errSessionLimit, errNoSession and errSessionEpoch are what a client is told to open a session with.
var (
	errSessionLimit = kafka.Errorf(kafka.ShareSessionLimitReached, "this broker has as many share sessions as group.share.max.share.sessions allows: try again later")
	errNoSession    = kafka.Errorf(kafka.ShareSessionNotFound, "this broker has no such share session: open one with share session epoch 0")
	errSessionEpoch = kafka.Errorf(kafka.InvalidShareSessionEpoch, "the share session epoch is not the one that follows: open a new share session with epoch 0")
)

// fetch opens, continues or prepares to close the session of a ShareFetch. add and forget are what the request names; most is how many
// sessions there may be.
//
// Errors: ShareSessionNotFound, InvalidShareSessionEpoch, ShareSessionLimitReached, InvalidRequest.
func (s *sessions) fetch(key memberKey, owner Owner, epoch int32, add, forget []TopicPartition, most int) (opened, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.byKey[key]
	switch {
	case epoch == initialEpoch:
		if now == nil && len(s.byKey) >= most {
			return opened{}, errSessionLimit
		}
		if now != nil {
			s.removeLocked(now)
		}
		made := &session{key: key, owner: owner, epoch: 1, index: map[TopicPartition]struct{}{}}
		if err := made.update(add, nil); err != nil {
			return opened{}, err
		}
		s.addLocked(made)
		return opened{session: made, partitions: made.copied()}, nil
	case now == nil:
		return opened{}, errNoSession
	case epoch == finalEpoch:
		return opened{session: now, epoch: epoch, isFinal: true}, nil
	case epoch != now.epoch:
		return opened{}, errSessionEpoch
	}
	if err := now.update(add, forget); err != nil {
		return opened{}, err
	}
	now.epoch = nextEpoch(epoch)
	return opened{session: now, partitions: now.copied(), epoch: epoch}, nil
}

// acknowledge continues the session of a ShareAcknowledge; isFinal: it is to be closed.
//
// Errors: ShareSessionNotFound, InvalidShareSessionEpoch.
func (s *sessions) acknowledge(key memberKey, epoch int32) (isFinal bool, err error) {
	if epoch == initialEpoch {
		return false, kafka.Errorf(kafka.InvalidShareSessionEpoch, "a share session cannot be opened by ShareAcknowledge: send a ShareFetch with epoch 0 first")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.byKey[key]
	switch {
	case now == nil:
		return false, errNoSession
	case epoch == finalEpoch:
		return true, nil
	case epoch != now.epoch:
		return false, errSessionEpoch
	}
	now.epoch = nextEpoch(epoch)
	return false, nil
}

// nextEpoch is the epoch after e: from 2^31-1 it goes on with 1.
func nextEpoch(e int32) int32 {
	if e == 1<<31-1 {
		return 1
	}
	return e + 1
}

// remove ends the session of a member; nil if there is none.
func (s *sessions) remove(key memberKey) *session {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.byKey[key]
	if now != nil {
		s.removeLocked(now)
	}
	return now
}

// disconnected ends the sessions of a connection and returns them.
func (s *sessions) disconnected(owner Owner) (ended []*session) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, one := range s.byOwner[owner] {
		ended = append(ended, one)
	}
	for _, one := range ended {
		s.removeLocked(one)
	}
	return ended
}

// isOpen reports whether a session has not ended.
func (s *sessions) isOpen(one *session) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.byKey[one.key] == one
}

// hasMembers reports whether a group has a session here.
func (s *sessions) hasMembers(group string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.members[group] > 0
}

func (s *sessions) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.byKey)
}

func (s *sessions) addLocked(one *session) {
	s.byKey[one.key] = one
	s.members[one.key.group]++
	if one.owner == nil {
		return
	}
	mine := s.byOwner[one.owner]
	if mine == nil {
		mine = map[memberKey]*session{}
		s.byOwner[one.owner] = mine
	}
	mine[one.key] = one
}

func (s *sessions) removeLocked(one *session) {
	delete(s.byKey, one.key)
	if s.members[one.key.group]--; s.members[one.key.group] <= 0 {
		delete(s.members, one.key.group)
	}
	if mine := s.byOwner[one.owner]; mine != nil {
		delete(mine, one.key)
		if len(mine) == 0 {
			delete(s.byOwner, one.owner)
		}
	}
}

// update adds and forgets partitions.
func (one *session) update(add, forget []TopicPartition) error {
	if len(one.partitions)+len(add) > maxSessionPartitions {
		return kafka.Errorf(kafka.InvalidRequest, "a share session has at most %d partitions", maxSessionPartitions)
	}
	for _, tp := range add {
		if _, known := one.index[tp]; !known {
			one.index[tp] = struct{}{}
			one.partitions = append(one.partitions, tp)
		}
	}
	if len(forget) == 0 {
		return nil
	}
	for _, tp := range forget {
		delete(one.index, tp)
	}
	kept := one.partitions[:0]
	for _, tp := range one.partitions {
		if _, still := one.index[tp]; still {
			kept = append(kept, tp)
		}
	}
	one.partitions = kept
	return nil
}

func (one *session) copied() []TopicPartition {
	return append([]TopicPartition(nil), one.partitions...)
}
