package group

import (
	"slices"
	"time"

	"github.com/rafka-io/rafka/internal/coordinator/group/assign/tasks"
)

// streamsMember is a member of a streams group. It is never changed once it is in a group: with gives a copy to change.
type streamsMember struct {
	id    string
	said  *streamsSaid
	at    *streamsCurrent
	pulse *pulse
	// Keys of its timers.
	sessionTimer, rebalanceTimer string
}

// streamsSaid is what a member said of itself (record type 19). It is never changed.
type streamsSaid struct {
	instance, rack   *string
	client           Client
	rebalanceTimeout int32 // milliseconds
	topologyEpoch    int32
	process          string // members of one process share a directory of state
	endpoint         *streamsEndpoint
	tags             []tasks.Tag // by key
}

// streamsEndpoint is where a member answers queries about its state.
type streamsEndpoint struct {
	host string
	port uint16
}

// streamsCurrent is where a member is on its way to its goal (record type 22). It is never changed.
type streamsCurrent struct {
	epoch, previous int32
	state           memberState
	assigned        streamsHeld // what it may run
	revoking        streamsHeld // what it has to give up, and may have still
}

// streamsHeld is tasks that a member has, the active ones with the member epoch at which it came to have each: a commit by the member's older
// epochs is still good for what it had then.
type streamsHeld struct {
	tasks.Assignment
	// since has the epochs in the form of Active; where there are none they are not known, and the member's own epoch counts.
	since [][]int32
}

// goneStreams is that of a member that has left: it has nothing.
var goneStreams = &streamsCurrent{epoch: epochLeave, previous: epochLeave}

func newStreamsMember(group, id string) *streamsMember {
	return &streamsMember{
		id: id, said: &streamsSaid{}, at: &streamsCurrent{}, pulse: &pulse{},
		sessionTimer: timerKey("streams session", group, id), rebalanceTimer: timerKey("streams rebalance", group, id),
	}
}

func (m *streamsMember) with() *streamsMember { c := *m; return &c }

// settled reports whether the member has reached the target assignment of an epoch.
func (m *streamsMember) settled(targetEpoch int32) bool {
	return m.at.state == memberStable && m.at.epoch == targetEpoch
}

func (m *streamsMember) rebalanceTimeout() time.Duration {
	return time.Duration(m.said.rebalanceTimeout) * time.Millisecond
}

// equal reports whether both say the same.
func (a *streamsSaid) equal(b *streamsSaid) bool {
	return samePtr(a.instance, b.instance) && a.client == b.client && a.rebalanceTimeout == b.rebalanceTimeout && a.sameEndpoint(b) && a.samePlace(b)
}

// samePlace reports whether nothing changed that an assignment depends on.
func (a *streamsSaid) samePlace(b *streamsSaid) bool {
	return samePtr(a.rack, b.rack) && a.topologyEpoch == b.topologyEpoch && a.process == b.process && slices.Equal(a.tags, b.tags)
}

func (a *streamsSaid) sameEndpoint(b *streamsSaid) bool {
	return a.endpoint == b.endpoint || a.endpoint != nil && b.endpoint != nil && *a.endpoint == *b.endpoint
}

// equal reports whether both are the same place on the way.
func (a *streamsCurrent) equal(b *streamsCurrent) bool {
	return a == b || a.epoch == b.epoch && a.previous == b.previous && a.state == b.state &&
		a.assigned.Equal(b.assigned.Assignment) && a.revoking.Equal(b.revoking.Assignment)
}

// epochOf is the member epoch at which an active task was had first; ok is false when it is not had.
func (h streamsHeld) epochOf(t tasks.Task, memberEpoch int32) (epoch int32, ok bool) {
	for i := range h.Active {
		if s := &h.Active[i]; s.ID == t.Subtopology {
			at, found := slices.BinarySearch(s.Partitions, t.Partition)
			switch {
			case !found:
				return 0, false
			case h.since == nil || h.since[i] == nil:
				return memberEpoch, true
			}
			return h.since[i][at], true
		}
	}
	return 0, false
}

// holdTasks makes a streamsHeld: what was had before keeps its epoch, which is memberEpoch where none is known, the rest begins at epoch.
func holdTasks(a tasks.Assignment, epoch, memberEpoch int32, before ...streamsHeld) streamsHeld {
	h := streamsHeld{Assignment: a}
	if len(a.Active) == 0 {
		return h
	}
	h.since = make([][]int32, len(a.Active))
	for i, s := range a.Active {
		h.since[i] = make([]int32, len(s.Partitions))
		for j, p := range s.Partitions {
			h.since[i][j] = epoch
			for _, b := range before {
				if e, ok := b.epochOf(tasks.Task{Subtopology: s.ID, Partition: p}, memberEpoch); ok {
					h.since[i][j] = e
					break
				}
			}
		}
	}
	return h
}
