package replica

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/rafka-io/rafka/internal/storage"
)

const (
	// A controller that was not reached is told of failed logs again after leastTell to mostTell.
	leastTell = 50 * time.Millisecond
	mostTell  = 5 * time.Second
	// tellPatience is how long it may take to be told.
	tellPatience = 5 * time.Second
)

// noteFailed has the controller told of what has failed.
func (m *Manager) noteFailed() {
	select {
	case m.failing <- struct{}{}:
	default:
	}
}

// tellFailed tells the controller of logs that have failed, so that others lead them at once, until Close. When nothing is left that works it says so.
func (m *Manager) tellFailed(ctx context.Context) {
	told := map[storage.ID]struct{}{} // no more than there are partitions
	var pause backoff
	for useless := false; ; {
		select {
		case <-ctx.Done():
			return
		case <-m.failing:
		}
		list := m.failedLogs(told)
		if len(list) > 0 && m.opts.Failed != nil {
			limited, cancel := context.WithTimeout(ctx, tellPatience)
			err := m.opts.Failed(limited, list)
			cancel()
			if err != nil {
				if ctx.Err() == nil {
					m.opts.Logger.Warn("the controller could not be told of logs that have failed here, trying again", "logs", len(list), "err", err)
				}
				if !m.pause(ctx, pause.next(leastTell, mostTell)) {
					return
				}
				m.noteFailed()
				continue
			}
		}
		pause.reset()
		for _, id := range list {
			told[id] = struct{}{}
		}
		if err := m.uselessDirs(); err != nil && !useless && m.opts.Useless != nil {
			useless = true
			m.opts.Useless(err)
		}
	}
}

// failedLogs are the partitions whose log has failed, or lies in a directory that has, and of which the controller was not told.
func (m *Manager) failedLogs(told map[storage.ID]struct{}) (list []storage.ID) {
	dirs := m.Directories()
	for _, p := range m.partitions() {
		id := p.ID()
		if _, done := told[id]; !done && (p.Failed() != nil || dirs[m.DirectoryOf(id)].Failed != nil) {
			list = append(list, id)
		}
	}
	return list
}

// uselessDirs is why no directory can be used, nil if one can.
func (m *Manager) uselessDirs() error {
	var all []error
	for _, d := range m.Directories() {
		if d.Failed == nil {
			return nil
		}
		all = append(all, d.Failed)
	}
	return fmt.Errorf("no data directory is left that works: mend the disk, or give the broker another (--data-dir), and start it again: %w", errors.Join(all...))
}
