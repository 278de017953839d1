package replica

import (
	"context"
	"slices"
	"sync/atomic"
	"time"

	"github.com/rafka-io/rafka/internal/partition"
	"github.com/rafka-io/rafka/internal/storage"
)

const (
	// roomLook is how often a node of a cluster looks whether its directories are full.
	roomLook = 500 * time.Millisecond
	// A directory that has been full for fullPatience is told to the controller, and one that has had room for roomPatience is used again: what is full
	// for a moment, or again and again, is no reason for leaders to go and come.
	fullPatience = time.Second
	roomPatience = 3 * time.Second
	// While partitions are left that should have another leader, or are in sync and should not be, the controller is told again after leastFull to mostFull.
	leastFull = time.Second
	mostFull  = 10 * time.Second
)

// cramped says which directories have no room, or have had some only since a moment ago. What is followed is not fetched into them meanwhile: appends
// would be refused, and a replica that fetches nothing does not come back among those in sync before it can keep up.
type cramped struct {
	any  atomic.Bool
	dirs atomic.Pointer[[]bool] // by the index in Directories; nil: none was looked at yet
}

// has reports whether a directory is cramped.
func (c *cramped) has(dir int) bool {
	dirs := c.dirs.Load()
	return dirs != nil && dir < len(*dirs) && (*dirs)[dir]
}

// dirRoom is what is known of a directory.
type dirRoom struct {
	full, cramped bool
	since         time.Time // when full or not began
}

// look takes in whether the directory is full now.
func (r *dirRoom) look(full bool, now time.Time) {
	if full != r.full {
		r.full, r.since = full, now
	}
	r.cramped = full || r.cramped && now.Sub(r.since) < roomPatience
}

// late reports whether the directory has been full for so long that others should lead.
func (r *dirRoom) late(now time.Time) bool { return r.full && now.Sub(r.since) >= fullPatience }

// watchRoom looks whether the directories are full, until Close. Of partitions in one that is, which others have in sync as well, it tells the controller,
// so that others lead them and acknowledge without this broker. When there is room they are fetched, come back among those in sync and may be led here.
func (m *Manager) watchRoom(ctx context.Context) {
	var rooms []dirRoom
	var pause backoff
	var again time.Time
	for m.pause(ctx, roomLook) {
		now := m.opts.Now()
		late := m.lookAtRoom(&rooms, now)
		if !late {
			pause.reset()
			continue
		}
		if now.Before(again) {
			continue
		}
		list := m.inFullDirs(rooms, now)
		if len(list) == 0 {
			pause.reset()
			continue
		}
		limited, cancel := context.WithTimeout(ctx, tellPatience)
		err := m.opts.Full(limited, list)
		cancel()
		if err != nil && ctx.Err() == nil {
			m.opts.Logger.Warn("the controller could not be told that a data directory is full, trying again", "partitions", len(list), "err", err)
		} else if err == nil {
			m.opts.Logger.Info("a data directory is full: where others are in sync they lead, and go on without this broker", "partitions", len(list))
		}
		again = m.opts.Now().Add(pause.next(leastFull, mostFull))
	}
}

// lookAtRoom brings rooms up to date. It reports whether a directory has been full for too long.
func (m *Manager) lookAtRoom(rooms *[]dirRoom, now time.Time) (late bool) {
	dirs := m.Directories()
	if len(*rooms) != len(dirs) {
		*rooms = make([]dirRoom, len(dirs))
	}
	cramped, any, changed := make([]bool, len(dirs)), false, m.fetchers.cramped.dirs.Load() == nil
	for i := range dirs {
		r := &(*rooms)[i]
		r.look(dirs[i].Full, now)
		late = late || r.late(now)
		cramped[i], any = r.cramped, any || r.cramped
		changed = changed || cramped[i] != m.fetchers.cramped.has(i)
	}
	if changed {
		m.fetchers.cramped.dirs.Store(&cramped)
		m.fetchers.cramped.any.Store(any)
	}
	return late
}

// inFullDirs are the partitions in directories that have been full for too long, for which this replica counts and another one could.
func (m *Manager) inFullDirs(rooms []dirRoom, now time.Time) (list []storage.ID) {
	for _, p := range m.partitions() {
		r := p.Role()
		if r.Gone != nil || len(r.ISR) < 2 || !slices.Contains(r.ISR, m.opts.NodeID) {
			continue
		}
		if id := p.ID(); rooms[m.DirectoryOf(id)].late(now) {
			list = append(list, id)
		}
	}
	return list
}

// dirOf is the index in Directories of the one that a followed partition is in.
func (s *fetchers) dirOf(p *partition.Partition) int {
	if e, ok := s.opts.Engine.(placer); ok {
		return e.DirOf(p.ID())
	}
	return 0
}

// cramp lets partitions rest whose directory has no room, and those go on resting that do.
func (f *fetcher) cramp(now time.Time) {
	if !f.set.cramped.any.Load() || now.Sub(f.cramped) < roomLook/2 {
		return
	}
	f.cramped = now
	for _, x := range f.parts {
		if x.state == ready && f.set.isCramped(x) {
			f.waitForRoom(x, now)
		}
	}
}

// isCramped reports whether there is no room for a followed partition.
func (s *fetchers) isCramped(x *followed) bool {
	return s.cramped.any.Load() && s.cramped.has(s.dirOf(x.p))
}

// waitForRoom lets a partition rest until it is worth looking again.
func (f *fetcher) waitForRoom(x *followed, now time.Time) {
	x.fell(now)
	f.restUntil(x, now.Add(roomLook))
}
