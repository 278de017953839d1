package replica

import "github.com/rafka-io/rafka/internal/storage"

// Directories tells the state of each data directory. An engine that has none is one called "memory", so that its logs can be listed.
func (m *Manager) Directories() []storage.DirInfo {
	if dirs := m.opts.Engine.Dirs(); len(dirs) > 0 {
		return dirs
	}
	return []storage.DirInfo{{Path: "memory"}}
}

// placer is what an engine with several directories offers: which of Dirs a log is in.
type placer interface{ DirOf(storage.ID) int }

// DirectoryOf is the index in Directories of the one that a log is in.
func (m *Manager) DirectoryOf(id storage.ID) int {
	if p, ok := m.opts.Engine.(placer); ok {
		return p.DirOf(id)
	}
	return 0
}
